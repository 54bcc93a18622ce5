package executor

import (
	"context"
	"errors"

	"github.com/wasmpool/wasmpool/internal/dispatcher"
)

// Cancel withdraws a call that has not begun: the future is then resolved with
// [ErrCancelled], at once while the call waits on the root, else as soon as the worker
// that has it has let it go, a millisecond as a rule. A call that began a moment ago, of which
// the root does not know yet, is ended. It reports whether the call is
// cancelled, also by another Cancel: false for one that runs or is done. It does not
// block.
func (f *Future) Cancel() bool { return f.call.Cancel() }

// Kill ends the call, wherever it is: one that waits is resolved at once, one
// that runs within milliseconds, whatever its guest does, but not before a long
// argument that is on its way to another node has left. The future is then
// resolved with a [*TaskError] of kind killed, which matches [ErrKilled], whose
// message is reason, of a call that a worker has the first 1,024 bytes. Kill returns false for a call that is done. It does not
// block; a call that ends at the same time may still give its result.
func (f *Future) Kill(reason string) bool { return f.call.Kill(reason) }

// KillAll kills every call of this executor: with the one that was opened first,
// those of its forks too. See [Future.Kill]. It returns how many
// there were. It waits for the loop, a few microseconds as a rule, or until ctx
// ends; they are killed all the same then. Calls that are submitted later are not touched.
func (ex *Executor) KillAll(ctx context.Context, reason string) (int, error) {
	return ex.killWhere(ctx, everyCall, reason)
}

// KillTask kills every call of one task. See [Executor.KillAll].
func (ex *Executor) KillTask(ctx context.Context, name, reason string) (int, error) {
	t, err := ex.tasks.Lookup(name)
	if err != nil {
		return 0, err
	}
	return ex.killWhere(ctx, func(c *dispatcher.Call) bool { return c.Task() == t }, reason)
}

// KillTag kills every call that has the tag among its [Tags], of whichever task;
// no call need have it. See [Executor.KillAll].
func (ex *Executor) KillTag(ctx context.Context, tag, reason string) (int, error) {
	return ex.killWhere(ctx, func(c *dispatcher.Call) bool { return c.Tagged(tag) }, reason)
}

// KillCall kills the call with that number, which updates of [Executor.Watch], reports and logs have. It reports
// false where there is none that has not ended. See [Executor.KillAll].
func (ex *Executor) KillCall(ctx context.Context, number uint64, reason string) (bool, error) {
	submitted := ex.submitted()
	n, err := ex.kill(ctx, func(l *dispatcher.Loop) int { return l.KillCall(number, submitted, reason) })
	return n > 0, err
}

// killWhere kills the calls that match, which runs on the loop.
func (ex *Executor) killWhere(ctx context.Context, match func(*dispatcher.Call) bool, reason string) (int, error) {
	submitted := ex.submitted()
	return ex.kill(ctx, func(l *dispatcher.Loop) int {
		return l.KillWhere(func(c *dispatcher.Call) bool { return submitted(c) && match(c) }, reason)
	})
}

// kill has the loop kill calls, and returns how many there were.
func (ex *Executor) kill(ctx context.Context, do func(*dispatcher.Loop) int) (int, error) {
	n := 0
	switch err := ex.onLoop(ctx, func(l *dispatcher.Loop) { n = do(l) }); {
	case errors.Is(err, ErrClosed):
		return 0, nil // nothing is left
	case err != nil:
		return 0, err
	}
	return n, nil
}

// CancelAll resolves every call of this executor that has not begun with
// [ErrCancelled]; with the one that was opened first, those of its forks too. It does
// not block: they are resolved soon after, as with [Future.Cancel]. Calls that are submitted
// after it has returned are not touched.
func (ex *Executor) CancelAll() {
	submitted := ex.submitted()
	ex.dispatcher.Request(func(l *dispatcher.Loop) { l.Cancel(submitted) })
}

// submitted returns what matches the calls of this executor that were submitted before, with
// the one that was opened first those of its forks too: when the loop looks, there may be more.
func (ex *Executor) submitted() func(*dispatcher.Call) bool {
	newest := ex.dispatcher.Newest()
	return func(c *dispatcher.Call) bool { return c.Number() <= newest && (ex.fork == nil || ex.owns(c)) }
}

// owns reports whether c is a call of this executor.
func (ex *Executor) owns(c *dispatcher.Call) bool { return c.Owner() == &ex.owner }

// everyCall matches every call.
func everyCall(*dispatcher.Call) bool { return true }
