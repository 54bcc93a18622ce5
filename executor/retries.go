package executor

import (
	"fmt"
	"math"
	"time"
)

// A RetryPolicy says which failures are followed by another run of the call, and
// how. The task sees which run it is in sdk.Attempt. The zero value retries
// nothing but a lost worker.
//
// The loss of a worker is no failure of the task: the call runs elsewhere, at
// once, and does not count towards Attempts. A call that loses several workers
// is taken for poison and fails with kind lost.
type RetryPolicy struct {
	// Attempts is how often the call runs at most, up to 100.
	//
	// Defaults to 1.
	Attempts int

	// Kinds are the failures after which it runs again.
	//
	// Defaults to all but those that another run cannot cure: bad input, a bad
	// module, an unknown task, and calls that were cancelled or killed.
	Kinds []Kind

	// Backoff is the pause before the second run; each further one is twice as
	// long as the last, but not longer than MaxBackoff.
	//
	// They default to none and a minute.
	Backoff, MaxBackoff time.Duration

	// MoreMemory and MoreTime are what the call's limits are multiplied with
	// before a further run, when it failed for want of memory or time. A limit
	// that the call does not set itself is not changed.
	//
	// They are at least 1, which is the default.
	MoreMemory, MoreTime float64

	// Workers is how many workers may be lost with the call before it fails.
	//
	// Defaults to 3.
	Workers int
}

// mostRuns bounds the runs that a policy may ask for.
const mostRuns = 100

func (p *RetryPolicy) validate() error {
	if p.Attempts < 0 || p.Attempts > mostRuns || p.Workers < 0 || p.Workers > mostRuns {
		return fmt.Errorf("executor: RetryPolicy.Attempts (%d) and Workers (%d) must be from 0 to %d", p.Attempts, p.Workers, mostRuns)
	}
	if p.Backoff < 0 || p.MaxBackoff < 0 {
		return fmt.Errorf("executor: RetryPolicy.Backoff (%v) and MaxBackoff (%v) must not be negative", p.Backoff, p.MaxBackoff)
	}
	for _, factor := range []float64{p.MoreMemory, p.MoreTime} {
		if factor != 0 && !(factor >= 1 && factor <= math.MaxFloat64) {
			return fmt.Errorf("executor: RetryPolicy.MoreMemory (%v) and MoreTime (%v) must be numbers of 1 or more", p.MoreMemory, p.MoreTime)
		}
	}
	return nil
}
