package executor

import (
	"fmt"
	"math"
	"slices"

	"github.com/wasmpool/wasmpool/host"
)

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
