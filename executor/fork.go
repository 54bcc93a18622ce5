package executor

import "sync"

// Fork returns another executor on the same workers, with a life of its own: it
// is shut down alone, and its Shutdown waits for its own calls only. The two take
// turns at the workers call by call. Modules are common to both. When the
// executor that was opened first shuts down, its forks end with it.
//
// A fork costs no goroutine and no message. It is Go's answer to several Python
// executors in one program, at once or one after the other.
func (ex *Executor) Fork() *Executor {
	return newExecutor(ex.pool, &fork{forks: &ex.forks, shut: make(chan struct{}), idle: make(chan struct{})})
}

// A fork is the life of an executor that Fork made. It counts the calls that this has open.
type fork struct {
	forks *forks

	mu     sync.Mutex
	open   int           // calls without an outcome
	closed bool          // it takes no call any more
	shut   chan struct{} // closed when closed is set
	idle   chan struct{} // closed when closed is set and nothing is open
}

// enter counts a call in.
func (ex *Executor) enter() error {
	f := ex.fork
	if f == nil {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return ErrClosed
	}
	f.open++
	return nil
}

// leave counts a call out.
func (ex *Executor) leave() {
	f := ex.fork
	if f == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.open--; f.open == 0 && f.closed {
		f.end()
	}
}

// takes reports whether the fork takes calls.
func (f *fork) takes() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return !f.closed
}

// close makes the fork take no call any more.
func (f *fork) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return
	}
	f.closed = true
	close(f.shut)
	if f.open == 0 {
		f.end()
	}
}

// end says that nothing is open any more. mu is held.
func (f *fork) end() {
	close(f.idle)
	f.forks.forget(f)
}

// forks holds the forks whose end somebody asked for: they end with the executor that
// was opened first, too. The others need not be known.
type forks struct {
	mu    sync.Mutex
	asked map[*fork]struct{}
	ended bool // the executor that was opened first has ended
}

// ask makes the end of all end f, too. It reports false when that has been.
func (k *forks) ask(f *fork) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.asked == nil {
		k.asked = map[*fork]struct{}{}
	}
	k.asked[f] = struct{}{}
	return !k.ended
}

// forget undoes ask.
func (k *forks) forget(f *fork) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.asked, f)
}

// end ends every fork, when all calls are resolved.
func (k *forks) end() {
	k.mu.Lock()
	asked := k.asked
	k.asked, k.ended = nil, true
	k.mu.Unlock()
	for f := range asked {
		f.close()
	}
}

// Done returns a channel that is closed when the executor was shut down and all
// its calls are resolved; that of a fork also when the executor that was opened
// first has ended.
func (ex *Executor) Done() <-chan struct{} {
	if f := ex.fork; f != nil {
		return f.ended()
	}
	return ex.done
}

// ended returns the channel that is closed when the fork has ended.
func (f *fork) ended() <-chan struct{} {
	f.mu.Lock()
	asked := f.closed && f.open == 0 || f.forks.ask(f)
	f.mu.Unlock()
	if !asked {
		f.close()
	}
	return f.idle
}
