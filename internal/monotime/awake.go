package monotime

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// LookEvery is how often somebody should look at an [Awake] clock.
	LookEvery = 50 * time.Millisecond

	// longestGap is how far two looks may be apart on a machine that is very busy. In a longer gap the
	// process did not run, and no more than LookEvery of it counts.
	longestGap = time.Second
)

// An Awake is a clock that stands still while this process does not run: it was stopped, as by SIGSTOP
// or a batch system that suspends its job, or its machine slept. Somebody must look at it every
// [LookEvery]; while nobody does it goes on as [Now]. Its zero value is ready to use, and it is safe for
// concurrent use, but that one goroutine at a time may look.
type Awake struct{ last atomic.Pointer[look] }

// A look is what an Awake knows of the time.
type look struct {
	at      int64 // when somebody looked, by Now
	lost    int64 // for how long the process had not run by then
	watched bool  // somebody will look again
}

// Now returns nanoseconds that passed while this process ran.
func (a *Awake) Now() int64 {
	if l := a.last.Load(); l != nil {
		return l.read(Now())
	}
	return Now()
}

// read returns what the clock shows.
func (l *look) read(now int64) int64 {
	if l.watched && now-l.at > int64(longestGap) {
		now = l.at + int64(LookEvery)
	}
	return now - l.lost
}

// Look looks at the clock, and promises another look.
func (a *Awake) Look() { a.look(Now(), true) }

// Rest takes the promise back.
func (a *Awake) Rest() { a.look(Now(), false) }

func (a *Awake) look(now int64, watched bool) {
	next := look{at: now, watched: watched}
	if l := a.last.Load(); l != nil {
		next.lost = now - l.read(now)
	}
	a.last.Store(&next)
}

// WithTimeout is [context.WithTimeoutCause] by an Awake clock. The function that it returns must be
// called, and waits for a goroutine.
func WithTimeout(parent context.Context, d time.Duration, cause error) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(parent)
	var watching sync.WaitGroup
	watching.Go(func() {
		var clock Awake
		ticker := time.NewTicker(LookEvery)
		defer ticker.Stop()
		for began := clock.Now(); clock.Now()-began < int64(d); {
			clock.Look()
			select {
			case <-ticker.C:
			case <-ctx.Done():
				return
			}
		}
		cancel(cause)
	})
	return ctx, func() {
		cancel(nil)
		watching.Wait()
	}
}
