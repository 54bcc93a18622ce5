package host

import (
	"sync/atomic"
	"time"
)

const (
	// stall is how long no call of a worker must have ended for the standby to
	// watch in the place of the slots. It reacts after one to two of it.
	stall = 10 * time.Millisecond

	// standDown is for how long the standby keeps looking after the last call.
	standDown = 50 * time.Millisecond
)

// A standby watches for frames while every slot computes a long call, so that
// the root can take calls back, stop one, or leave. It costs nothing while
// calls are short: then the slots step between them.
type standby struct {
	s     *server
	armed chan struct{} // it must look
	ended chan struct{}

	unheeded bool          // a guest may take long without a heed
	awake    atomic.Bool   // it looks from time to time
	urgent   atomic.Bool   // it must watch at once
	running  atomic.Int32  // slots that run calls
	beats    atomic.Uint64 // grows when calls end
	guarding atomic.Bool   // it holds watching
	wanted   atomic.Int32  // slots that want watching back
}

func (b *standby) init(s *server) {
	b.s, b.armed, b.ended = s, make(chan struct{}, 1), make(chan struct{})
	b.unheeded = !s.host.ticks()
}

// begin notes that a slot starts to run calls, and beat that one has ended. Waking
// the standby takes some 10 µs of a call after a pause, so where a guest that takes
// long comes by heed, that is early enough.
func (b *standby) begin() {
	b.running.Add(1)
	if b.unheeded {
		b.heed()
	}
}

// heed makes the standby look after the slots, unless it does.
func (b *standby) heed() {
	if !b.awake.Load() {
		b.arm()
	}
}

func (b *standby) beat()   { b.beats.Add(1) }
func (b *standby) finish() { b.running.Add(-1) }

// hurry makes the standby watch at once: the caller knows that it will not soon.
func (b *standby) hurry() {
	b.urgent.Store(true)
	b.arm()
}

func (b *standby) arm() {
	select {
	case b.armed <- struct{}{}:
	default:
	}
}

// end makes run return. No slot runs any more.
func (b *standby) end() { close(b.ended) }

// run looks after the slots until end is called.
func (b *standby) run() {
	for {
		select {
		case <-b.armed:
			b.stand()
			if b.running.Load() > 0 { // since it was last looked at
				b.arm()
			}
		case <-b.ended:
			return
		}
	}
}

// stand looks from time to time whether calls end, until none has for long.
func (b *standby) stand() {
	b.awake.Store(true)
	defer b.awake.Store(false)
	ticker := time.NewTicker(stall)
	defer ticker.Stop()
	last, idle := b.beats.Load()-1, time.Duration(0)
	for idle < standDown {
		now := b.beats.Load()
		switch {
		case b.running.Load() == 0:
			idle += stall
		case now == last || b.urgent.Swap(false):
			b.guard()
			idle = 0
		default:
			idle = 0
		}
		last = now
		select {
		case <-b.armed:
		case <-ticker.C:
		case <-b.ended:
			return
		}
	}
}

// guard watches until a call ends, unless a slot does already.
func (b *standby) guard() {
	s := b.s
	if !s.watching.TryLock() {
		return
	}
	defer s.desk.wakeOne() // it watches from now on: it may have found watching taken
	defer s.watching.Unlock()
	b.guarding.Store(true)
	defer b.guarding.Store(false)
	for last := b.beats.Load(); b.beats.Load() == last && !s.done(); {
		quiet := s.settle()
		if s.desk.waiting() {
			s.desk.wakeOne()
		}
		if s.ctx.Err() != nil {
			s.desk.close()
			return
		}
		if b.wanted.Load() > 0 || s.done() {
			return
		}
		if quiet {
			s.wait()
		}
	}
}

// relieve takes over from a standby that guards: when it returns true, the
// caller holds watching.
func (b *standby) relieve() bool {
	if !b.guarding.Load() {
		return false
	}
	b.wanted.Add(1) // a guard that begins only now sees it too
	b.s.ep.Bell().Ring()
	b.s.watching.Lock()
	b.wanted.Add(-1)
	return true
}
