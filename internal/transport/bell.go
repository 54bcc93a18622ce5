package transport

import (
	"sync/atomic"
	"time"
)

// A Bell wakes the one goroutine that owns an endpoint. Anyone may ring it.
// A ring is never lost: one that comes before Wait makes Wait return at once.
type Bell struct {
	c     chan struct{}
	timer *time.Timer // only used by the waiter

	word atomic.Pointer[uint32] // see Share
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
	if word := b.word.Load(); word != nil {
		RingWord(word)
		return
	}
	select {
	case b.c <- struct{}{}:
	default:
	}
}

// Wait blocks until the bell is rung or d has passed; d <= 0 waits for a ring
// only. It reports whether it was rung. One goroutine may wait at a time.
func (b *Bell) Wait(d time.Duration) bool {
	if word := b.word.Load(); word != nil {
		return waitWord(word, d)
	}
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

// Share makes the bell one that other processes can ring through word, which
// lies in memory that they share and is 0. Nobody may wait at that time. The
// waiter then holds a thread. It is for systems that have [RingWord].
func (b *Bell) Share(word *uint32) {
	b.word.Store(word)
	select {
	case <-b.c: // it was rung before
		RingWord(word)
	default:
	}
}
