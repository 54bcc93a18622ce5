package host

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

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
	// which another slot is asked to watch for frames meanwhile.
	longCall = 30 * time.Microsecond

	// drainCall is the run time from which a call first lets the results before
	// it leave, and says with them that it has begun.
	drainCall = 500 * time.Microsecond

	// lateCall is after which run time a call says so that was expected to be shorter.
	lateCall = time.Millisecond
)

// A runner is the goroutine of one slot.
type runner struct {
	s     *server
	slot  *Slot
	wake  chan struct{} // rung once for each time the runner parked
	bound []boundTask   // by task number

	// Of the call that runs.
	current deskCall
	call    Call
	result  wire.Result

	lines lines.Gate // of the log of the call lined
	lined uint64

	told      bool  // the root knows that the current call has begun
	begin     int64 // when the clock was last read
	unclocked int64 // calls since

	// What others may know of a call that may take a while.
	running atomic.Uint64 // its number, 0 for none
	since   atomic.Int64

	busy atomic.Bool // it runs calls

	// Only used by suspect.
	seen   uint64 // the slot's signs when it last looked
	silent int    // how often these have not changed
}

// A boundTask is a task that this slot has run before.
type boundTask struct {
	task  *Task
	err   error
	nanos int64 // how long a call lately took; 0 is unknown
}

func newRunner(s *server) *runner {
	r := &runner{s: s, slot: s.host.NewSlot(), wake: make(chan struct{}, 1), told: true}
	r.call.Rank = s.cfg.Rank
	r.call.Log = r.log
	r.slot.late = r.late
	return r
}

// run takes calls until the server ends. Without a call it watches for frames,
// or sleeps while another slot does.
func (r *runner) run() {
	defer r.close()
	for !r.s.done() {
		switch {
		case r.s.desk.next(&r.current):
			r.serve()
		case r.s.watching.TryLock() || r.s.standby.relieve():
			r.s.watch()
			r.s.watching.Unlock()
		case r.s.desk.park(r):
			r.s.handOverWatch() // in case that who watched has just left
			<-r.wake
		}
	}
}

func (r *runner) close() {
	if err := r.slot.Close(); err != nil {
		r.s.cfg.Logger.Warn("closing a slot", "error", err)
	}
}

// serve runs the current call and those that wait behind it, then sends their
// results.
func (r *runner) serve() {
	s := r.s
	s.standby.begin()
	r.slot.signs.Add(1)
	r.busy.Store(true)
	r.begin, r.unclocked = monotime.Now(), 0
	unsent := false // a result that should leave at once
	for {
		b := r.bind()
		if b.nanos == 0 || b.nanos > int64(longCall) {
			s.handOverWatch()
		}
		if b.nanos == 0 || b.nanos > int64(drainCall) {
			s.drainPosts()
		}
		if b.nanos > int64(stall) {
			s.standby.hurry()
		}
		r.told = false
		if b.nanos == 0 || b.nanos > int64(drainCall) {
			r.tell()
			unsent = true
		}
		if unsent {
			s.step()
		}
		if b.nanos == 0 || b.nanos > int64(longCall) || r.unclocked > 0 && r.timedAlone(b) {
			r.begin, r.unclocked = monotime.Now(), 0
		}
		r.runCall(b)
		unsent = b.nanos > int64(longCall)
		if !s.desk.next(&r.current) {
			break
		}
	}
	r.told = true // there is no call
	r.busy.Store(false)
	s.standby.finish()
	s.step()
}

// tell puts on the desk that the current call has begun: from here on it is not
// recalled any more.
func (r *runner) tell() {
	r.told = true
	r.s.desk.put(&wire.Result{Ticket: r.current.ticket, Gen: uint32(r.current.number), Begun: true})
}

// late is told by the slot that the current call takes its time.
func (r *runner) late(blocks bool) {
	s := r.s
	s.standby.heed()
	if r.told || !blocks && monotime.Now()-r.begin < int64(lateCall) {
		return
	}
	r.tell()
	s.io.Lock()
	defer s.io.Unlock()
	if err := s.flush(); err != nil {
		s.fail(fmt.Errorf("host: %w", err))
	}
	s.stir()
}

// handOverWatch wakes a slot to watch for frames if none does.
func (s *server) handOverWatch() {
	if s.watching.TryLock() {
		s.watching.Unlock()
		s.desk.wakeOne()
	}
}

