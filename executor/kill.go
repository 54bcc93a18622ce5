package executor

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/wasmpool/wasmpool/host"
)

// Kill ends the call, wherever it is: one that waits is resolved at once, one
// that runs within milliseconds, whatever its guest does, but not before a long
// argument that is on its way to another node has left. The future is then
// resolved with a [*TaskError] of kind killed, which matches [ErrKilled], whose
// message is reason. Kill returns false for a call that is done. It does not
// block; a call that ends at the same time may still give its result.
func (f *Future) Kill(reason string) bool {
	if f.giveUp(killed(reason)) {
		return true
	}
	if f.ex == nil || f.resolved() {
		return false
	}
	f.ex.in.request(func(l *loop) { l.kill([]*Future{f}, reason) })
	return true
}

// KillAll kills every call of this executor: with the one that was opened first,
// those of its forks too. See [Future.Kill]. It returns how many
// there were. It waits for the loop, a few microseconds as a rule, or until ctx
// ends; they are killed all the same then.
func (ex *Executor) KillAll(ctx context.Context, reason string) (int, error) {
	return ex.killWhere(ctx, func(*Future) bool { return true }, reason)
}

// KillTask kills every call of one task. See [Executor.KillAll].
func (ex *Executor) KillTask(ctx context.Context, name, reason string) (int, error) {
	t, err := ex.tasks.lookup(name)
	if err != nil {
		return 0, err
	}
	return ex.killWhere(ctx, func(f *Future) bool { return f.task == t }, reason)
}

// KillTag kills every call that has the tag among its [Tags], of whichever task;
// no call need have it. See [Executor.KillAll].
func (ex *Executor) KillTag(ctx context.Context, tag, reason string) (int, error) {
	return ex.killWhere(ctx, func(f *Future) bool { return f.options != nil && slices.Contains(f.options.tags, tag) }, reason)
}

// killWhere kills the calls that match, which runs on the loop.
func (ex *Executor) killWhere(ctx context.Context, match func(*Future) bool, reason string) (int, error) {
	if ex.fork != nil {
		all := match
		match = func(f *Future) bool { return ex.owns(f) && all(f) }
	}
	n := 0
	switch err := ex.onLoop(ctx, func(l *loop) { n = l.killWhere(match, reason) }); {
	case errors.Is(err, ErrClosed):
		return 0, nil // nothing is left
	case err != nil:
		return 0, err
	}
	return n, nil
}

// killed makes the error of a call that is killed where it waits.
func killed(reason string) func(*Future) error {
	return func(f *Future) error { return killedError(f, reason) }
}

func killedError(f *Future, reason string) *TaskError {
	e := &TaskError{Kind: host.KindKilled, Message: reason, Attempt: int(f.attempt)}
	if f.task != nil {
		e.Task = f.task.name
	}
	return e
}

// killWhere kills the calls that match, and returns how many there were.
func (l *loop) killWhere(match func(*Future) bool, reason string) int {
	var running []*Future
	for _, f := range l.sched.tickets {
		if f != nil && match(f) {
			running = append(running, f)
		}
	}
	l.kill(running, reason)
	return len(running) + l.dropPending(match, killed(reason))
}

// kill asks the workers to end calls. Those that are done, or that were given
// back meanwhile, take care of themselves.
func (l *loop) kill(calls []*Future, reason string) {
	flying := calls[:0]
	for _, f := range calls {
		if l.sched.inFlight(f) {
			f.lost = doomed
			if !l.room.drop(f, host.KindKilled, reason) {
				flying = append(flying, f)
			}
		} else {
			f.giveUp(killed(reason))
		}
	}
	l.out.order(flying, host.KindKilled, reason)
}

// recall asks the workers to let go of calls that were cancelled, with their results where
// those have not been sent. Those that have come back meanwhile are resolved.
func (l *loop) recall(calls []*Future) {
	calls = slices.DeleteFunc(calls, func(f *Future) bool { return !l.sched.inFlight(f) || l.room.drop(f, host.KindCancelled, cancelReason) })
	l.out.order(calls, host.KindCancelled, cancelReason)
}

// cancelReason is what workers are told of calls that are recalled.
const cancelReason = "it was cancelled"

// recallWhere recalls the calls that match and that have not begun, as far as is known.
func (l *loop) recallWhere(match func(*Future) bool) {
	var calls []*Future
	for _, f := range l.sched.tickets {
		if f != nil && match(f) && f.state.CompareAndSwap(uint32(Sent), uint32(recalled)) {
			calls = append(calls, f)
		}
	}
	l.recall(calls)
}

// doomed stands in Future.lost for a call that is being killed where it runs. No
// call outlives so many workers.
const doomed = math.MaxUint8

// endUnanswered resolves a call that came back without an answer, if it was to be
// killed or let go, and reports whether it did.
func (l *loop) endUnanswered(w *worker, f *Future) bool {
	if f.lost != doomed {
		if State(f.state.Load()) != recalled {
			return false
		}
		f.finish(nil, ErrCancelled, &l.counts)
		return true
	}
	e := killedError(f, fmt.Sprintf("it was killed on rank %d, which did not answer for it", w.rank))
	e.Rank, e.Host = w.rank, w.host
	f.finish(nil, e, &l.counts)
	return true
}
