//go:build race

package executor_test

// underRace tells whether the race detector is on.
const underRace = true
