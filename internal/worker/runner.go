package worker

import (
	"sync/atomic"
	"time"

	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/internal/lines"
	"github.com/wasmpool/wasmpool/internal/monotime"
	"github.com/wasmpool/wasmpool/internal/wire"
)

const (
	// shortCall is the run time below which the clock is read only once in
	// clockEvery calls.
	shortCall  = 2 * time.Microsecond
	clockEvery = 8

	// longCall is the run time from which a result is sent at once, and for
	// which another runner is asked to watch for frames meanwhile.
	longCall = 30 * time.Microsecond

	// drainCall is the run time from which a call first lets the results before
	// it leave, and says with them that it has begun.
	drainCall = 500 * time.Microsecond

	// lateCall is the run time after which the root is told that a call has begun that
	// was expected to be shorter.
	lateCall = time.Millisecond
)

// A runner is the goroutine of one slot. What other goroutines use of it is atomic, or
// changes under the backlog's lock.
type runner struct {
	s     *server
	slot  *host.Slot
	index int           // of the slot, from 0
	wake  chan struct{} // holds a token when the runner was parked and is to go on
	bound []boundTask   // by task number

	// Of the call that runs.
	current queuedCall // of a range its calls, but number is that of the one that runs: see runRange
	call    host.Call
	result  wire.Result

	// Of a range.
	at   int   // how many of its calls have begun, or were refused
	row  row   // results that are not in the backlog yet
	full bool  // a frame of results waits to be sent
	sent int64 // when the last one was, by monotime, or when r began to run calls

	// Guarded by the backlog's lock.
	held   span              // the calls that it took last: they run, are to run, or have ended
	orders map[uint64]*order // to end some of several calls; nil before the first

	ordered atomic.Bool // there are orders

	lines lines.Limiter // of the log of the call with the number lined
	lined uint64

	told      bool  // the root knows that the current call has begun
	begin     int64 // when the clock was last read, by monotime
	unclocked int64 // calls since

	// Of the current call, if it may take a while.
	running atomic.Uint64 // its number, 0 for none
	since   atomic.Int64  // when it began, by monotime

	busy  atomic.Bool   // it runs calls
	signs atomic.Uint64 // grows when calls begin and end; see suspect

	// Only used by suspect.
	seen   uint64 // the signs when it last looked
	silent int    // how often these have not changed
}

// A boundTask is a task that this slot has run before.
type boundTask struct {
	task  *host.Task
	err   error
	nanos int64 // how long a call lately took; 0 is unknown
}

// expects returns how long a call of the task lately took; 0 is unknown.
func (r *runner) expects(t *servedTask) int64 {
	if n := int(t.number); n < len(r.bound) && r.bound[n].task != nil {
		return r.bound[n].nanos
	}
	return 0
}

// longerThan reports whether a call of the task takes longer than d, as far as is known.
func (b *boundTask) longerThan(d time.Duration) bool { return b.nanos == 0 || b.nanos > int64(d) }

func newRunner(s *server, index int) *runner {
	r := &runner{s: s, slot: s.host.NewSlot(), index: index, wake: make(chan struct{}, 1), told: true}
	r.call.Rank = s.cfg.Rank
	r.call.Log = r.log
	r.call.Heartbeat = r.heartbeat
	return r
}

// run takes calls until the server ends. Without a call it watches for frames,
// or sleeps while another runner does.
func (r *runner) run() {
	defer r.close()
	for !r.s.ended() {
		switch {
		case r.s.backlog.next(r):
			r.serve()
		case r.s.watching.TryLock() || r.s.watchdog.relieve():
			r.s.watch()
			r.s.watching.Unlock()
		case r.s.backlog.park(r):
			r.s.handOverWatch() // the goroutine that watched may just have stopped
			<-r.wake
		}
	}
}

func (r *runner) close() {
	if err := r.slot.Close(); err != nil {
		r.s.cfg.Logger.Warn("closing a slot", "error", err)
	}
}

