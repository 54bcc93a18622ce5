//go:build race

package unittest

// Race tells whether the race detector is on.
const Race = true

// RaceFactor is what the race detector multiplies the compiler's work with: package compile
// grants its child that much more.
const RaceFactor = 5
