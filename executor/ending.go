package executor

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
	final    bool          // no call runs again, as those that waited were cancelled for good
	drained  chan struct{} // to be closed when no call runs; nil when nobody waits for that
	abandon  func()        // ends what runs on the root's own slots; nil without any
}

// fail breaks the pool. The first error counts.
func (e *ending) fail(err error) {
	if e.broken == nil {
		e.broken = err
	}
}

// refuses returns why a call is not to run, or not to run again, or nil.
func (e *ending) refuses(f *Future) error {
	switch {
	case e.refusing != nil:
		return e.refusing
	case f.ex.final.Load() != nil:
		return *f.ex.final.Load()
	case e.final || f.options != nil && f.options.of != nil && f.options.of.dropped.Load():
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

// stop makes the loop end when nothing is left to do.
func (l *loop) stop() {
	if l.ending.stopping {
		return
	}
	l.ending.stopping = true
	l.reports.stop(monotime.Now())
}

// drain makes the loop begin no call any more. drained is closed when none runs.
func (l *loop) drain(cause error, drained chan struct{}) {
	l.ending.refusing, l.ending.drained = cause, drained
	l.dropPending(anyCall, always(cause))
	for _, w := range l.sched.workers {
		if waiting := w.inflight - w.slots; waiting > 0 && !w.asked {
			w.asked = true
			l.out.control(w, wire.KindTakeBack, wire.TakeBack{Max: wire.MaxReturned})
		}
	}
}

// cancel resolves the calls that match and have not begun.
func (l *loop) cancel(match func(*Future) bool) {
	l.dropPending(match, always(ErrCancelled))
	l.recallWhere(match)
}

func anyCall(*Future) bool { return true }

func always(err error) func(*Future) error { return func(*Future) error { return err } }

// dropPending resolves the calls that match and that no worker has, those that rest or
// were promised, too. It returns how many there were. They leave the queue first: a future of
// a map that is resolved may be another call's at once.
func (l *loop) dropPending(match func(*Future) bool, err func(*Future) error) int {
	waiting := l.sched.queue.remove(match)
	var bytes int64
	for _, f := range waiting {
		bytes += f.size
	}
	l.in.sent(len(waiting), bytes)
	for _, f := range waiting {
		f.withdraw(err)
	}
	n := len(waiting) + l.resting.drop(match, err)
	for _, f := range l.in.promises(match) {
		if f.withdraw(err) {
			n++
		}
	}
	return n
}

// end resolves the calls that are left and tells the workers to stop.
func (l *loop) end() {
	err := l.ending.broken
	if err == nil {
		err = ErrClosed
	} else if l.ending.abandon != nil {
		l.ending.abandon()
	}
	l.in.end(err)
	l.takeIn()
	l.dropQueued(err)
	l.resting.drop(anyCall, always(err))
	for _, w := range l.sched.workers {
		if !w.lost {
			for _, f := range l.lose(w) {
				f.finish(nil, err, &l.counts)
			}
		}
	}
	l.stopWorkers()
	l.ends.end()
}

// dropQueued resolves every call that waits.
func (l *loop) dropQueued(err error) {
	n := l.sched.queue.n
	for f := l.sched.queue.pop(); f != nil; f = l.sched.queue.pop() {
		f.withdraw(always(err))
	}
	l.in.sent(n, 0)
}

// stopWorkers sends every rank the stop frame and waits, with a bound, until
// the frames have left.
func (l *loop) stopWorkers() {
	stop := wire.Bare(wire.KindStop)
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
