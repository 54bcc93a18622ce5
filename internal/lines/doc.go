// Package lines bounds how many lines of its guests' logs a rank sends to the root, which
// writes them and has other work. An honest rank keeps to that by itself; the root bounds
// what it takes of each, for one that was broken into.
package lines
