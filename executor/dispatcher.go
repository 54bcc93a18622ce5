package executor

import (
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wasmpool/wasmpool/internal/monotime"
	"github.com/wasmpool/wasmpool/internal/transport"
)

// A dispatcher runs the root's loop. As a rule its own goroutine does, which holds the loop's
// lock whenever it is awake. While that goroutine sleeps, a goroutine that submits a call may
// take the lock and send the call by itself, and Call looks for the answer, too: waking a thread
// takes longer than everything else that a call needs after a pause.
//
// All its methods but run, and those that are given the loop, are safe for concurrent use.
type dispatcher struct {
	shared
	lock   loopLock
	bell   *transport.Bell
	asleep atomic.Bool // its goroutine must be woken
}

// shared is what the loop and other goroutines both use, without the lock. All of it is safe
// for concurrent use.
type shared struct {
	in          *intake       // the way into the loop
	demand      demand        // tells feeders that workers have room
	withdrawn   atomic.Int64  // calls withdrawn since the queue was swept; about as many are in it
	slots       atomic.Int64  // of the workers that live
	joined      chan struct{} // closed when no worker is awaited any more
	resultBytes int64         // bytes of long results that may be on their way at once
}

// A loopLock guards the loop, and is the only way to it: whoever has the loop holds the lock.
// There are two ways to get it: to take the lock, and to be called by the loop, as a request of
// the intake is.
type loopLock struct {
	mu   sync.Mutex
	loop *loop
}

// acquire waits for the lock, and returns the loop.
func (k *loopLock) acquire() *loop {
	k.mu.Lock()
	return k.loop
}

// try returns the loop if the lock is free, else nil.
func (k *loopLock) try() *loop {
	if !k.mu.TryLock() {
		return nil
	}
	return k.loop
}

// release gives up the lock, and the loop with it. After that the intake must be looked into: a
// goroutine that submitted meanwhile and could not take the lock relies on it.
func (k *loopLock) release() { k.mu.Unlock() }

// attention is for how long a caller looks for the answer before it leaves that to the
// dispatcher's goroutine.
const attention = spinFresh

// newDispatcher returns a dispatcher with an empty pool. Its lock is held until run, which
// takes it over.
func newDispatcher(in *intake, bell *transport.Bell, resultBytes int64, log *slog.Logger) *dispatcher {
	d := &dispatcher{shared: shared{in: in, joined: make(chan struct{}), resultBytes: resultBytes}, bell: bell}
	d.lock.loop = newLoop(&d.shared, log)
	d.lock.acquire()
	return d
}

// run serves until it was asked to stop and nothing is left, or the pool broke.
// Every call that was taken in is resolved when it returns the last state of the pool, and what
// broke it.
func (d *dispatcher) run() (last Stats, err error) {
	l := d.lock.loop // locked since newDispatcher
	l.idler.start(monotime.Now())
	for !l.finished() && l.ending.broken == nil {
		if silent := l.step(); silent > 0 && l.ending.broken == nil {
			d.wait(l, silent)
		}
		l.late.write()
	}
	l.end()
	return l.stats(), l.ending.broken
}

// wake wakes the dispatcher's goroutine if it sleeps.
func (d *dispatcher) wake() {
	if d.asleep.Load() {
		d.bell.Ring()
	}
}

// serve has a call that was taken in sent at once, if the dispatcher's goroutine sleeps.
func (d *dispatcher) serve() {
	if !d.asleep.Load() {
		return
	}
	if l := d.lock.try(); l != nil {
		d.visit(l, func() {
			l.sched.rouse()
			l.step()
		})
	}
}

// attend sees to a call that was taken in: if the dispatcher's goroutine sleeps, it sends the
// call and looks for its result for a while.
func (d *dispatcher) attend(f *Future) {
	l := d.lock.try()
	if l == nil {
		return
	}
	d.visit(l, func() {
		l.sched.rouse()
		var spinner transport.Spinner
		for begin := monotime.Now(); ; spinner.Turn() {
			silent := l.step()
			l.idler.attended = true
			if f.resolved() || l.ending.broken != nil || !l.patient(silent) || monotime.Now()-begin > int64(attention) {
				return
			}
		}
	})
}

// visit lets a caller that has taken the lock do something with the loop, and releases it. A
// panic breaks the pool, as the caller may survive it.
func (d *dispatcher) visit(l *loop, do func()) {
	l.late.hold = true
	whole := false
	defer func() {
		if !whole {
			l.ending.fail(errPanicked)
		}
		d.leave(l)
	}()
	do()
	whole = true
}

var errPanicked = errors.New("executor: the loop panicked on a caller's goroutine")

// leave ends a caller's visit, and wakes the dispatcher's goroutine where something is
// under way.
func (d *dispatcher) leave(l *loop) {
	needed := l.underWay() || l.announceSleep() || l.late.has()
	l.late.hold = false
	if needed && d.asleep.Load() {
		d.asleep.Store(false) // the next need not ring, too
		d.bell.Ring()
	}
	d.lock.release()
	if !d.in.empty() {
		d.wake()
	}
}

// wait waits for something to happen, after so much silence.
func (d *dispatcher) wait(l *loop, silent time.Duration) {
	switch p := l.pause(silent); p.how {
	case pollAgain:
		l.spinner.Turn()
	case watch:
		d.lock.release()
		d.watch(p.d)
		d.lock.acquire()
	case nap:
		d.lock.release()
		if d.in.empty() {
			transport.Nap(p.d)
		}
		d.lock.acquire()
	case doze:
		d.doze(l, p.d)
	}
}

// doze waits for the bell, at most for limit if that is not 0. The lock is free meanwhile.
func (d *dispatcher) doze(l *loop, limit time.Duration) {
	if l.announceSleep() {
		return
	}
	d.asleep.Store(true)
	d.lock.release()
	rung := d.in.empty() && d.bell.Wait(limit)
	d.lock.acquire()
	if rung {
		l.idler.rung(monotime.Now())
	}
	d.asleep.Store(false)
}

// watch waits for a call without sleeping, for so long.
func (d *dispatcher) watch(limit time.Duration) {
	var spinner transport.Spinner
	for begin := monotime.Now(); d.in.empty() && monotime.Now()-begin < int64(limit); {
		spinner.Turn()
	}
}