// serve runs the current call, or range, and those that wait behind it, then sends their
// results.
func (r *runner) serve() {
	s := r.s
	s.watchdog.begin()
	r.signs.Add(1)
	r.busy.Store(true)
	r.begin, r.unclocked = monotime.Now(), 0
	r.sent = r.begin
	unsent := false // something in the backlog should leave at once
	for {
		b := r.bind()
		r.told = false
		if b.longerThan(longCall) {
			unsent = r.prepare(b) || unsent
		}
		if unsent {
			s.step()
		}
		if b.longerThan(longCall) || r.unclocked > 0 && r.timedAlone(b) {
			r.begin, r.unclocked = monotime.Now(), 0
		}
		if r.inRange() {
			r.runRange(b)
		} else {
			r.runCall(b)
		}
		if r.running.Load() != 0 { // the call was late
			r.running.Store(0)
		}
		unsent = b.nanos > int64(longCall)
		if !s.backlog.next(r) {
			break
		}
	}
	r.told = true // there is no call
	r.busy.Store(false)
	s.watchdog.finish()
	s.step()
}

// prepare does what is to be done before a long call: others watch for frames, results
// leave, and the root is told that the call begins. It reports whether there is something to
// be sent for that.
func (r *runner) prepare(b *boundTask) bool {
	r.s.handOverWatch()
	long := b.longerThan(drainCall)
	if long {
		r.s.drainPosts()
	}
	if b.nanos > int64(stall) {
		r.s.watchdog.watchNow()
	}
	if long {
		r.sayBegun()
	}
	return long
}

// sayBegun puts into the backlog, for the root, that the current call has begun: the root
// then does not take it back any more.
func (r *runner) sayBegun() {
	r.told = true
	r.s.backlog.put(&wire.Result{Ticket: r.current.ticket, Gen: uint32(r.current.number), Begun: true})
}

// heartbeat is called by the slot while the current call goes on: see
// [host.Call.Heartbeat]. It tells the root, once, of a call that takes longer than was
// expected.
func (r *runner) heartbeat(blocking bool) {
	s := r.s
	s.watchdog.lookAfter()
	if r.ordered.Load() {
		s.backlog.passOrder(r)
	}
	if r.told || !blocking && monotime.Now()-r.begin < int64(lateCall) {
		return
	}
	if r.inRange() {
		r.lateInRange()
	}
	r.since.Store(r.begin)
	r.running.Store(r.current.number)
	r.sayBegun()
	s.io.Lock()
	defer s.io.Unlock()
	if err := s.flush(); err != nil {
		s.fail("%w", err)
	}
	s.wakeSleeper()
}

// bind returns the current call's task. When the slot runs that for the first time, bind
// looks it up, which blocks until its module is ready.
func (r *runner) bind() *boundTask {
	t := r.current.task
	n := int(t.number)
	for n >= len(r.bound) {
		r.bound = append(r.bound, boundTask{})
	}
	b := &r.bound[n]
	if b.task == nil && b.err == nil {
		r.s.step() // what is done need not wait
		r.s.watchdog.watchNow()
		r.publish() // until runCall does
		if err := r.slot.Wait(r.s.ctx, r.current.number, t.module.ready); err != nil {
			return &boundTask{err: err} // of this call alone
		}
		b.task, b.err = t.find()
		r.begin = monotime.Now() // waiting for a module is not the call's time
	}
	return b
}

// timedAlone reports whether the current call's run time is taken by itself. For
// very short calls the clock is read now and then only, but not for those with
// limits of their own, which may be of any length.
func (r *runner) timedAlone(b *boundTask) bool {
	return b.nanos == 0 || b.nanos >= int64(shortCall) || r.current.limits != nil
}

