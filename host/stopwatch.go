package host

import (
	"sync/atomic"
	"time"

	"github.com/wasmpool/wasmpool/internal/monotime"
)

// A stopwatch is the clock of the limits on time. It stands still while the process is stopped: a
// suspended job must not fail its calls. A goroutine of the host's looks at it while there are calls
// whose time is taken.
type stopwatch struct {
	clock   monotime.Awake
	calls   atomic.Int32 // whose time is taken
	watched atomic.Bool  // the goroutine runs
}

// restAfter is how often the goroutine finds no calls before it ends.
const restAfter = 20

// beginTime makes the host look at its stopwatch, until endTime. A call does so at its first tick.
func (h *Host) beginTime() {
	w := &h.stopwatch
	w.calls.Add(1)
	if w.watched.Load() {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.closed && !w.watched.Swap(true) {
		h.loads.Go(h.watchTime)
	}
}

// endTime undoes beginTime.
func (h *Host) endTime() { h.stopwatch.calls.Add(-1) }

// watchTime looks at the stopwatch until no call needs it, or the host is closed.
func (h *Host) watchTime() {
	w := &h.stopwatch
	ticker := time.NewTicker(monotime.LookEvery)
	defer ticker.Stop()
	for idle := 0; idle < restAfter || !h.restTime(); idle++ {
		w.clock.Look()
		if w.calls.Load() > 0 {
			idle = 0
		}
		select {
		case <-ticker.C:
		case <-h.ctx.Done():
			w.clock.Rest()
			return
		}
	}
}

// restTime ends the watch, unless a call needs it.
func (h *Host) restTime() bool {
	w := &h.stopwatch
	h.mu.Lock()
	defer h.mu.Unlock()
	w.watched.Store(false)
	if w.calls.Load() > 0 { // it may have found that somebody watches
		w.watched.Store(true)
		return false
	}
	w.clock.Rest()
	return true
}

// now reads the stopwatch for the call that runs.
func (s *Slot) now() int64 {
	if !s.timed {
		s.timed = true
		s.host.beginTime()
	}
	return s.host.stopwatch.clock.Now()
}
