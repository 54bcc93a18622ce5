package transport

import "time"

// A Bell wakes the one goroutine that owns an endpoint. Anyone may ring it.
// A ring is never lost: one that comes before Wait makes Wait return at once.
type Bell struct {
	c     chan struct{}
	timer *time.Timer // only used by the waiter
}

// NewBell returns a bell that has not been rung.
func NewBell() *Bell {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return &Bell{c: make(chan struct{}, 1), timer: t}
}

// Ring wakes the waiter, or the next one to wait. It never blocks and is safe
// for concurrent use.
func (b *Bell) Ring() {
	select {
	case b.c <- struct{}{}:
	default:
	}
}

// Wait blocks until the bell is rung or d has passed; d <= 0 waits for a ring
// only. It reports whether it was rung. One goroutine may wait at a time.
func (b *Bell) Wait(d time.Duration) bool {
	if d <= 0 {
		<-b.c
		return true
	}
	b.timer.Reset(d)
	defer b.timer.Stop()
	select {
	case <-b.c:
		return true
	case <-b.timer.C:
		return false
	}
}
