package executor

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/wasmpool/wasmpool/host"
)

// A RetryPolicy says which failures are followed by another run of the call, and
// how. The task sees which run it is in sdk.Attempt. The zero value retries
// nothing but a lost worker.
//
// The loss of a worker is no failure of the task: the call runs elsewhere, at
// once, and does not count towards Attempts. A call that loses several workers
// is taken for poison and fails with kind lost.
type RetryPolicy struct {
	// Attempts is how often the call runs at most, up to 100.
	//
	// Defaults to 1.
	Attempts int

	// Kinds are the failures after which it runs again.
	//
	// Defaults to all but those that another run cannot cure: bad input, a bad
	// module, an unknown task, and calls that were cancelled or killed.
	Kinds []Kind

	// Backoff is the pause before the second run; each further one is twice as
	// long as the last, but not longer than MaxBackoff.
	//
	// They default to none and a minute.
	Backoff, MaxBackoff time.Duration

	// MoreMemory and MoreTime are what the call's limits are multiplied with
	// before a further run, when it failed for want of memory or time. A limit
	// that the call does not set itself is not changed.
	//
	// They are at least 1, which is the default.
	MoreMemory, MoreTime float64

	// Workers is how many workers may be lost with the call before it fails.
	//
	// Defaults to 3.
	Workers int
}

const defaultMaxBackoff = time.Minute

// mostRuns bounds the runs that a policy may ask for.
const mostRuns = 100

// maxLost is how many workers may be lost with a call before it fails.
const maxLost = 3

func (p *RetryPolicy) validate() error {
	if p.Attempts < 0 || p.Attempts > mostRuns || p.Workers < 0 || p.Workers > mostRuns {
		return fmt.Errorf("executor: RetryPolicy.Attempts (%d) and Workers (%d) must be from 0 to %d", p.Attempts, p.Workers, mostRuns)
	}
	if p.Backoff < 0 || p.MaxBackoff < 0 {
		return fmt.Errorf("executor: RetryPolicy.Backoff (%v) and MaxBackoff (%v) must not be negative", p.Backoff, p.MaxBackoff)
	}
	for _, factor := range []float64{p.MoreMemory, p.MoreTime} {
		if factor != 0 && !(factor >= 1 && factor <= math.MaxFloat64) {
			return fmt.Errorf("executor: RetryPolicy.MoreMemory (%v) and MoreTime (%v) must be numbers of 1 or more", p.MoreMemory, p.MoreTime)
		}
	}
	return nil
}

// allows reports whether a call that has failed so runs again.
func (p *RetryPolicy) allows(kind Kind, runs int) bool {
	if runs >= p.Attempts {
		return false
	}
	if p.Kinds != nil {
		return slices.Contains(p.Kinds, kind)
	}
	switch kind {
	case host.KindBadInput, host.KindBadModule, host.KindUnknownTask, host.KindCancelled, host.KindKilled:
		return false
	default:
		return true
	}
}

// pause returns how long the call rests after so many runs.
func (p *RetryPolicy) pause(runs int) time.Duration {
	most := p.MaxBackoff
	if most == 0 {
		most = defaultMaxBackoff
	}
	d := p.Backoff
	for ; runs > 1 && d < most; runs-- {
		d *= 2
	}
	return min(d, most)
}

// more returns the options for the run after a failure.
func (o *callOptions) more(kind Kind) *callOptions {
	p := o.retry
	if o.limits == nil || kind != host.KindMemory && kind != host.KindTimeout {
		return o
	}
	next, limits := *o, *o.limits
	if kind == host.KindMemory {
		limits.Memory = times(limits.Memory, p.MoreMemory)
	} else {
		limits.Time = times(limits.Time, p.MoreTime)
	}
	next.limits = &limits
	return &next
}

// checkInitializer breaks the pool where the initializer failed: every further call would meet
// that error.
func (l *loop) checkInitializer(e *TaskError) {
	if e.Kind == host.KindInitializer {
		l.log.Error("the initializer failed, so that no call can run", "rank", e.Rank, "host", e.Host, "error", e)
		l.ending.fail(e)
	}
}

// afterFailure takes the failure of a call that is no longer in flight: the call is
// resolved, or waits to run again.
func (l *loop) afterFailure(f *Future, err *TaskError) (woken bool) {
	l.checkInitializer(err)
	if f.options == nil || f.options.retry == nil || f.lost == doomed || l.ending.broken != nil || l.ending.refuses(f) != nil {
		return f.finish(nil, err, &l.counts)
	}
	p, runs := f.options.retry, int(f.attempt)-int(f.lost)
	if !p.allows(err.Kind, runs) {
		return f.finish(nil, err, &l.counts)
	}
	before := f.options
	f.options = f.options.more(err.Kind)
	f.attempt++ // before others may resolve it
	attempt := f.attempt
	if !f.leave(Pending) {
		f.options, f.attempt = before, attempt-1
		return f.finish(nil, err, &l.counts)
	}
	l.counts.retried++
	l.log.Debug("a call failed and runs again", append(f.words(), "call", f.number, "attempt", attempt, "error", err)...)
	l.rest(f, p.pause(runs))
	return false
}

// rest queues a pending call again after a pause.
func (l *loop) rest(f *Future, pause time.Duration) {
	if pause == 0 {
		l.pushFront(f)
		return
	}
	l.resting.add(f, pause, (*loop).pushFront)
}

// afterLoss queues a call again that was in flight at a lost worker, unless it has
// lost several already.
func (l *loop) afterLoss(w *worker, f *Future) {
	if l.endUnanswered(w, f) {
		return
	}
	most := maxLost
	if f.options != nil && f.options.retry != nil && f.options.retry.Workers > 0 {
		most = f.options.retry.Workers
	}
	f.lost++
	if int(f.lost) >= most {
		f.finish(nil, &TaskError{
			Task: f.task.name, Kind: host.KindLost, Rank: w.rank, Host: w.host, Attempt: int(f.attempt),
			Message: diedWith(int(f.lost), w),
		}, &l.counts)
		return
	}
	f.attempt++
	l.counts.retried++
	l.requeue(f)
}

// diedWith says that a call was given up after the loss of n workers, w the last.
func diedWith(n int, w *worker) string {
	if n == 1 {
		return fmt.Sprintf("its worker, rank %d on %s, died while it held the call", w.rank, w.host)
	}
	return fmt.Sprintf("%d workers died while they held the call, the last of them rank %d on %s", n, w.rank, w.host)
}

// requeue puts a call that was in flight back at the head of the queue.
func (l *loop) requeue(f *Future) {
	if !f.leave(Pending) {
		f.finish(nil, ErrCancelled, &l.counts)
		return
	}
	l.pushFront(f)
}

// pushFront puts a pending call at the head of the queue, unless it was resolved meanwhile.
func (l *loop) pushFront(f *Future) {
	if err := l.ending.refuses(f); err != nil {
		f.withdraw(always(err))
		return
	}
	if !f.hold() {
		return
	}
	l.in.sent(-1, -f.size)
	f.queued -= l.now
	l.sched.queue.pushFront(f)
	f.state.Store(uint32(Pending))
}

// refuse resolves a call that was just taken in: it was promised, or submitted while its
// executor was shut down.
func (l *loop) refuse(f *Future) {
	l.in.sent(1, f.size)
	f.withdraw(l.ending.refuses)
}
