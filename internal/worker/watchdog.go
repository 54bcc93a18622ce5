package worker

import (
	"sync/atomic"
	"time"
)

const (
	// stall is how long no call of a worker must have ended for the watchdog to watch
	// for frames. It reacts after one to two of it.
	stall = 10 * time.Millisecond

	// lookLonger is for how long the watchdog keeps looking after the last call.
	lookLonger = 50 * time.Millisecond
)

// A watchdog is the goroutine that watches for frames while every slot computes a long
// call, so that the root can take calls back, stop one, or leave. It costs nothing while
// calls are short: then it sleeps, and the runners receive between them.
//
// It has three states: it sleeps until it is armed; it looks every stall whether calls
// end; and, where none does, it watches, at the bell, until one ends or a runner wants to
// watch itself.
type watchdog struct {
	s     *server
	armed chan struct{} // holds a token when it must look
	ended chan struct{} // closed when it must return

	silent   bool          // a guest may run for long without a heartbeat
	looking  atomic.Bool   // it looks from time to time
	urgent   atomic.Bool   // it must watch at once
	running  atomic.Int32  // runners that run calls
	calls    atomic.Uint64 // grows when calls end
	watching atomic.Bool   // it holds the server's watching
	wanted   atomic.Int32  // runners that want that back
}

func (w *watchdog) init(s *server) {
	w.s, w.armed, w.ended = s, make(chan struct{}, 1), make(chan struct{})
	cfg := s.host.Config()
	w.silent = cfg.NoMeter
	for _, g := range cfg.Grants {
		w.silent = w.silent || g.Clock || len(g.Folders) > 0 // a guest may sleep, or wait for a file
	}
}

// begin notes that a runner starts to run calls. To wake the watchdog takes some 10 µs of
// a call after a pause, so where guests have heartbeats it is left to the first of those.
func (w *watchdog) begin() {
	w.running.Add(1)
	if w.silent {
		w.lookAfter()
	}
}

// callEnded notes that a call has ended.
func (w *watchdog) callEnded() { w.calls.Add(1) }

// finish notes that a runner has no more calls to run.
func (w *watchdog) finish() { w.running.Add(-1) }

// lookAfter makes the watchdog look after the runners, unless it does.
func (w *watchdog) lookAfter() {
	if !w.looking.Load() {
		w.arm()
	}
}

// watchNow makes the watchdog watch at once: the caller, a runner, will not for long.
func (w *watchdog) watchNow() {
	w.urgent.Store(true)
	w.arm()
}

func (w *watchdog) arm() {
	select {
	case w.armed <- struct{}{}:
	default:
	}
}

// end makes run return. No runner runs any more.
func (w *watchdog) end() { close(w.ended) }

// run looks after the runners, when it is armed, until end is called.
func (w *watchdog) run() {
	for {
		select {
		case <-w.armed:
			w.look()
			if w.running.Load() > 0 { // since it was last looked at
				w.arm()
			}
		case <-w.ended:
			return
		}
	}
}

// look looks from time to time whether calls end, and watches where they do not. It
// returns when no runner has run calls for lookLonger.
func (w *watchdog) look() {
	w.looking.Store(true)
	defer w.looking.Store(false)
	ticker := time.NewTicker(stall)
	defer ticker.Stop()
	last, idle := w.calls.Load()-1, time.Duration(0)
	for idle < lookLonger {
		now := w.calls.Load()
		switch {
		case w.running.Load() == 0:
			idle += stall
		case now == last || w.urgent.Swap(false):
			w.watch()
			idle = 0
		default:
			idle = 0
		}
		last = now
		select {
		case <-w.armed:
		case <-ticker.C:
		case <-w.ended:
			return
		}
	}
}

// watch watches for frames until a call ends or a runner wants to, unless a runner does
// already.
func (w *watchdog) watch() {
	s := w.s
	if !s.watching.TryLock() {
		return
	}
	defer s.backlog.wakeOne() // that runner watches from now on: it may have found watching taken
	defer s.watching.Unlock()
	w.watching.Store(true)
	defer w.watching.Store(false)
	for last := w.calls.Load(); w.calls.Load() == last && !s.ended(); {
		quiet := s.setBell()
		if s.backlog.waiting() {
			s.backlog.wakeOne()
		}
		if s.ctx.Err() != nil {
			s.backlog.close()
			return
		}
		if w.wanted.Load() > 0 || s.ended() {
			return
		}
		if quiet {
			s.wait()
		}
	}
}

// relieve takes over from a watchdog that watches: when it returns true, the caller
// holds the server's watching. It blocks for as long as the watchdog needs to let go.
func (w *watchdog) relieve() bool {
	if !w.watching.Load() {
		return false
	}
	w.wanted.Add(1) // a watchdog that begins only now sees it too
	w.s.ep.Bell().Ring()
	w.s.watching.Lock()
	w.wanted.Add(-1)
	return true
}
