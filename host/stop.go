package host

import (
	"context"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wasmpool/wasmpool/internal/monotime"
)

// orders are calls that a slot was told to end. They may be given by any goroutine while
// the slot runs.
type orders struct {
	given atomic.Bool // list may not be empty

	mu   sync.Mutex
	list []order
	wake chan struct{} // holds a token when an order was given
}

// An order ends one call.
type order struct {
	call  uint64
	abort *abort
}

// mostOrders bounds the orders that a slot holds: those for calls that had ended stay
// until the slot looks for an order for its next call.
const mostOrders = 1024

// Stop ends the call with that number if it runs, or is about to run, on this
// slot: within a millisecond while it computes, at once while it sleeps. Run
// then returns an error of that kind, with the reason as its message. Other
// calls are not touched. It does not block, and is safe for concurrent use; of the
// slot's other methods only Ticks is, too.
func (s *Slot) Stop(call uint64, kind Kind, reason string) {
	o := &s.orders
	o.mu.Lock()
	if len(o.list) == mostOrders {
		o.list = slices.Delete(o.list, 0, 1)
	}
	o.list = append(o.list, order{call, &abort{kind: kind, message: reason}})
	o.given.Store(true)
	o.mu.Unlock()
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// take returns the order for a call, and forgets all others: they are for calls
// that have ended.
func (o *orders) take(call uint64) *abort {
	o.mu.Lock()
	defer o.mu.Unlock()
	var found *abort
	for _, order := range o.list {
		if order.call == call {
			found = order.abort
		}
	}
	o.list = o.list[:0]
	o.given.Store(false)
	return found
}

// Err returns why the call that runs is to end, by [Slot.Stop] or the context of
// [Slot.Run], as an [*Error]; nil if it may go on. It is for [Call.ReadArg] to look at
// every few milliseconds, and to return: no guest ticks meanwhile. It does not block.
func (s *Slot) Err() error {
	if a := s.ended(); a != nil {
		return a.failure()
	}
	return nil
}

// Wait blocks until ready is closed, and then returns nil. It is for what a call needs
// that is about to run, such as its module: where that call is stopped first
// ([Slot.Stop]), or ctx ends, it returns the [*Error] that [Slot.Run] would. It is
// called in place of Run, never at the same time.
func (s *Slot) Wait(ctx context.Context, call uint64, ready <-chan struct{}) error {
	for {
		if s.orders.given.Load() {
			if a := s.orders.take(call); a != nil {
				return a.failure()
			}
		}
		select {
		case <-ready:
			return nil
		case <-ctx.Done():
			return endedError(ctx)
		case <-s.orders.wake:
		}
	}
}

// ended returns why the call that runs is to end, or nil.
func (s *Slot) ended() *abort {
	if s.orders.given.Load() {
		if a := s.orders.take(s.call.Number); a != nil {
			s.stopped = a
		}
	}
	if s.stopped != nil {
		return s.stopped
	}
	if err := s.ctx.Err(); err != nil {
		e := endedError(s.ctx)
		return &abort{kind: e.Kind, message: e.Message, err: e.err}
	}
	return nil
}

// beat tells the caller of Run that the call goes on, or may block from here on.
func (s *Slot) beat(blocking bool) {
	if s.call != nil && s.call.Heartbeat != nil {
		s.call.Heartbeat(blocking)
	}
}

// sleep blocks the guest for d, or until its call is to end.
func (in *instance) sleep(d time.Duration) {
	s := in.slot
	s.beat(true)
	until := monotime.Now() + int64(min(d, math.MaxInt64/2))
	timer := time.NewTimer(min(d, in.remaining()))
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-s.orders.wake:
		case <-s.ctx.Done():
		}
		in.check()
		left := time.Duration(until - monotime.Now())
		if left <= 0 {
			return
		}
		timer.Reset(min(left, in.remaining())) // the process may have been stopped
	}
}
