package dispatcher

import (
	"fmt"
	"slices"
	"time"

	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/internal/monotime"
	"github.com/wasmpool/wasmpool/internal/wire"
)

// A RetryPolicy says which failures are followed by another run of the call, and how.
type RetryPolicy struct {
	Attempts             int           // how often the call runs at most; 0 is once
	Kinds                []host.Kind   // the failures after which it runs again; nil for all that another run may cure
	Backoff, MaxBackoff  time.Duration // the pause before the second run, and the longest; 0 is none, and a minute
	MoreMemory, MoreTime float64       // what limits are multiplied with after a failure for want of them; 0 is 1
	Workers              int           // how many workers may be lost with the call before it fails; 0 is maxLost
}

const defaultMaxBackoff = time.Minute

// maxLost is how many workers may be lost with a call before it fails.
const maxLost = 3

// allows reports whether a call that has failed so runs again.
func (p *RetryPolicy) allows(kind host.Kind, runs int) bool {
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

// checkInitializer breaks the pool where the initializer failed: every further call would meet
// that error.
func (l *Loop) checkInitializer(e Failure, err error) {
	if e.Kind == host.KindInitializer {
		l.log.Error("the initializer failed, so that no call can run", "rank", e.Rank, "host", e.Host, "error", err)
		l.ending.fail(err)
	}
}

// afterFailure takes the failure of a call that is no longer in flight: the call is
// resolved, or waits to run again.
func (l *Loop) afterFailure(c *Call, e Failure, res *wire.Result) (woken bool) {
	if o := c.options; o != nil && o.Results != nil {
		o.Results.Hold(0, 0)
	}
	e.NoStart = l.cannotStart(c.task.module, c.worker, &e)
	err := l.failures.Fail(e)
	l.checkInitializer(e, err)
	if l.on() {
		l.noteRun(c.worker, c, res, 0, err)
	}
	if c.options == nil || c.options.Retry == nil || c.lost == beingKilled || l.ending.broken != nil || l.ending.refuses(c) != nil {
		return c.finish(nil, err, &l.counts)
	}
	p, runs := c.options.Retry, int(c.attempt)-int(c.lost)
	if !p.allows(e.Kind, runs) {
		return c.finish(nil, err, &l.counts)
	}
	before := c.options
	c.options = c.options.more(e.Kind)
	c.attempt++ // before others may resolve it
	attempt := c.attempt
	if !c.leave(Pending) {
		c.options, c.attempt = before, attempt-1
		return c.finish(nil, err, &l.counts)
	}
	l.counts.retried++
	l.noteAgain()
	l.log.Debug("a call failed and runs again", append(c.words(), "call", c.number, "attempt", attempt, "error", err)...)
	l.rest(c, p.pause(runs))
	return false
}

// rest queues a pending call again after a pause.
func (l *Loop) rest(c *Call, pause time.Duration) {
	if pause == 0 {
		l.pushFront(c)
		return
	}
	l.resting.add(c, pause, (*Loop).pushFront)
}

// afterLoss queues a call again that was in flight at a lost worker, unless it has
// lost several already.
func (l *Loop) afterLoss(w *worker, c *Call) {
	if c.duplicate() || l.endUnanswered(w, c) {
		return
	}
	if p := c.head(); p != nil {
		l.afterLossOfStretch(w, p)
		return
	}
	if l.checks.first(c) != nil {
		l.settleUnchecked(c)
		return
	}
	most := maxLost
	if c.options != nil && c.options.Retry != nil && c.options.Retry.Workers > 0 {
		most = c.options.Retry.Workers
	}
	c.lost++
	err := l.failures.Fail(Failure{
		Task: c.task.name, Kind: host.KindLost, Rank: w.rank, Host: w.host, Attempt: int(c.attempt),
		Message: diedWith(int(c.lost), w),
	})
	if l.on() {
		l.noteRun(w, c, &wire.Result{}, 0, err)
	}
	if int(c.lost) >= most {
		c.finish(nil, err, &l.counts)
		return
	}
	c.attempt++
	l.counts.retried++
	l.noteAgain()
	l.requeue(c)
}

// diedWith says that a call was given up after the loss of n workers, w the last.
func diedWith(n int, w *worker) string {
	if n == 1 {
		return fmt.Sprintf("its worker, rank %d on %s, died while it held the call", w.rank, w.host)
	}
	return fmt.Sprintf("%d workers died while they held the call, the last of them rank %d on %s", n, w.rank, w.host)
}

// requeue puts a call that was in flight back at the head of the queue.
func (l *Loop) requeue(c *Call) {
	if !c.leave(Pending) {
		c.finish(nil, ErrCancelled, &l.counts)
		return
	}
	l.pushFront(c)
}

// pushFront puts a pending call at the head of the queue, unless it was resolved meanwhile.
func (l *Loop) pushFront(c *Call) {
	if err := l.ending.refuses(c); err != nil {
		c.withdraw(always(err))
		return
	}
	if !c.hold() {
		return
	}
	l.in.sent(-c.calls(), -c.size)
	c.queued -= monotime.Now()
	l.sched.queue.pushFront(c)
	c.state.Store(uint32(Pending))
}

// refuse resolves a call that was just taken in: it was promised, or submitted while its
// executor was shut down.
func (l *Loop) refuse(c *Call) {
	l.in.sent(c.calls(), c.size)
	c.withdraw(l.ending.refuses)
}
