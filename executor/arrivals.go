package executor

import "sync"

// arrivals are futures that were resolved, in that order, for a goroutine that
// takes them.
type arrivals struct {
	bell chan struct{} // holds a token when something may have come

	mu   sync.Mutex
	list []*Future
}

func newArrivals() *arrivals { return &arrivals{bell: make(chan struct{}, 1)} }

// resolved implements listener.
func (a *arrivals) resolved(f *Future) {
	a.mu.Lock()
	a.list = append(a.list, f)
	first := len(a.list) == 1
	a.mu.Unlock()
	if first {
		ring(a.bell)
	}
}

// take returns all that has come, and keeps nothing of it. It takes over into's
// memory.
func (a *arrivals) take(into []*Future) []*Future {
	clear(into)
	a.mu.Lock()
	defer a.mu.Unlock()
	list := a.list
	a.list = into[:0]
	return list
}
