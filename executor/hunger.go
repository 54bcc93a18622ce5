package executor

import (
	"sync"
	"sync/atomic"
)

// A hunger is how the loop tells Map's feeders that workers have room and no
// call waits, so that they read further ahead.
type hunger struct {
	felt atomic.Bool

	mu      sync.Mutex
	feeders []chan struct{} // rung when it is felt
}

// feel is called by the loop at each turn.
func (h *hunger) feel(hungry bool) {
	if h.felt.Load() == hungry {
		return
	}
	h.felt.Store(hungry)
	if !hungry {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.feeders {
		ring(c)
	}
}

// still reports whether hunger was felt, and stills it: it will be felt again if
// what the feeder does about it is not enough.
func (h *hunger) still() bool { return h.felt.Load() && h.felt.CompareAndSwap(true, false) }

// join makes the hunger ring c from now on, until leave.
func (h *hunger) join(c chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.feeders = append(h.feeders, c)
}

func (h *hunger) leave(c chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, f := range h.feeders {
		if f == c {
			h.feeders = append(h.feeders[:i], h.feeders[i+1:]...)
			return
		}
	}
}
