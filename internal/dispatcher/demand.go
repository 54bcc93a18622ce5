package dispatcher

import (
	"sync"
	"sync/atomic"
)

// A Demand tells the feeders of maps that workers have room and no call waits, so that
// they read further ahead. It is safe for concurrent use.
type Demand struct {
	open atomic.Bool

	mu      sync.Mutex
	feeders []chan struct{} // woken when demand begins
}

// set is called by the loop at each turn.
func (d *Demand) set(open bool) {
	if d.open.Load() == open {
		return
	}
	d.open.Store(open)
	if open {
		d.wake()
	}
}

// wake makes all feeders look for room again.
func (d *Demand) wake() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.feeders {
		Wake(c)
	}
}

// Take reports whether there is demand, and ends it: the loop sets it again if what the
// feeder does about it is not enough.
func (d *Demand) Take() bool { return d.open.Load() && d.open.CompareAndSwap(true, false) }

// Notify makes demand wake c whenever it begins, until Ignore.
func (d *Demand) Notify(c chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.feeders = append(d.feeders, c)
}

// Ignore undoes Notify.
func (d *Demand) Ignore(c chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, f := range d.feeders {
		if f == c {
			d.feeders = append(d.feeders[:i], d.feeders[i+1:]...)
			return
		}
	}
}

// Wake puts a token into a channel that holds one, for the goroutine that waits there.
func Wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
