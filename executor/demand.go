package executor

import (
	"sync"
	"sync/atomic"
)

// A demand tells Map's feeders that workers have room and no call waits, so that
// they read further ahead. It is safe for concurrent use.
type demand struct {
	open atomic.Bool

	mu      sync.Mutex
	feeders []chan struct{} // rung when demand begins
}

// set is called by the loop at each turn.
func (d *demand) set(open bool) {
	if d.open.Load() == open {
		return
	}
	d.open.Store(open)
	if !open {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.feeders {
		ring(c)
	}
}

// take reports whether there is demand, and ends it: the loop sets it again if what the
// feeder does about it is not enough.
func (d *demand) take() bool { return d.open.Load() && d.open.CompareAndSwap(true, false) }

// notify makes demand ring c whenever it begins, until ignore.
func (d *demand) notify(c chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.feeders = append(d.feeders, c)
}

// ignore undoes notify.
func (d *demand) ignore(c chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, f := range d.feeders {
		if f == c {
			d.feeders = append(d.feeders[:i], d.feeders[i+1:]...)
			return
		}
	}
}
