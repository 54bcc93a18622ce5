//go:build race

package compile

// raceFactor is what the race detector multiplies the compiler's work with.
const raceFactor = 5
