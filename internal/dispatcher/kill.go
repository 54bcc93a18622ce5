package dispatcher

import (
	"fmt"
	"math"
	"slices"

	"github.com/wasmpool/wasmpool/host"
)

// killed makes the error of a call that is killed where it waits.
func killed(reason string) func(*Call) error {
	return func(c *Call) error {
		e := killedFailure(c, reason)
		e.Attempt-- // the one that does not come
		return c.owner.Dispatcher.failures.Fail(e)
	}
}

// killedFailure returns the failure of a call that is killed.
func killedFailure(c *Call, reason string) Failure {
	e := Failure{Kind: host.KindKilled, Message: reason, Attempt: int(c.attempt), Rank: -1}
	if w := c.worker; w != nil { // that has it, or had it last
		e.Rank, e.Host = w.rank, w.host
	}
	if c.task != nil {
		e.Task = c.task.name
	}
	return e
}

// KillWhere kills the calls that match, and returns how many there were.
func (l *Loop) KillWhere(match func(*Call) bool, reason string) int {
	running := l.sched.flyingWhere(match)
	n := 0
	for _, c := range running {
		n += c.calls()
	}
	for _, c := range l.sched.checks {
		if match(c) {
			running = append(running, c)
			n++
		}
	}
	l.kill(running, reason)
	return n + l.dropPending(match, killed(reason))
}

// KillCall is KillWhere for the call with that number.
func (l *Loop) KillCall(number uint64, match func(*Call) bool, reason string) int {
	l.sched.singleOut(number)
	for _, c := range l.sched.tickets {
		if c == nil || c.duplicate() || !c.has(number) {
			continue
		}
		if p := c.head(); p != nil {
			l.takeApart(c.worker, p, uint32(number))
		}
		break
	}
	return l.KillWhere(func(c *Call) bool { return c.has(number) && match(c) }, reason)
}

// kill asks the workers to end calls. Those that are done, or that were given
// back meanwhile, take care of themselves.
func (l *Loop) kill(calls []*Call, reason string) {
	flying := calls[:0]
	for _, c := range calls {
		switch {
		case l.sched.inFlight(c):
			c.lost, c.err = beingKilled, killReason(reason)
			flying = append(flying, c)
		case l.dropCheck(c):
			c.finish(nil, l.failures.Fail(killedFailure(c, reason)), &l.counts)
		default:
			c.giveUp(killed(reason))
		}
	}
	l.order(flying, host.KindKilled, reason)
}

// order has workers end calls in flight, wherever they run. Those whose results wait for room end at once.
func (l *Loop) order(calls []*Call, kind host.Kind, reason string) {
	flying := make([]*Call, 0, len(calls))
	for _, c := range calls {
		if l.room.drop(c, kind, reason) {
			continue
		}
		switch duplicate := l.duplicates.pairs[c]; {
		case duplicate == nil:
			flying = append(flying, c)
		case !l.room.drop(duplicate, kind, reason):
			flying = append(flying, c, duplicate)
		}
	}
	l.out.order(flying, kind, reason)
}

// recall asks the workers to let go of calls that were cancelled, with their results where
// those have not been sent. Those that have come back meanwhile are resolved.
func (l *Loop) recall(calls []*Call) {
	l.order(slices.DeleteFunc(calls, func(c *Call) bool { return !l.sched.inFlight(c) }), host.KindCancelled, cancelReason)
}

// cancelReason is what workers are told of calls that are recalled.
const cancelReason = "it was cancelled"

// recallWhere recalls the calls that match and that have not begun, as far as is known.
func (l *Loop) recallWhere(match func(*Call) bool) {
	l.recall(l.sched.flyingWhere(func(c *Call) bool {
		return match(c) && c.state.CompareAndSwap(uint32(Sent), uint32(recalled))
	}))
}

// beingKilled stands in call.lost for a call that is being killed where it runs. No
// call outlives so many workers.
const beingKilled = math.MaxUint8

// A killReason stands in call.err for why a call is being killed, until it has an outcome.
type killReason string

func (r killReason) Error() string { return string(r) }

// endUnanswered resolves a call that came back without an answer, if it was to be
// killed or let go, and reports whether it did.
func (l *Loop) endUnanswered(w *worker, c *Call) bool {
	if c.lost != beingKilled {
		if State(c.state.Load()) != recalled {
			return false
		}
		c.finish(nil, ErrCancelled, &l.counts)
		return true
	}
	delete(l.checks.firsts, c)
	reason := c.err.Error()
	if w.lost {
		reason = fmt.Sprintf("%s (rank %d was lost before it answered)", reason, w.rank)
	}
	e := killedFailure(c, reason)
	e.Rank, e.Host = w.rank, w.host
	c.finish(nil, l.failures.Fail(e), &l.counts)
	return true
}
