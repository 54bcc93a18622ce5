package dispatcher

import (
	"slices"
	"sync"
)

// A Waiter is made when somebody waits for a call that is not resolved.
type Waiter struct {
	sink   Listener      // where there is one, it alone is told, and the rest is not used
	member bool          // the sink is that of a call of a block
	done   chan struct{} // closed when the call is resolved

	mu      sync.Mutex
	settled bool       // the call is resolved
	told    []Listener // those to be told of that
}

// A Listener is told that a call is resolved. It must not block: it runs on
// whichever goroutine resolved the call, the loop as a rule.
type Listener interface{ Resolved(c *Call) }

// NewSink returns a waiter for many calls, of each of which l alone is told. Nobody can wait for such
// a call by other means.
func NewSink(l Listener) *Waiter { return &Waiter{sink: l} }

// resolved stands for the waiter of a call that is resolved.
var resolved = func() *Waiter {
	w := &Waiter{done: make(chan struct{})}
	close(w.done)
	return w
}()

// Sink makes w the waiter of a zero call.
func (c *Call) Sink(w *Waiter) { c.waiters.Store(w) }

// waiter returns the call's waiter, and makes it if need be.
func (c *Call) waiter() *Waiter {
	if w := c.waiters.Load(); w != nil {
		return w
	}
	w := &Waiter{done: make(chan struct{})}
	if c.waiters.CompareAndSwap(nil, w) {
		return w
	}
	return c.waiters.Load()
}

// Tell makes l hear of the outcome, at once if it is there.
func (c *Call) Tell(l Listener) {
	w := c.waiter()
	if w != resolved {
		w.mu.Lock()
		if !w.settled {
			w.told = append(w.told, l)
			w.mu.Unlock()
			return
		}
		w.mu.Unlock()
	}
	l.Resolved(c)
}

// Untell undoes Tell, for a listener that does not wait any more.
func (c *Call) Untell(l Listener) {
	w := c.waiters.Load()
	if w == nil || w == resolved {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if i := slices.Index(w.told, l); i >= 0 {
		w.told = slices.Delete(w.told, i, i+1)
	}
}

// wake tells those that wait for c, which is resolved, and reports whether there
// were any. w may be nil.
func (w *Waiter) wake(c *Call) bool {
	if w == nil || w == resolved {
		return false
	}
	if w.sink != nil {
		w.sink.Resolved(c)
		return true
	}
	w.mu.Lock()
	w.settled = true
	told := w.told
	w.told = nil
	w.mu.Unlock()
	close(w.done)
	for _, l := range told {
		l.Resolved(c)
	}
	return true
}
