package dispatcher

import (
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/internal/monotime"
	"github.com/wasmpool/wasmpool/internal/transport"
)

// A Dispatcher runs the root's loop. As a rule its own goroutine does, which holds the loop's
// lock whenever it is awake. While that goroutine sleeps, a goroutine that submits a call may
// take the lock and send the call by itself (Serve), and look for the answer, too (Attend): waking a
// thread takes longer than everything else that a call needs after a pause.
//
// All its methods but Run and those that come before it are safe for concurrent use, as far as they are not
// given the loop.
type Dispatcher struct {
	shared
	lock   loopLock
	bell   *transport.Bell
	asleep atomic.Bool // its goroutine must be woken
}

// shared is what the loop and other goroutines both use, without the lock. All of it is safe
// for concurrent use.
type shared struct {
	in        *intake      // the way into the loop
	failures  failures     // what turns failures into errors
	demand    Demand       // tells feeders that workers have room
	withdrawn atomic.Int64 // calls withdrawn since the queue was swept; about as many are in it
	slots     atomic.Int64 // of the workers that live
	cancelled atomic.Int64 // calls that were taken in or promised, and ended without having been sent
	memo      *memoCounts
	joined    chan struct{} // closed when no worker is awaited any more
	sharing   sharing       // what workers were told of shared inputs
}

// memoCounts are what came of a memo. Goroutines that submit calls count them.
type memoCounts struct {
	found    atomic.Uint64 // calls whose results were found
	differed atomic.Uint64 // calls that gave another result than was found
}

// A loopLock guards the loop, and is the only way to it: a goroutine that has the loop holds the lock.
// There are two ways to get it: to take the lock, and to be called by the loop, as a request of
// the intake is.
type loopLock struct {
	mu   sync.Mutex
	loop *Loop
}

// acquire waits for the lock, and returns the loop.
func (k *loopLock) acquire() *Loop {
	k.mu.Lock()
	return k.loop
}

// try returns the loop if the lock is free, else nil.
func (k *loopLock) try() *Loop {
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

// A Config says how a dispatcher works, and what it calls. What it calls must not block.
type Config struct {
	QueueCalls  int               // how many calls may wait
	QueueBytes  int64             // how long their arguments may be, together
	ResultBytes int64             // how many bytes of long results may be on their way at once
	ReportAfter time.Duration     // how long no call must end until the log says what each worker does; 0 is for ever
	Bell        *transport.Bell   // that of the endpoints
	Agreed      map[string]string // a digest of each setting that all ranks must have, by its name
	Logger      *slog.Logger

	// Fail makes the error that callers see of a failure. It is called once for each.
	Fail func(Failure) error

	// KindOf returns the kind of the failure that an error was made of by Fail. It reports false for
	// any other error.
	KindOf func(error) (kind host.Kind, ok bool)

	// Describe makes the text of a report. It may be nil where ReportAfter is 0.
	Describe func(Snapshot) string

	// Lost is told, on the loop, of each worker that has joined and is lost. It may be nil.
	Lost func(*Loop, Lost)
}

// New returns a dispatcher with an empty pool. Its lock is held until Run, which
// takes it over.
func New(cfg Config) *Dispatcher {
	d := &Dispatcher{
		shared: shared{
			in:       &intake{maxCalls: cfg.QueueCalls, maxBytes: cfg.QueueBytes},
			failures: failures{cfg.Fail, cfg.KindOf},
			memo:     new(memoCounts),
			joined:   make(chan struct{}),
		},
		bell: cfg.Bell,
	}
	d.in.wake = d.Wake
	d.lock.loop = newLoop(&d.shared, cfg)
	d.lock.acquire()
	return d
}

// AddWorkers makes the dispatcher serve the workers behind ep: with own the root's own slots. It is
// called before Run.
func (d *Dispatcher) AddWorkers(ep transport.Endpoint, own bool) { d.lock.loop.addFabric(ep, own) }

// OnBreak makes fn be called when the pool breaks, before its calls are resolved: it ends what runs on
// the root's own slots. It is called before Run.
func (d *Dispatcher) OnBreak(fn func()) { d.lock.loop.ending.abandon = fn }

// Dismiss tells the workers to stop, in place of Run.
func (d *Dispatcher) Dismiss() { d.lock.loop.stopWorkers() }

// Run serves until it was asked to stop and nothing is left, or the pool broke.
// Every call that was taken in is resolved when it returns the last state of the pool, and what
// broke it.
func (d *Dispatcher) Run() (last Snapshot, err error) {
	l := d.lock.loop // locked since New
	l.idler.start(monotime.Now())
	for !l.finished() && l.ending.broken == nil {
		if silent := l.step(); silent > 0 && l.ending.broken == nil {
			d.wait(l, silent)
		}
		l.late.write()
	}
	l.end()
	l.closeWatches()
	return l.Snapshot(), l.ending.broken
}

// Demand tells when workers have room and no call waits.
func (d *Dispatcher) Demand() *Demand { return &d.demand }

// Differed counts a call that gave another result than was found.
func (d *Dispatcher) Differed() { d.memo.differed.Add(1) }

// Slots returns how many slots the workers have that live.
func (d *Dispatcher) Slots() int64 { return d.slots.Load() }

// Joined returns a channel that is closed when no worker is awaited any more.
func (d *Dispatcher) Joined() <-chan struct{} { return d.joined }

// Wake wakes the dispatcher's goroutine if it sleeps.
func (d *Dispatcher) Wake() {
	if d.asleep.Load() {
		d.bell.Ring()
	}
}

// Serve has a call that was taken in sent at once, if the dispatcher's goroutine sleeps.
func (d *Dispatcher) Serve() {
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

// Attend sees to a call that was taken in: if the dispatcher's goroutine sleeps, it sends the
// call and looks for its result for a while.
func (d *Dispatcher) Attend(c *Call) {
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
			if c.Resolved() || l.ending.broken != nil || !l.patient(silent) || monotime.Now()-begin > int64(attention) {
				return
			}
		}
	})
}

// visit lets a caller that has taken the lock do something with the loop, and releases it. A
// panic breaks the pool, as the caller may survive it.
func (d *Dispatcher) visit(l *Loop, do func()) {
	l.late.hold = true
	whole := false
	defer func() {
		if !whole {
			l.ending.fail(ErrPanicked)
		}
		d.leave(l)
	}()
	do()
	whole = true
}

// ErrPanicked is why a pool is broken whose loop panicked on a goroutine that may have survived it.
var ErrPanicked = errors.New("executor: the loop panicked on a caller's goroutine")

// leave ends a caller's visit, and wakes the dispatcher's goroutine where something is
// under way.
func (d *Dispatcher) leave(l *Loop) {
	needed := l.underWay() || l.announceSleep() || l.late.has()
	l.late.hold = false
	if needed && d.asleep.Load() {
		d.asleep.Store(false) // the next need not ring, too
		d.bell.Ring()
	}
	d.lock.release()
	if !d.in.empty() {
		d.Wake()
	}
}

// wait waits for something to happen, after so much silence.
func (d *Dispatcher) wait(l *Loop, silent time.Duration) {
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
func (d *Dispatcher) doze(l *Loop, limit time.Duration) {
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
func (d *Dispatcher) watch(limit time.Duration) {
	var spinner transport.Spinner
	for begin := monotime.Now(); d.in.empty() && monotime.Now()-begin < int64(limit); {
		spinner.Turn()
	}
}
