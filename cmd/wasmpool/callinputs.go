package main

import (
	"slices"
	"strconv"
	"sync"
)

// callInputs tells of which input each call of a map is, also of calls that have ended: who looks hears of a failure
// when its result was written, and the ledger has forgotten it. It is bounded.
//
// Inputs mostly follow each other at equal distances, so that a few runs of calls hold them all. One goroutine calls put,
// for each call in turn, from 0; others ask.
type callInputs struct {
	last callRun // the newest, as put sees it

	mu    sync.Mutex
	runs  []callRun // by call
	mixed bool      // the pool has calls besides those, so that its numbers say nothing
}

// A callRun is calls one after the other whose inputs have equal distances.
type callRun struct{ call, input, step int64 }

// mostCallRuns is how many are kept; then the older half is forgotten.
const mostCallRuns = 1 << 16

// inputOf returns the input of a call of the run.
func (r callRun) inputOf(call int64) int64 { return r.input + (call-r.call)*r.step }

// put notes the input of a call. On nil it does nothing.
func (c *callInputs) put(call, input int64) {
	if c == nil {
		return
	}
	switch {
	case call > 0 && c.last.inputOf(call) == input:
		return
	case call > 0 && call == c.last.call+1: // the second says how far they are apart
		c.last.step = input - c.last.input
	default:
		c.last = callRun{call, input, 1}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := len(c.runs); n > 0 && c.runs[n-1].call == c.last.call {
		c.runs[n-1] = c.last
		return
	}
	if len(c.runs) == mostCallRuns {
		c.runs = append(c.runs[:0], c.runs[mostCallRuns/2:]...)
	}
	c.runs = append(c.runs, c.last)
}

// mix says that the pool has other calls, too.
func (c *callInputs) mix() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mixed = true
}

// find returns the input of the call that has a number in the pool, from 1, where that is known.
func (c *callInputs) find(number uint64) (input int64, known bool) {
	call := int64(number) - 1
	c.mu.Lock()
	defer c.mu.Unlock()
	at, exact := slices.BinarySearchFunc(c.runs, call, func(r callRun, call int64) int { return int(r.call - call) })
	if !exact {
		at--
	}
	if at < 0 || c.mixed {
		return 0, false
	}
	return c.runs[at].inputOf(call), true
}

// name says which input a call is, for those who look; it is "" where that is not known.
func (c *callInputs) name(number uint64) string {
	if input, known := c.find(number); known {
		return "input " + strconv.FormatInt(input, 10)
	}
	return ""
}
