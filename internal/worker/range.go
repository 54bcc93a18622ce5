package worker

import (
	"time"

	"github.com/wasmpool/wasmpool/internal/monotime"
	"github.com/wasmpool/wasmpool/internal/transport"
	"github.com/wasmpool/wasmpool/internal/wire"
)

// A row is results of calls of a block, one behind the other, that are not in the backlog yet.
type row struct {
	data  []byte
	lens  []uint16
	gen   uint32 // of the first
	begin int64  // when that began, by monotime
	nanos int64  // how long a call takes, as far as was known before
}

// rowOverhead bounds what a row takes in a frame besides its results and their lengths.
const rowOverhead = wire.HeaderLen + wire.ResultOverhead

// fits reports whether the row still leaves in one short frame with n bytes more, or is empty.
func (w *row) fits(n int) bool {
	return rowOverhead+len(w.data)+2*len(w.lens)+2+n <= transport.EagerFrame || len(w.lens) == 0
}

// mean returns how long the calls of the row took, the last of which ended at now.
func (w *row) mean(now int64) int64 {
	if now <= w.begin { // the clock was not read meanwhile
		return w.nanos
	}
	return (now - w.begin) / int64(len(w.lens))
}

// add appends the result of a call.
func (w *row) add(number uint64, data []byte) {
	if len(w.lens) == 0 {
		w.gen = uint32(number)
	}
	w.data = append(w.data, data...)
	w.lens = append(w.lens, uint16(len(data)))
}

const (
	// mostRange is for how long a range runs, when its calls take longer than was expected.
	mostRange = 4 * rangeTime

	// sendEvery is how often results of ranges leave at least, however few they are.
	sendEvery = time.Millisecond

	// mostUnclocked is how many calls of a range run between two looks at the clock.
	mostUnclocked = 32
)

// runRange runs the calls that r.current has of a block, all of which should be short. Between two of
// them it does as little as it can: it takes no lock, reads the clock now and then, and keeps the results in a
// row. A call that ends in another way than most has a result of its own.
func (r *runner) runRange(b *boundTask) {
	c, first, args := &r.current, r.current.number, r.current.arg
	r.call.Attempt, r.call.Shared, r.call.Limits, r.call.ReadArg = int(c.attempt), nil, nil, nil
	begin, ran, every := monotime.Now(), int64(0), clockOf(b.nanos)
	r.begin, r.unclocked = begin, 0
	r.row.begin, r.row.nanos = begin, b.nanos
	for r.at = 0; r.at < c.lens.Len(); {
		n := c.lens.At(r.at)
		r.call.Arg, args = args[:n:n], args[n:]
		c.number = first + uint64(r.at)
		r.at++
		if r.ordered.Load() && r.refuse() {
			continue
		}
		r.call.Number = c.number
		data, err := r.slot.Run(r.s.ctx, b.task, &r.call)
		ran++
		r.unclocked++
		if err != nil || len(data) > wire.Inline || r.told || r.slot.Asked() {
			r.endAlone(b, data, err)
			continue
		}
		if !r.row.fits(len(data)) {
			r.putRow(monotime.Now())
		}
		r.row.add(c.number, data)
		if r.unclocked >= every {
			r.begin, r.unclocked = monotime.Now(), 0
			if r.begin-begin > int64(mostRange) || r.s.ended() {
				r.leaveRest()
			}
		}
	}
	r.endRange(b, begin, ran)
}

// clockOf returns after how many calls of a range, each of which takes that long, the clock is read: as seldom as for
// other calls, or more so where they are shorter than shortCall.
func clockOf(nanos int64) int64 {
	if nanos >= int64(shortCall) {
		return 1
	}
	return min(clockEvery*int64(shortCall)/nanos, mostUnclocked)
}

// endRange puts what is left of a range's results into the backlog. The range began at begin, and has run so
// many calls.
func (r *runner) endRange(b *boundTask, begin, ran int64) {
	now := monotime.Now()
	r.putRow(now)
	if !r.told && ran > 0 { // else the last call's own time is known
		b.nanos = max((now-begin)/ran, 1)
	}
	r.signs.Add(1)
	r.s.watchdog.callEnded()
	if r.full || now-r.sent > int64(sendEvery) {
		r.full, r.sent = false, now
		r.s.step()
	}
}

// putRow puts the row, the last of which ended at now, into the backlog as one block.
func (r *runner) putRow(now int64) {
	w := &r.row
	if len(w.lens) > 0 {
		r.result = wire.Result{Ticket: r.current.ticket, Gen: w.gen, Nanos: w.mean(now), Data: w.data}
		r.full = r.s.backlog.putBlock(&r.result, w.lens) || r.full
		w.data, w.lens = w.data[:0], w.lens[:0]
	}
	w.begin = now
}

// endAlone puts the result of the current call of a range into the backlog by itself, behind those before it: it
// failed, was late, is long, or the guest has asked which call it is.
func (r *runner) endAlone(b *boundTask, data []byte, err error) {
	if r.told {
		r.unclocked = 1 // those that were not clocked before it took next to nothing
	}
	r.clockNow(b)
	r.putRow(r.begin)
	if len(data) > wire.Inline || err != nil && r.s.ctx.Err() != nil {
		r.leaveRest() // to send it may take long; or the worker ends, and those that wait get no answer
	}
	r.answer(b, data, err)
	r.row.begin = monotime.Now()
}

// refuse answers the current call of a range, which has not begun, if it was ended meanwhile.
func (r *runner) refuse() bool {
	o := r.s.backlog.orderFor(r)
	if o == nil {
		return false
	}
	r.putRow(monotime.Now())
	r.s.backlog.put(&wire.Result{Ticket: r.current.ticket, Gen: uint32(r.current.number), Failed: true, Data: o.failure})
	return true
}

// inRange reports whether the current call is one of several that r has taken at once.
func (r *runner) inRange() bool { return r.current.lens.Len() > 1 }

// lateInRange is told that the current call of a range takes long. The results of those before it leave with
// what is said of it, and those behind it wait for it no longer.
func (r *runner) lateInRange() {
	r.putRow(r.begin)
	r.leaveRest()
}

// leaveRest puts the calls of the range behind the current one back into the backlog, for all runners, and for the
// root.
func (r *runner) leaveRest() {
	s := r.s
	if !s.backlog.part(r) {
		return
	}
	s.io.Lock()
	defer s.io.Unlock()
	if s.asleep { // one that would take them
		s.asleep = false
		s.ep.Bell().Ring()
	}
}
