package executor

import (
	"context"
	"time"

	"github.com/wasmpool/wasmpool/internal/dispatcher"
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
type Future struct{ call dispatcher.Call }

// Done returns a channel that is closed when the future is resolved.
func (f *Future) Done() <-chan struct{} { return f.call.Done() }

// OnDone runs fn with the future when it is resolved, at once if it is already.
// It is called exactly once. All callbacks of an executor run on one goroutine,
// never the caller's, in the order in which they came due, those of one future
// in the order in which they were added: a callback may submit calls but must
// not wait for other callbacks. One that panics, or ends its goroutine, is logged and
// stops nobody.
func (f *Future) OnDone(fn func(*Future)) {
	executorOf(&f.call).calls.when(&f.call, f, func() { fn(f) })
}

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
	Found   bool  // it did not run, as Config.Memo had its result: Rank is -1 and Attempt 0
}

// Info tells where and how the call ran. It reports false before the call has an
// outcome. Queued is counted between the turns of the executor's loop that took
// the call in and sent it, so it is short of the time in Submit by microseconds.
func (f *Future) Info() (Info, bool) {
	if !f.call.Resolved() {
		return Info{Rank: -1}, false
	}
	return Info(f.call.Info()), true
}

// Result waits for the call and returns its result, or the error that the call
// ended with: a [*TaskError] when the task failed. A result of no bytes is a
// success. When ctx ends first, Result returns ctx's error and the call goes
// on. The caller owns the returned bytes, as does everybody else who asks for the result, and
// a call of [Future.Then] whose argument they are.
func (f *Future) Result(ctx context.Context) ([]byte, error) {
	if err := f.call.Wait(ctx); err != nil {
		return nil, err
	}
	return f.call.Outcome()
}

// State tells where the call is. It does not block.
func (f *Future) State() State { return State(f.call.State()) }

// String describes the future for logs: with its task and its state, and one that has
// failed with the kind of its failure.
func (f *Future) String() string {
	state := f.State().String()
	if f.call.Resolved() && f.State() == Finished && f.call.Err() != nil {
		state = "failed"
		if e, ok := f.call.Err().(*TaskError); ok { //nolint:errorlint // no other error wraps one here
			state += ": " + e.Kind.String()
		}
	}
	return "Future(" + f.call.TaskName() + ", " + state + ")"
}

// failed returns a future that is resolved with err from the start.
func failed(ex *Executor, err error) *Future {
	f := &Future{}
	f.call.Refuse(&ex.owner, err)
	return f
}

// executorOf returns the executor whose call it is.
func executorOf(c *dispatcher.Call) *Executor {
	return c.Owner().Executor.(*Executor) //nolint:forcetypeassert // newExecutor sets it
}
