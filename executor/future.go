package executor

import (
	"context"
	"slices"
	"sync/atomic"
	"time"
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

	// All below belongs to the goroutine that submits the call until the intake has it, then to the loop,
	// or to a goroutine that has moved the pending call to settling, until the future is resolved.
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

// Done returns a channel that is closed when the future is resolved.
func (f *Future) Done() <-chan struct{} {
	return f.waiter().done
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

// failed returns a future that is resolved with err from the start.
func failed(ex *Executor, err error) *Future {
	f := &Future{ex: ex, err: err}
	f.state.Store(uint32(Finished))
	f.waiters.Store(resolved)
	return f
}
