package dispatcher

import (
	"time"

	"github.com/wasmpool/wasmpool/internal/monotime"
	"github.com/wasmpool/wasmpool/internal/wire"
)

// An ending says whether the loop is to end, and which calls are not to run on the way there.
// It belongs to the loop.
type ending struct {
	stopping bool          // the loop ends when nothing is left to do
	broken   error         // why the pool cannot go on; nil while it can
	refusing error         // why no call is begun any more; nil while calls are
	over     bool          // the loop ends: nothing breaks it any more
	final    bool          // no call runs again, as those that waited were cancelled for good
	drained  chan struct{} // to be closed when no call runs; nil when nobody waits for that
	abandon  func()        // ends what runs on the root's own slots; nil without any
}

// fail breaks the pool. The first error counts.
func (e *ending) fail(err error) {
	if e.broken == nil && !e.over {
		e.broken = err
	}
}

// refuses returns why a call is not to run, or not to run again, or nil.
func (e *ending) refuses(c *Call) error {
	switch {
	case e.refusing != nil:
		return e.refusing
	case c.owner.final.Load() != nil:
		return *c.owner.final.Load()
	case e.final || c.options != nil && c.options.Origin != nil && c.options.Origin.Dropped():
		return ErrCancelled
	default:
		return nil
	}
}

// idle takes in that no call waits or runs.
func (e *ending) idle() {
	if e.drained != nil {
		close(e.drained)
		e.drained = nil
	}
}

// Fail breaks the pool. The first error counts.
func (l *Loop) Fail(err error) { l.ending.fail(err) }

// Stop makes the loop end when nothing is left to do; with final no call runs again meanwhile.
func (l *Loop) Stop(final bool) {
	l.ending.final = l.ending.final || final
	if l.ending.stopping {
		return
	}
	l.ending.stopping = true
	l.reports.stop(monotime.Now())
}

// Drain makes the loop begin no call any more. drained is closed when none runs.
func (l *Loop) Drain(cause error, drained chan struct{}) {
	l.ending.refusing, l.ending.drained = cause, drained
	l.dropPending(anyCall, always(cause))
	l.settleAllUnchecked()
	for _, w := range l.sched.workers {
		if waiting := w.inflight - w.slots; waiting > 0 && !w.asked {
			w.asked = true
			l.out.control(w, wire.TypeTakeBack, wire.TakeBack{Max: wire.MaxReturned})
		}
	}
}

// Cancel resolves the calls that match and have not begun.
func (l *Loop) Cancel(match func(*Call) bool) {
	l.dropPending(match, always(ErrCancelled))
	l.recallWhere(match)
}

func anyCall(*Call) bool { return true }

func always(err error) func(*Call) error { return func(*Call) error { return err } }

// DropPending resolves the calls that match and that no worker has with err.
func (l *Loop) DropPending(match func(*Call) bool, err error) { l.dropPending(match, always(err)) }

// dropPending resolves the calls that match and that no worker has, those that rest or
// were promised, too. It returns how many there were. They leave the queue first: a call of
// a map that is resolved may be another call's at once.
func (l *Loop) dropPending(match func(*Call) bool, err func(*Call) error) int {
	waiting := l.sched.queue.remove(match)
	var n int
	var bytes int64
	for _, c := range waiting {
		n += c.calls()
		bytes += c.size
	}
	l.in.sent(n, bytes)
	for _, c := range waiting {
		c.withdraw(err)
	}
	n += l.resting.drop(match, err)
	for _, c := range l.in.promises(match) {
		if c.withdraw(err) {
			n++
		}
	}
	return n
}

// end resolves the calls that are left and tells the workers to stop.
func (l *Loop) end() {
	err := l.ending.broken
	if err == nil {
		err = ErrClosed
	} else if l.ending.abandon != nil {
		l.ending.abandon()
	}
	l.in.end(err)
	l.takeIn()
	l.dropQueued(err)
	l.settleAllUnchecked()
	l.resting.drop(anyCall, always(err))
	l.awaitLeftovers()
	for _, w := range l.sched.workers {
		if !w.lost {
			for _, c := range l.lose(w) {
				switch {
				case c.duplicate():
				case c.lost != beingKilled && l.checks.first(c) != nil:
					l.settleUnchecked(c)
				default:
					c.finish(nil, err, &l.counts)
				}
			}
		}
	}
	for _, c := range l.in.promises(anyCall) { // their results are still looked for
		c.withdraw(always(err))
	}
	l.stopWorkers()
}

// dropQueued resolves every call that waits.
func (l *Loop) dropQueued(err error) {
	n := l.sched.queue.n
	for c := l.sched.queue.pop(); c != nil; c = l.sched.queue.pop() {
		c.withdraw(always(err))
	}
	l.in.sent(n, 0)
}

// stopWorkers sends every rank the stop frame and waits, with a bound, until
// the frames have left.
func (l *Loop) stopWorkers() {
	stop := wire.Bare(wire.TypeStop)
	for _, f := range l.fabrics {
		for rank := 1; rank < f.ep.Size(); rank++ {
			if err := f.ep.Send(rank, stop); err != nil {
				l.log.Warn("stopping a worker", "rank", rank, "error", err)
			}
		}
	}
	for deadline := time.Now().Add(stopTimeout); l.fabrics.pending() && time.Now().Before(deadline); {
		if l.poll() == 0 {
			time.Sleep(firstNap)
		}
	}
}

// stopTimeout bounds how long the end waits for the last frames to leave.
const stopTimeout = 5 * time.Second
