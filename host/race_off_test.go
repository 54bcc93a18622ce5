//go:build !race

package host

// raceFactor is what the race detector multiplies the compiler's work with.
const raceFactor = 1
