package executor

import (
	"errors"
	"time"

	"github.com/wasmpool/wasmpool/internal/monotime"
	"github.com/wasmpool/wasmpool/internal/transport"
)

// The helm of the loop is a lock that its goroutine holds whenever it is awake. While
// it sleeps, who submits a call may take the helm and send the call by itself,
// and Call looks for the answer, too: waking a thread takes longer than
// everything else that a call needs after a pause.
//
// Who leaves the helm looks into the intake after that: who submitted meanwhile and
// could not take it relies on it.

// attention is for how long a caller looks for the answer before it leaves that to
// the loop.
const attention = spinFresh

// wake wakes the loop if it sleeps. It is safe for concurrent use.
func (l *loop) wake() {
	if l.asleep.Load() {
		l.bell.Ring()
	}
}

// serve has a call that was taken in sent at once, if the loop sleeps. It is
// safe for concurrent use.
func (l *loop) serve() {
	if l.asleep.Load() && l.helm.TryLock() {
		l.visit(func() {
			l.rouse()
			l.step()
		})
	}
}

// attend sees to a call that was taken in: if the loop does not do it, it sends it
// and looks for its result for a while. It is safe for concurrent use.
func (l *loop) attend(f *Future) {
	if !l.helm.TryLock() {
		return
	}
	l.visit(func() {
		l.rouse()
		var spinner transport.Spinner
		for begin := monotime.Now(); ; spinner.Turn() {
			silent := l.step()
			l.idler.attended = true
			if f.resolved() || l.broken != nil || !l.idler.patient(silent, l.pending()) || monotime.Now()-begin > int64(attention) {
				return
			}
		}
	})
}

// visit lets a caller that has taken the helm do something, and leave it. A panic
// breaks the pool, as the caller may survive it.
func (l *loop) visit(do func()) {
	l.visited = true
	whole := false
	defer func() {
		if !whole {
			l.fail(errPanicked)
		}
		l.leave()
	}()
	do()
	whole = true
}

var errPanicked = errors.New("executor: the loop panicked on a caller's goroutine")

// rouse wakes the worker that would get a call while the frame for it is made.
func (l *loop) rouse() {
	if w := l.sched.idle.head; w != nil && w.fabric.waker != nil {
		w.fabric.waker.Rouse(w.peer)
	}
}

// leave leaves the helm to the loop's goroutine, and wakes it where something is
// under way.
func (l *loop) leave() {
	needed := l.stopping || l.broken != nil || l.sched.busy() || l.pending() || l.retire() || len(l.lines) > 0
	l.visited = false
	if needed && l.asleep.Load() {
		l.asleep.Store(false) // the next need not ring, too
		l.bell.Ring()
	}
	l.helm.Unlock()
	if !l.in.empty() {
		l.wake()
	}
}

// retire tells the endpoints that nobody will look for a while. It reports
// whether there is a reason not to sleep.
func (l *loop) retire() bool {
	for _, f := range l.fabrics {
		f.ep.Doze()
	}
	return l.poll() > 0 || l.broken != nil
}

// doze waits for the bell, at most for d if that is not 0, without the helm.
func (l *loop) doze(d time.Duration) {
	if l.retire() {
		return
	}
	l.asleep.Store(true)
	l.helm.Unlock()
	rung := l.in.empty() && l.bell.Wait(d)
	l.helm.Lock()
	if rung {
		l.idler.rung(monotime.Now())
	}
	l.asleep.Store(false)
}

// watch waits for a call without sleeping, for so long. The helm is free meanwhile.
func (l *loop) watch(d time.Duration) {
	var spinner transport.Spinner
	for begin := monotime.Now(); l.in.empty() && monotime.Now()-begin < int64(d); {
		spinner.Turn()
	}
}