// runCall runs the current call and puts its result into the backlog.
func (r *runner) runCall(b *boundTask) {
	c := &r.current
	data, err := []byte(nil), b.err
	defer r.dropFetch()
	if b.longerThan(longCall) {
		r.publish()
		defer r.running.Store(0)
	}
	r.call.Shared = nil
	if err == nil && c.shared != nil {
		defer r.s.shared.release(c.shared)
		defer r.running.Store(0) // which openShared may have set
		r.call.Shared, err = r.openShared()
	}
	if err == nil {
		r.call.Number, r.call.Attempt = c.number, int(c.attempt)
		r.call.Arg, r.call.ArgLen, r.call.ReadArg = c.arg, c.argLen, nil
		r.call.Limits = c.callLimits()
		if c.long {
			r.call.ReadArg = r.readArg
		}
		data, err = r.slot.Run(r.s.ctx, b.task, &r.call)
	}
	r.clock(b)
	r.answer(b, data, err)
}

// answer puts the result of the current call, which was clocked, into the backlog.
func (r *runner) answer(b *boundTask, data []byte, err error) {
	c, res := &r.current, &r.result
	*res = wire.Result{Ticket: c.ticket, Gen: uint32(c.number), Nanos: b.nanos, Data: data, Asked: r.slot.Asked()}
	watched := b.nanos >= int64(longCall) && r.s.watched.Load()
	if watched {
		res.Spot = &wire.Spot{Slot: uint32(r.index), Clock: r.begin}
	}
	if (c.limits != nil || watched) && b.err == nil {
		u := wire.Usage(r.slot.Usage())
		res.Usage = &u
	}
	switch {
	case err != nil:
		res.Failed, res.Data = true, encodeFailure(err)
	case len(data) > wire.Inline:
		r.s.sendLong(r.slot, res, data)
		r.begin, r.unclocked = monotime.Now(), 0 // it may have waited for the root
		return
	}
	if r.s.backlog.put(res) {
		r.s.step()
	}
}

// openShared returns the current call's shared inputs. It blocks until they are ready, or could
// not be made so.
func (r *runner) openShared() ([]host.Shared, error) {
	load := r.s.shared.acquire(r.current.shared)
	if !load.isReady() {
		r.s.step() // what is done need not wait
		r.s.watchdog.watchNow()
		r.publish()
		if err := r.slot.Wait(r.s.ctx, r.current.number, load.ready); err != nil {
			return nil, err
		}
		r.begin = monotime.Now() // waiting is not the call's time
	}
	if load.err != nil {
		return nil, &host.Error{Kind: host.KindHost, Message: load.err.Error()}
	}
	return load.shared, nil
}

// publish lets other goroutines know of the current call: see status and suspect.
func (r *runner) publish() {
	r.since.Store(monotime.Now())
	r.running.Store(r.current.number)
}

// dropFetch gives up the current call's argument, if that was fetched into a buffer.
func (r *runner) dropFetch() {
	if r.current.fetch == nil {
		return
	}
	r.s.io.Lock()
	defer r.s.io.Unlock()
	r.s.dropFetch(r.current.fetch)
	r.current.fetch = nil
}

// callLimits returns the call's own limits, or nil.
func (c *queuedCall) callLimits() *host.Limits {
	if c.limits == nil {
		return nil
	}
	l := c.limits
	return &host.Limits{Time: time.Duration(l.Time), Memory: l.Memory, Output: l.Output, Log: l.Log, Instructions: l.Instructions}
}

// clock notes how long the current call ran: alone, or on average with the short
// calls before it.
func (r *runner) clock(b *boundTask) {
	r.unclocked++
	if r.unclocked < clockEvery && !r.timedAlone(b) {
		return
	}
	r.clockNow(b)
}

// clockNow is clock for calls whose time is to be known now.
func (r *runner) clockNow(b *boundTask) {
	now := monotime.Now()
	b.nanos = max((now-r.begin)/r.unclocked, 1)
	r.begin, r.unclocked = now, 0
	r.signs.Add(1)
	r.s.watchdog.callEnded()
}