// bind returns the current call's task, bound once.
func (r *runner) bind() *boundTask {
	n := int(r.current.task.number)
	for n >= len(r.bound) {
		r.bound = append(r.bound, boundTask{})
	}
	b := &r.bound[n]
	if b.task == nil && b.err == nil {
		r.s.step() // what is done need not wait
		r.s.standby.hurry()
		r.show() // until runCall does
		var stopped *abort
		b.task, stopped, b.err = r.current.task.bind(r.s.ctx, r.slot, r.current.number)
		if stopped != nil { // only this call
			return &boundTask{err: stopped.failure()}
		}
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

// runCall runs the current call and puts its result on the desk.
func (r *runner) runCall(b *boundTask) {
	c := &r.current
	data, err := []byte(nil), b.err
	defer r.dropFetch()
	if b.nanos == 0 || b.nanos > int64(longCall) {
		r.show()
		defer r.running.Store(0)
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
	res := &r.result
	*res = wire.Result{Ticket: c.ticket, Gen: uint32(c.number), Nanos: b.nanos, Data: data}
	if c.limits != nil && b.err == nil {
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
	if r.s.desk.put(res) {
		r.s.step()
	}
}

// show lets others know of the current call.
func (r *runner) show() {
	r.since.Store(monotime.Now())
	r.running.Store(r.current.number)
}

// dropFetch lets go the current call's argument.
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
func (c *deskCall) callLimits() *Limits {
	if c.limits == nil {
		return nil
	}
	l := c.limits
	return &Limits{Time: time.Duration(l.Time), Memory: l.Memory, Output: l.Output, Log: l.Log, Instructions: l.Instructions}
}

// clock notes how long the current call ran: alone, or on average with the short
// calls before it.
func (r *runner) clock(b *boundTask) {
	r.unclocked++
	if r.unclocked < clockEvery && !r.timedAlone(b) {
		return
	}
	now := monotime.Now()
	b.nanos = max((now-r.begin)/r.unclocked, 1)
	r.begin, r.unclocked = now, 0
	r.slot.signs.Add(1)
	r.s.standby.beat()
}

// log sends a guest's log line to the root, if its call and the rank have not sent too
// many.
func (r *runner) log(level int, text string) {
	s := r.s
	if r.lined != r.current.number {
		r.lined, r.lines = r.current.number, lines.Gate{}
	}
	now := monotime.Now()
	s.io.Lock()
	defer s.io.Unlock()
	defer s.stir()
	pass, note := r.lines.Next(now, "the call", lines.PerCall)
	if note != "" {
		r.offerLine(now, int(slog.LevelWarn), note)
	}
	if pass {
		r.offerLine(now, level, text[:min(len(text), lines.MostText)])
	}
}

// offerLine sends a line if the rank has not sent too many. io is held.
func (r *runner) offerLine(now int64, level int, text string) {
	pass, note := r.s.lines.Next(now, "this rank's tasks", lines.PerRank(r.s.ep.Size()))
	if note != "" {
		r.sendLine(int(slog.LevelWarn), note)
	}
	if pass {
		r.sendLine(level, text)
	}
}

// sendLine sends a line of the log as the current call's. io is held.
func (r *runner) sendLine(level int, text string) {
	r.s.send(wire.KindLog, wire.LogLine{Number: r.current.number, Ticket: r.current.ticket, Task: r.current.task.number, Level: level, Text: text})
}

// encodeFailure returns the body of a failed result, short enough for a frame.
func encodeFailure(err error) []byte {
	var e *Error
	if !errors.As(err, &e) {
		e = &Error{Kind: KindHost, Message: err.Error()}
	}
	failure := wire.Failure{Kind: uint8(e.Kind), Code: e.Code, Log: e.Log}
	if e.Usage != (Usage{}) {
		u := wire.Usage(e.Usage)
		failure.Usage = &u
	}
	for most := 12 << 10; ; most /= 2 {
		text := min(most, 4<<10)
		failure.Message, failure.Stack, failure.Stderr = shortened(e.Message, text), shortened(e.Stack, text), tail(e.Stderr, most)
		if most < 1<<10 {
			failure.Log = nil
		}
		body, err := json.Marshal(failure)
		if err == nil && len(body) <= wire.Inline {
			return body
		}
	}
}

// shortened returns the first characters of s, most bytes of them, and how much is
// missing.
func shortened(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return fmt.Sprintf("%s… (%d bytes more)", s[:most], len(s)-most)
}

// tail returns the end of s, from the beginning of a line where it has several.
func tail(s string, most int) string {
	if len(s) <= most {
		return s
	}
	s = s[len(s)-most:]
	for len(s) > 0 && !utf8.RuneStart(s[0]) {
		s = s[1:]
	}
	if _, after, ok := strings.Cut(s, "\n"); ok && after != "" {
		return after
	}
	return s
}
