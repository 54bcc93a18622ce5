// Package lines bounds how many lines of its guests' logs a rank sends to the root, which
// writes them and has other work. A rank keeps to the bound by itself. The root bounds the
// lines that it takes of each rank, too, in case a guest has taken over the rank.
package lines
