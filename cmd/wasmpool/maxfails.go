package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// A failLimit says after how many failures a map ends. The zero one is never.
type failLimit struct {
	fails   int64   // so many
	percent float64 // or such a part of those that are done
	text    string  // as it was given
}

// leastDone is of how many results at least a part can be too much: of the first few, one is much.
const leastDone = 100

// Set parses a number, or a part such as 5%.
func (l *failLimit) Set(text string) error {
	number, isPart := strings.CutSuffix(text, "%")
	if isPart {
		p, err := strconv.ParseFloat(number, 64)
		if err != nil || !(p > 0 && p <= 100) {
			return fmt.Errorf("%q is no part, want more than 0%% and at most 100%%", text)
		}
		*l = failLimit{percent: p, text: text}
		return nil
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 1 {
		return errors.New("want a number of 1 or more, or a part such as 5%")
	}
	*l = failLimit{fails: n, text: text}
	return nil
}

// String returns what Set was given.
func (l *failLimit) String() string { return l.text }

// Type names the value in help.
func (l *failLimit) Type() string { return "limit" }

// reached reports whether so many failures are too many.
func (l *failLimit) reached(done, failed int64) bool {
	switch {
	case failed == 0:
		return false
	case l.fails > 0:
		return failed >= l.fails
	case l.percent > 0:
		return done >= leastDone && 100*float64(failed) >= l.percent*float64(done)
	}
	return false
}

// errTooManyFailed is matched by the error of a map that --max-fails has ended.
var errTooManyFailed = errors.New("too many calls failed")

// tooManyFailed is the error of a map that the limit has ended.
func (l *failLimit) tooManyFailed(done, failed int64) error {
	err := fmt.Errorf("--max-fails %s: %w, %d of %d, and no more were begun", l, errTooManyFailed, failed, done)
	return &exitError{exitCallFailed, err}
}
