//go:build race

package memory

// race says that the race detector is on, which takes memory that nobody counts.
const race = true
