package executor

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/internal/monotime"
)

// State is where a call is in its life.
type State uint32

// The states of a call.
const (
	Pending   State = iota // it waits on the root
	Sent                   // a worker has it, where it waits for a slot, or has begun a moment ago
	Running                // it runs; one of less than a millisecond is not told to
	Finished               // it has a result or an error
	Cancelled              // Cancel came in time
	Killed                 // it was ended by Kill, or as Kill does it
)

// Further states that others need not know of.
const (
	// settling is held while a call gets its outcome, or its argument, or is queued again.
	settling State = iota + Killed + 1

	// recalled is a call that was cancelled while a worker had it. Its outcome comes
	// when the worker has let it go.
	recalled
)

// String returns the state's name.
func (s State) String() string {
	switch s {
	case Pending:
		return "pending"
	case Sent:
		return "sent"
	case Running:
		return "running"
	case Finished:
		return "finished"
	case Cancelled:
		return "cancelled"
	case Killed:
		return "killed"
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
	err     error  // the outcome's, nil for a success; set before state becomes Finished, Cancelled or Killed
	number  uint64
	options *callOptions           // nil without
	waiters atomic.Pointer[waiter] // nil without; resolved at the end
	state   atomic.Uint32          // a State

	// Only used by the executor's loop until the future is resolved.
	ticket     uint32  // its index in scheduler.tickets while a worker has it
	next, prev *Future // its neighbours in the list that it is in
	size       int64   // the length of the argument
	worker     *worker // the one that it was sent to last; nil before
	queued     int64   // how long it has waited, in nanoseconds; while it waits, less the time since when
	ran        int64   // how long its last run took, in nanoseconds
	estimate   uint32  // how long it should take, in nanoseconds, as was thought when it was sent
	attempt    uint16  // 1 for the first run
	lost       uint8   // how many workers died with it; or doomed
	priority   int8    // from MinPriority to MaxPriority
}

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

// untell undoes tell, for who does not wait any more.
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

// OnDone runs fn with the future when it is resolved, at once if it is already.
// It is called exactly once. All callbacks of an executor run on one goroutine,
// never the caller's, in the order in which they came due, those of one future
// in the order in which they were added: a callback may submit calls but must
// not wait for other callbacks. One that panics, or ends its goroutine, is logged and
// stops nobody.
func (f *Future) OnDone(fn func(*Future)) { f.ex.calls.when(f, func() { fn(f) }) }

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
	if s := f.State(); (s == Finished || s == Killed) && f.worker != nil {
		i.Rank, i.Host = f.worker.rank, f.worker.host
		i.Queued, i.Ran = time.Duration(max(f.queued, 0)), time.Duration(f.ran)
	}
	return i, true
}

// Result waits for the call and returns its result, or the error that the call
// ended with: a [*TaskError] when the task failed. A result of no bytes is a
// success. When ctx ends first, Result returns ctx's error and the call goes
// on. The caller owns the returned bytes, as does everybody else who asks for the result, and
// a call of [Future.Then] whose argument they are.
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

// State tells where the call is. It does not block.
func (f *Future) State() State {
	switch s := State(f.state.Load()); s {
	case settling:
		return Pending
	case recalled:
		return Cancelled
	default:
		return s
	}
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

// String describes the future for logs: with its task and its state, and one that has
// failed with the kind of its failure.
func (f *Future) String() string {
	state := f.State().String()
	if f.resolved() && f.State() == Finished && f.err != nil {
		state = "failed"
		if e, ok := f.err.(*TaskError); ok { //nolint:errorlint // no other error wraps one here
			state += ": " + e.Kind.String()
		}
	}
	return "Future(" + f.taskName() + ", " + state + ")"
}

// resolved reports whether the outcome may be read. Once it is true nobody else
// touches the future, so that Map can use it again.
func (f *Future) resolved() bool { return f.waiters.Load() == resolved }

// Cancel withdraws a call that has not begun: the future is then resolved with
// [ErrCancelled], at once while the call waits on the root, else as soon as the worker
// that has it has let it go, a millisecond as a rule. A call that began a moment ago, of which
// the root does not know yet, is ended. It reports whether the call is
// cancelled, also by another Cancel: false for one that runs or is done. It does not
// block.
func (f *Future) Cancel() bool {
	for ; ; runtime.Gosched() {
		switch s := State(f.state.Load()); s {
		case Pending:
			if f.giveUp(always(ErrCancelled)) {
				return true
			}
		case Sent:
			if f.state.CompareAndSwap(uint32(Sent), uint32(recalled)) {
				f.ex.in.recall(f)
				return true
			}
		case settling: // for some instructions
		default:
			return s == Cancelled || s == recalled
		}
	}
}

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

// settle wakes who waits, when the state is that of the outcome. After the swap somebody
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
