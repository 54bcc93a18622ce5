package executor

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// State is where a call is in its life.
type State uint32

// The states of a call.
const (
	Pending   State = iota // it waits for a worker
	Running                // it was sent to a worker
	Finished               // it has a result or an error
	Cancelled              // Cancel came in time
)

// String returns the state's name.
func (s State) String() string {
	switch s {
	case Pending:
		return "pending"
	case Running:
		return "running"
	case Finished:
		return "finished"
	case Cancelled:
		return "cancelled"
	default:
		return "unknown"
	}
}

// A Future is the caller's handle on one call. It resolves exactly once. All
// methods are safe for concurrent use.
//
// A pending future costs 144 bytes besides its argument.
type Future struct {
	ex      *Executor
	task    *task
	data    []byte // the argument; the result once finished
	err     error  // set before state becomes Finished or Cancelled
	number  uint64
	options *callOptions // nil without
	waiters atomic.Pointer[waiter]
	state   atomic.Uint32

	// Only used by the executor's loop until the future is resolved.
	ticket     uint32
	next, prev *Future
	size       int64   // of the argument, bytes
	worker     *worker // it was sent to
	queued     int64   // nanoseconds it has waited; while it waits, less the time since when
	ran        int64   // nanoseconds of its last run
	estimate   uint32  // nanoseconds it was expected to take when it was sent
	attempt    uint16  // 1 for the first run
	lost       uint8   // workers that died with it; or doomed
	priority   int8
}

// A waiter is made when somebody waits for a future that is not done.
type waiter struct {
	sink listener // where there is one, it alone is told, and the rest is not used
	done chan struct{}

	mu      sync.Mutex
	settled bool
	told    []listener
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

// Done returns a channel that is closed when the future is resolved.
func (f *Future) Done() <-chan struct{} {
	return f.waiter().done
}

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

// OnDone runs fn with the future when it is resolved, at once if it is already.
// It is called exactly once. All callbacks of an executor run on one goroutine,
// never the caller's, in the order in which they came due, those of one future
// in the order in which they were added: a callback may submit calls but must
// not wait for other callbacks. One that panics is logged and stops nobody.
func (f *Future) OnDone(fn func(*Future)) { f.tell(onDone(fn)) }

type onDone func(*Future)

func (fn onDone) resolved(f *Future) { f.ex.calls.add(f, func() { fn(f) }) }

// Err waits for the call and returns the error that it ended with, nil after a
// success. When ctx ends first, it returns ctx's error.
func (f *Future) Err(ctx context.Context) error {
	_, err := f.Result(ctx)
	return err
}

// Info is what there is to know about a call that has an outcome.
type Info struct {
	Task    string
	Rank    int           // of the worker that ran it last; -1 when none did
	Host    string        // of that worker
	Attempt int           // how often it was sent to a worker: 1 without retries, 0 when it was cancelled before
	Queued  time.Duration // how long it waited on the root, over all attempts
	Ran     time.Duration // how long its last run took on its worker; of calls below 2 µs an average of several
	Tags    []string
	Usage   Usage // of a call with limits of its own; zero for others
}

// Info tells where and how the call ran. It reports false before the call has an
// outcome. Queued is counted between the turns of the executor's loop that took
// the call in and sent it, so it is short of the time in Submit by microseconds.
func (f *Future) Info() (Info, bool) {
	if !f.resolved() {
		return Info{Rank: -1}, false
	}
	i := Info{Rank: -1, Attempt: int(f.attempt)}
	if f.task != nil {
		i.Task = f.task.name
	}
	if f.options != nil {
		i.Tags, i.Usage = slices.Clone(f.options.tags), f.options.usage
	}
	if f.State() == Finished && f.worker != nil {
		i.Rank, i.Host = f.worker.rank, f.worker.host
		i.Queued, i.Ran = time.Duration(max(f.queued, 0)), time.Duration(f.ran)
	}
	return i, true
}

// Result waits for the call and returns its result, or the error that the call
// ended with: a [*TaskError] when the task failed. A result of no bytes is a
// success. When ctx ends first, Result returns ctx's error and the call goes
// on. The caller owns the returned bytes.
func (f *Future) Result(ctx context.Context) ([]byte, error) {
	if err := f.wait(ctx); err != nil {
		return nil, err
	}
	return f.outcome()
}

// wait blocks until the future is resolved or ctx ends.
func (f *Future) wait(ctx context.Context) error {
	if f.resolved() {
		return nil
	}
	select {
	case <-f.Done():
		return nil
	case <-ctx.Done():
		if f.resolved() {
			return nil
		}
		return ctx.Err()
	}
}

func (f *Future) outcome() ([]byte, error) {
	if f.err != nil {
		return nil, f.err
	}
	return f.data, nil
}

// State tells where the call is.
func (f *Future) State() State {
	if s := State(f.state.Load()); s != stateSettling {
		return s
	}
	return Pending
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

// String describes the future for logs.
func (f *Future) String() string {
	return "Future(" + f.taskName() + ", " + f.State().String() + ")"
}

// resolved reports whether the outcome may be read. Once it is true nobody else
// touches the future, so that Map can use it again.
func (f *Future) resolved() bool { return f.waiters.Load() == resolved }

// Cancel withdraws a call that is still pending: the future is then resolved
// with [ErrCancelled]. It reports false for a call that was already sent or is
// done. It does not block.
func (f *Future) Cancel() bool { return f.withdraw(Pending, ErrCancelled) }

// withdraw resolves the future with err, without a worker, if it is still in
// state from.
func (f *Future) withdraw(from State, err error) bool {
	// The loop reads data only of calls that it moved to Running itself, so
	// whoever moves a pending call elsewhere owns err.
	if !f.state.CompareAndSwap(uint32(from), uint32(stateSettling)) {
		return false
	}
	f.data, f.err = nil, err
	if from == Pending {
		f.attempt-- // the one that did not come
	}
	if err == ErrCancelled { //nolint:errorlint // it is the very value
		f.settle(Cancelled)
	} else {
		f.settle(Finished)
	}
	return true
}

// stateSettling is held while a pending call is withdrawn. To others the call
// is still pending.
const stateSettling = Cancelled + 1

// claim moves a pending call to Running. It reports false for a call that was
// cancelled.
func (f *Future) claim() bool {
	return f.state.CompareAndSwap(uint32(Pending), uint32(Running))
}

// finish resolves a running call and reports whether somebody waited for it.
func (f *Future) finish(data []byte, err error) bool {
	f.data, f.err = data, err
	return f.settle(Finished)
}

// settle makes the outcome visible and wakes who waits. After the swap somebody
// else may use the future again, unless a waiter was told of it.
func (f *Future) settle(s State) (woken bool) {
	if f.options != nil && f.options.key != "" {
		f.ex.keys.forget(f)
	}
	ex := f.ex
	f.state.Store(uint32(s))
	woken = f.waiters.Swap(resolved).wake(f)
	if ex != nil && ex.share != nil {
		ex.leave() // last: who waits for the share finds every call done
	}
	return woken
}

// wake tells those who wait for f, which is resolved, and reports whether there
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

// failed returns a future that is resolved with err from the start.
func failed(ex *Executor, err error) *Future {
	f := &Future{ex: ex, err: err}
	f.state.Store(uint32(Finished))
	f.waiters.Store(resolved)
	return f
}
