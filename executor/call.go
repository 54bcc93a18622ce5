package executor

import (
	"slices"
	"sync"

	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/internal/monotime"
	"github.com/wasmpool/wasmpool/internal/wire"
)

// Further states that others need not know of.
const (
	// settling is held while a call gets its outcome, or its argument, or is queued again.
	settling State = iota + Killed + 1

	// recalled is a call that was cancelled while a worker had it. Its outcome comes
	// when the worker has let it go.
	recalled
)

// A waiter is made when somebody waits for a future that is not done.
type waiter struct {
	sink listener      // where there is one, it alone is told, and the rest is not used
	done chan struct{} // closed when the future is resolved

	mu      sync.Mutex
	settled bool       // the future is resolved
	told    []listener // those to be told of that
}

// A listener is told that a future is resolved. It must not block: it runs on
// whichever goroutine resolved it, the loop as a rule.
type listener interface{ resolved(f *Future) }

// resolved stands for the waiter of a future that is done.
var resolved = func() *waiter {
	w := &waiter{done: make(chan struct{})}
	close(w.done)
	return w
}()

func (f *Future) waiter() *waiter {
	if w := f.waiters.Load(); w != nil {
		return w
	}
	w := &waiter{done: make(chan struct{})}
	if f.waiters.CompareAndSwap(nil, w) {
		return w
	}
	return f.waiters.Load()
}

// tell makes l hear of the outcome, at once if it is there.
func (f *Future) tell(l listener) {
	w := f.waiter()
	if w != resolved {
		w.mu.Lock()
		if !w.settled {
			w.told = append(w.told, l)
			w.mu.Unlock()
			return
		}
		w.mu.Unlock()
	}
	l.resolved(f)
}

// untell undoes tell, for a listener that does not wait any more.
func (f *Future) untell(l listener) {
	w := f.waiters.Load()
	if w == nil || w == resolved {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if i := slices.Index(w.told, l); i >= 0 {
		w.told = slices.Delete(w.told, i, i+1)
	}
}

// resolved reports whether the outcome may be read. Once it is true nobody else
// touches the future, so that Map can use it again.
func (f *Future) resolved() bool { return f.waiters.Load() == resolved }

// giveUp resolves a call that waits on the root with an error.
func (f *Future) giveUp(err func(*Future) error) bool {
	if !f.withdraw(err) {
		return false
	}
	if f.ex == nil {
		return true
	}
	f.ex.dispatcher.withdrawn.Add(1)
	if f.ex.in.crowded() {
		f.ex.dispatcher.wake()
	}
	if f.attempt > 0 { // it has run before, so it may have rested
		f.ex.in.request(func(l *loop) { l.resting.forget(f) })
	}
	return true
}

// withdraw resolves a pending call with an error, without a worker. It reports false
// for any other.
func (f *Future) withdraw(err func(*Future) error) bool {
	if !f.hold() {
		return false
	}
	f.data, f.err = nil, err(f)
	f.attempt-- // the one that did not come
	if queuedAgain := f.worker != nil && f.queued < 0; queuedAgain {
		f.queued += monotime.Now()
	}
	f.state.Store(uint32(f.end()))
	f.settle()
	return true
}

// hold moves a pending call to settling. The loop reads data only of calls that it has
// claimed, so whoever moves a pending call elsewhere owns it. It reports false for any other.
func (f *Future) hold() bool { return f.state.CompareAndSwap(uint32(Pending), uint32(settling)) }

// claim moves a pending call to Sent. It reports false for a call that was
// cancelled.
func (f *Future) claim() bool { return f.state.CompareAndSwap(uint32(Pending), uint32(Sent)) }

// begun notes that a call which a worker has runs.
func (f *Future) begun() { f.state.CompareAndSwap(uint32(Sent), uint32(Running)) }

// leave moves a call that a worker had to another state. It reports false for one
// that was cancelled meanwhile.
func (f *Future) leave(to State) bool {
	return f.state.CompareAndSwap(uint32(Sent), uint32(to)) || f.state.CompareAndSwap(uint32(Running), uint32(to))
}

// finish resolves a call that a worker had, as cancelled if it was, counts it, and
// reports whether somebody waited for it.
func (f *Future) finish(data []byte, err error, c *counts) (woken bool) {
	f.data, f.err = data, err // nobody else looks at them before it has left
	if !f.leave(f.end()) {
		if o := f.options; o != nil && o.held != nil {
			o.held.letGo(len(data)) // nobody will take it
		}
		f.data, f.err = nil, ErrCancelled
		f.state.Store(uint32(Cancelled))
	}
	c.add(f.err)
	return f.settle()
}

// end is the state of a call that has an outcome.
func (f *Future) end() State {
	if f.err == nil {
		return Finished
	}
	if f.err == ErrCancelled { //nolint:errorlint // it is the very value
		return Cancelled
	}
	if e, ok := f.err.(*TaskError); ok && e.Kind == host.KindKilled { //nolint:errorlint // no other error wraps one here
		return Killed
	}
	return Finished
}

// settle wakes those that wait, when the state is that of the outcome. After the swap somebody
// else may use the future again, unless a waiter was told of it.
func (f *Future) settle() (woken bool) {
	ex := f.ex
	var b *bond
	if o := f.options; o != nil {
		if b = o.bond; o.key != "" {
			ex.keys.forget(f)
		}
	}
	woken = f.waiters.Swap(resolved).wake(f)
	b.leave()
	if ex != nil && ex.fork != nil {
		ex.leave() // last: a goroutine that waits for the fork finds every call done
	}
	return woken
}

// wake tells those that wait for f, which is resolved, and reports whether there
// were any. w may be nil.
func (w *waiter) wake(f *Future) bool {
	if w == nil || w == resolved {
		return false
	}
	if w.sink != nil {
		w.sink.resolved(f)
		return true
	}
	w.mu.Lock()
	w.settled = true
	told := w.told
	w.told = nil
	w.mu.Unlock()
	close(w.done)
	for _, l := range told {
		l.resolved(f)
	}
	return true
}

// taskName is the name of its task, as far as there is one.
func (f *Future) taskName() string {
	if f.task == nil {
		return "?"
	}
	return f.task.name
}

// words are how the caller knows the call, for logs.
func (f *Future) words() []any {
	words := []any{"task", f.taskName()}
	if f.options != nil && len(f.options.tags) > 0 {
		words = append(words, "tags", f.options.tags)
	}
	return words
}

// measured keeps what a run has used, which is known of calls with limits of their
// own.
func (f *Future) measured(u *wire.Usage) {
	if u == nil || f.options == nil {
		return
	}
	own := *f.options
	own.usage = Usage(*u)
	f.options = &own
}
