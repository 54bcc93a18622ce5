package executor

import (
	"context"
	"sync"
)

// Fork returns another executor on the same workers, with a life of its own: it
// is shut down alone, and its Shutdown waits for its own calls only. The two take
// turns at the workers call by call. Modules are common to both. When the
// executor that was opened first shuts down, its forks end with it.
//
// A fork costs no goroutine and no message. It is Go's answer to several Python
// executors in one program, at once or one after the other.
func (ex *Executor) Fork() *Executor {
	return &Executor{engine: ex.engine, share: &share{forks: &ex.forks, shut: make(chan struct{}), idle: make(chan struct{})}}
}

// A share counts what a fork has open.
type share struct {
	forks *forks

	mu     sync.Mutex
	open   int // calls without an outcome
	closed bool
	shut   chan struct{} // closed when the share is
	idle   chan struct{} // closed when the share is closed and nothing is open
}

// enter counts a call in.
func (ex *Executor) enter() error {
	s := ex.share
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	s.open++
	return nil
}

// leave counts a call out.
func (ex *Executor) leave() {
	s := ex.share
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open--; s.open == 0 && s.closed {
		s.end()
	}
}

func (s *share) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.closed = true
	close(s.shut)
	if s.open == 0 {
		s.end()
	}
}

// end says that nothing is open any more. mu is held.
func (s *share) end() {
	close(s.idle)
	s.forks.forget(s)
}

// forks are the shares whose end somebody asked for: they end with the executor that
// was opened first, too. The others need not be known.
type forks struct {
	mu    sync.Mutex
	asked map[*share]struct{}
	ended bool
}

// ask makes the end of all end s, too. It reports false when that has been.
func (k *forks) ask(s *share) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.asked == nil {
		k.asked = map[*share]struct{}{}
	}
	k.asked[s] = struct{}{}
	return !k.ended
}

func (k *forks) forget(s *share) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.asked, s)
}

// end ends every share, when all calls are resolved.
func (k *forks) end() {
	k.mu.Lock()
	asked := k.asked
	k.asked, k.ended = nil, true
	k.mu.Unlock()
	for s := range asked {
		s.close()
	}
}

// gone returns a channel that is closed when nothing can be submitted any more.
func (ex *Executor) gone() <-chan struct{} {
	if ex.share != nil {
		return ex.share.shut
	}
	return ex.done
}

// Ended returns a channel that is closed when the executor was shut down and all
// its calls are resolved; that of a fork also when the executor that was opened
// first has ended.
func (ex *Executor) Ended() <-chan struct{} {
	if s := ex.share; s != nil {
		return s.ended()
	}
	return ex.done
}

func (s *share) ended() <-chan struct{} {
	s.mu.Lock()
	asked := s.closed && s.open == 0 || s.forks.ask(s)
	s.mu.Unlock()
	if !asked {
		s.close()
	}
	return s.idle
}

// A ShutdownFlag changes what Shutdown does.
type ShutdownFlag uint8

// The flags of Shutdown.
const (
	// CancelPending resolves the calls that have not begun with [ErrCancelled]
	// instead of running them, those too that rest before another run; and none runs
	// again.
	CancelPending ShutdownFlag = 1 << iota

	// NoWait makes Shutdown return at once. What was submitted still runs,
	// unless CancelPending is given too.
	NoWait
)

// Shutdown refuses new calls, waits until all that were submitted are resolved,
// stops the workers and waits for the local ones; on a fork it leaves the
// workers alone. When ctx ends first, the remaining calls are resolved with
// [ErrClosed] (on a fork, those that run are killed); then Shutdown does not wait
// longer and returns ctx's error. Calling it again waits again. It returns the
// error that broke the pool, if one did. Then it waits until the
// callbacks of those calls have run, as [Run] does, but not where a callback calls it.
func (ex *Executor) Shutdown(ctx context.Context, flags ...ShutdownFlag) error {
	var all ShutdownFlag
	for _, f := range flags {
		all |= f
	}
	if ex.share != nil {
		ex.share.close()
	} else {
		ex.closing.Do(func() { ex.in.close(ErrClosed) })
	}
	if all&CancelPending != 0 {
		ex.final.CompareAndSwap(nil, &ErrCancelled)
		ex.CancelPending()
	}
	if ex.share == nil {
		ex.in.request(func(l *loop) {
			l.final = l.final || all&CancelPending != 0
			l.stop()
		})
	}
	if all&NoWait != 0 {
		return nil
	}
	if ex.share != nil {
		return ex.awaitShare(ctx)
	}
	if !await(ctx, ex.done) {
		ex.abandon()
		return ctx.Err()
	}
	return join(ex.err, ex.calls.through(ctx))
}

// await waits for c. It returns false when ctx ends first: not when both are there.
func await(ctx context.Context, c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
	}
	select {
	case <-c:
		return true
	case <-ctx.Done():
		return false
	}
}

func (ex *Executor) awaitShare(ctx context.Context) error {
	if !await(ctx, ex.share.ended()) {
		ex.final.CompareAndSwap(nil, &ErrClosed) // for a Submit that is on its way
		ex.in.request(func(l *loop) {
			l.dropPending(ex.owns, always(ErrClosed))
			l.killWhere(ex.owns, "the executor was shut down")
		})
		return ctx.Err()
	}
	return join(ex.in.failure(), ex.calls.through(ctx))
}

// CancelPending resolves every call of this executor that has not begun with
// [ErrCancelled]; with the one that was opened first, those of its forks too. It does
// not block: they are resolved soon after, as with [Future.Cancel].
func (ex *Executor) CancelPending() {
	match := ex.owns
	if ex.share == nil {
		match = anyCall
	}
	ex.in.request(func(l *loop) { l.cancel(match) })
}

// cancel resolves the calls that match and have not begun.
func (l *loop) cancel(match func(*Future) bool) {
	l.dropPending(match, always(ErrCancelled))
	l.recallWhere(match)
}

func (ex *Executor) owns(f *Future) bool { return f.ex == ex }
func anyCall(*Future) bool               { return true }

func always(err error) func(*Future) error { return func(*Future) error { return err } }

// dropPending resolves the calls that match and that no worker has, those that rest or
// were promised, too. It returns how
// many there were. They leave the queue first: a future of a map that is resolved may
// be another call's at once.
func (l *loop) dropPending(match func(*Future) bool, err func(*Future) error) int {
	waiting := l.sched.queue.remove(match)
	var bytes int64
	for _, f := range waiting {
		bytes += f.size
	}
	l.in.sent(len(waiting), bytes)
	for _, f := range waiting {
		f.withdraw(err)
	}
	n := len(waiting) + l.resting.drop(match, err)
	for _, f := range l.in.promises(match) {
		if f.withdraw(err) {
			n++
		}
	}
	return n
}

// Idling reports whether the pool has nothing to do: no call waits, rests or
// runs. It waits for the loop, as Stats does.
func (ex *Executor) Idling(ctx context.Context) (bool, error) {
	st, err := ex.Stats(ctx)
	return err == nil && st.Queued == 0 && st.InFlight == 0 && st.Resting == 0, err
}

// Open reports whether the executor takes calls.
func (ex *Executor) Open() bool {
	if s := ex.share; s != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.closed {
			return false
		}
	}
	ex.in.mu.Lock()
	defer ex.in.mu.Unlock()
	return ex.in.closed == nil
}
