package executor

import (
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/internal/dispatcher"
	"github.com/wasmpool/wasmpool/internal/transport"
	"github.com/wasmpool/wasmpool/internal/wire"
)

// A hand is a worker whose calls begin and end when the program wants it.
type hand struct {
	p      *program
	rank   int
	ep     transport.Endpoint
	slots  int
	prompt bool // it obeys at once
	joined bool
	lost   bool
	calls  []*held
	asks   []int // how many calls it is to give back
	heard  int   // frames, when all was quiet last
	w      wire.Writer
}

type held struct {
	wire.Call
	c        *tracked
	told     Kind // to end it so
	leftover bool // nothing that is said of it counts
	apart    bool // the root was told of it alone
}

// Lost implements [transport.Handler].
func (h *hand) Lost(int, error) {}

// Frame implements [transport.Handler].
func (h *hand) Frame(_ int, frame []byte) {
	typ, count, body, err := wire.Header(frame)
	if err != nil {
		h.p.t.Fatal(err)
	}
	switch typ {
	case wire.TypeCalls:
		r := wire.NewReader(count, body)
		var c wire.Call
		for r.NextCall(&c) {
			if c.Count > 1 {
				h.p.tally.grouped.Add(int64(c.Count))
			}
			for _, one := range inRow(c) {
				h.receive(one)
			}
		}
	case wire.TypeTakeBack:
		var back wire.TakeBack
		err = wire.Decode(typ, body, &back)
		h.asks = append(h.asks, back.Max)
	case wire.TypeKill:
		var kill wire.Kill
		err = wire.Decode(typ, body, &kill)
		for _, c := range h.calls {
			if slices.Contains(kill.Calls, c.Number) {
				h.order(c, &kill)
			}
		}
	default: // modules and their tasks are nothing to a hand
	}
	if err != nil {
		h.p.t.Fatal(err)
	}
}

// inRow returns the calls of a block, or the one call that it is.
func inRow(c wire.Call) []wire.Call {
	if c.Count == 0 {
		return []wire.Call{c}
	}
	calls := make([]wire.Call, c.Count)
	at := 0
	for i := range calls {
		end := at + c.Lens.At(i)
		calls[i] = wire.Call{Number: c.Number + uint64(i), Ticket: c.Ticket, Task: c.Task, Attempt: c.Attempt, Arg: c.Arg[at:end], Count: 1}
		at = end
	}
	return calls
}

// order notes that it is to end a call.
func (h *hand) order(c *held, kill *wire.Kill) {
	c.told = Kind(kill.Kind)
	switch {
	case c.leftover:
	case kill.Reason == dispatcher.LeftoverReason: // the root has thought better of it
		c.leftover = true
		c.c.holders = without(c.c.holders, h)
	default:
		c.c.told = true
	}
}

func without(hands []*hand, h *hand) []*hand {
	return slices.DeleteFunc(slices.Clone(hands), func(other *hand) bool { return other == h })
}

func (h *hand) receive(c wire.Call) {
	p := h.p
	if p.served.Load() {
		return // it was sent before the end
	}
	f := p.ex.dispatcher.Probe().InFlight(c.Ticket, c.Number)
	if f == nil || f.Number() != c.Number {
		p.fail("rank %d gets call %d, which is not in flight", h.rank, c.Number)
	}
	if of := p.ex.dispatcher.Probe().Original(f); of != f {
		h.receiveDuplicate(c, of)
		return
	}
	call := p.of(f)
	switch {
	case call == nil:
		p.fail("rank %d gets call %d, which nobody submitted", h.rank, c.Number)
	case call.over || call.holders != nil:
		p.wrong(call, fmt.Sprintf("rank %d gets it", h.rank))
	case binary.LittleEndian.Uint64(c.Arg) != call.arg():
		p.wrong(call, fmt.Sprintf("its argument is %x", c.Arg))
	case int(c.Attempt) != call.attempt():
		p.wrong(call, fmt.Sprintf("it is attempt %d", c.Attempt))
	}
	call.number, call.holders, call.told, call.sent = c.Number, []*hand{h}, false, true
	h.calls = append(h.calls, &held{Call: c, c: call})
}

// receiveDuplicate takes a call that another worker has, too; of is nil where it is not wanted any more.
func (h *hand) receiveDuplicate(c wire.Call, of *dispatcher.Call) {
	p := h.p
	if of == nil {
		h.calls = append(h.calls, &held{Call: c, c: new(tracked), leftover: true})
		return
	}
	call := p.of(of)
	switch {
	case call.over || len(call.holders) != 1 || call.holders[0] == h:
		p.wrong(call, fmt.Sprintf("rank %d gets it, too", h.rank))
	case binary.LittleEndian.Uint64(c.Arg) != call.arg() || c.Number != call.number || int(c.Attempt) != call.attempt():
		p.wrong(call, fmt.Sprintf("its duplicate is %+v", c))
	}
	p.tally.doubled.Add(1)
	call.holders = append(slices.Clone(call.holders), h)
	h.calls = append(h.calls, &held{Call: c, c: call})
}

// obey does what the root has ordered. It says so of some calls.
func (h *hand) obey() {
	for i := len(h.calls) - 1; i >= 0; i-- {
		c := h.calls[i]
		switch {
		case c.told == 0:
		case !c.c.began && h.p.rnd.IntN(4) == 0:
			h.giveBack(1, i)
		default:
			h.fail(i, c.told)
		}
	}
	for _, n := range h.asks {
		h.giveBack(n, len(h.calls)-1)
	}
	h.asks = h.asks[:0]
}

// giveBack returns up to n calls that have not begun, the last ones before the one at.
func (h *hand) giveBack(n, at int) {
	h.w.Reset(wire.TypeReturned)
	var row *held // of n that stand one behind the other the first
	rows := 0
	end := func() {
		if row != nil {
			h.w.AddTicket(row.Ticket, uint32(row.Number), uint32(rows))
		}
	}
	for ; n > 0 && at >= 0; at-- {
		c := h.calls[at]
		if c.c.began {
			continue
		}
		if row == nil || !c.before(row) || h.p.rnd.IntN(3) == 0 {
			end()
			rows = 0
		}
		row = c
		rows++
		h.leave(at, false)
		n--
	}
	end()
	h.send(h.w.Frame())
}

// before reports whether c is the call of a block before another one, and has not been said to have begun.
func (c *held) before(next *held) bool {
	return c.Count > 0 && next.Count > 0 && c.Ticket == next.Ticket && c.Number+1 == next.Number && !c.apart && !next.apart
}

// answer takes out a call that has an answer, which is told unless nobody wants it. Another worker that has it need not go on.
func (h *hand) answer(i int, tell func(*tracked)) {
	run := h.calls[i]
	h.calls = slices.Delete(h.calls, i, i+1)
	if run.leftover {
		return
	}
	c := run.c
	for _, other := range without(c.holders, h) {
		for _, also := range other.calls {
			also.leftover = also.leftover || also.c == c
		}
	}
	c.holders, c.flown = nil, true
	tell(c)
}

// leave takes out a call that has none, as it was given back or the worker is gone.
func (h *hand) leave(i int, gone bool) {
	run := h.calls[i]
	h.calls = slices.Delete(h.calls, i, i+1)
	if run.leftover {
		return
	}
	c := run.c
	c.holders = without(c.holders, h)
	switch {
	case len(c.holders) == 0:
		c.holders, c.flown = nil, true
		c.returned(gone)
	case gone: // it goes on elsewhere
		c.losses++
		c.fresh = true
	}
}

func (h *hand) send(frame []byte) {
	if err := h.ep.Send(0, frame); err != nil {
		h.p.t.Fatal(err)
	}
}

func (h *hand) say(c *held, r wire.Result) {
	r.Ticket, r.Gen = c.Ticket, uint32(c.Number)
	h.w.Reset(wire.TypeResults)
	h.w.AddResult(&r)
	h.send(h.w.Frame())
}

func (h *hand) begin(i int) {
	if c := h.calls[i]; !c.c.began {
		c.c.began, c.c.fresh, c.apart = true, true, true
		h.say(c, wire.Result{Begun: true})
	}
}

func (h *hand) finish(i int) {
	c := h.calls[i]
	if c.Count > 0 && !c.apart && h.p.rnd.IntN(3) > 0 {
		h.finishRow(i)
		return
	}
	h.say(c, wire.Result{Nanos: 1 + h.p.rnd.Int64N(3_000_000), Data: argument(c.c.answer())})
	h.answer(i, func(c *tracked) { c.result() })
}

// finishRow ends calls of a block that stand one behind the other, from the one at i on.
func (h *hand) finishRow(i int) {
	first, n := h.calls[i], 0
	var data []byte
	var lens []uint16
	for most := 1 + h.p.rnd.IntN(8); n < most && i+n < len(h.calls); n++ {
		if n > 0 && !h.calls[i+n-1].before(h.calls[i+n]) {
			break
		}
		result := argument(h.calls[i+n].c.answer())
		data, lens = append(data, result...), append(lens, uint16(len(result)))
	}
	h.w.Reset(wire.TypeResults)
	h.w.AddResults(&wire.Result{Ticket: first.Ticket, Gen: uint32(first.Number), Nanos: 1 + h.p.rnd.Int64N(3_000_000), Data: data}, lens)
	h.send(h.w.Frame())
	for range n {
		h.answer(i, func(c *tracked) { c.result() })
	}
}

func (h *hand) fail(i int, kind Kind) {
	c := h.calls[i]
	h.say(c, wire.Result{Failed: true, Data: fmt.Appendf(nil, `{"kind":%d,"message":"no"}`, kind)})
	h.answer(i, func(c *tracked) { c.failure(kind, time.Now()) })
}

func (h *hand) join() {
	frame, err := wire.Control(wire.TypeHello, wire.Hello{Host: "hand", Slots: h.slots})
	if err != nil {
		h.p.t.Fatal(err)
	}
	h.joined = true
	h.send(frame)
}

// lose ends the worker, of which everything that it said before has arrived.
func (h *hand) lose() {
	h.lost = true
	h.p.fabric.Kill(h.rank)
	for len(h.calls) > 0 {
		h.leave(0, true)
	}
	h.p.tally.losses.Add(1)
	h.p.lost = !slices.ContainsFunc(h.p.hands, func(h *hand) bool { return !h.lost })
}

// hand returns a worker that has calls, or nil.
func (p *program) hand() *hand {
	for range 3 {
		if h := pick(p.rnd, p.hands); !h.lost && len(h.calls) > 0 {
			return h
		}
	}
	return nil
}

func (p *program) begin() {
	p.withOne(func(h *hand, i int) { h.begin(i) })
}

func (p *program) finish() {
	p.withOne(func(h *hand, i int) {
		switch p.rnd.IntN(8) {
		case 0:
			h.fail(i, host.KindApplication)
		case 1:
			h.fail(i, host.KindBadInput)
		default:
			h.finish(i)
		}
	})
}

// withOne has a worker do something with one of its calls. Where another one has it, too, all is quiet before and after, so that it is known which of
// the two the root hears first.
func (p *program) withOne(do func(h *hand, i int)) {
	h := p.hand()
	if h == nil {
		return
	}
	i := p.rnd.IntN(len(h.calls))
	if one := h.calls[i]; len(one.c.holders) == 2 || one.leftover {
		p.quiet()
		defer p.quiet()
		if i = slices.Index(h.calls, one); i < 0 {
			return
		}
	}
	do(h, i)
}

// double has a call run at a second worker with a free slot.
func (p *program) double() {
	p.quiet()
	h, other := p.hand(), pick(p.rnd, p.hands)
	if h == nil || !other.joined || other.lost || len(other.calls) >= other.slots {
		return
	}
	one := pick(p.rnd, h.calls)
	if one.leftover || one.c.f == nil || one.c.policy.Workers == 1 { // a second loss would be one too many
		return
	}
	p.ex.dispatcher.Probe().Double(&one.c.f.call, other.rank)
	p.quiet()
}

func (p *program) obey() { p.withAll((*hand).obey) }

func (p *program) giveBack() {
	p.withAll(func(h *hand) { h.giveBack(1+p.rnd.IntN(3), len(h.calls)-1) })
}

// withAll has a worker do something with all its calls: quietly, as withOne does, where another one has some of them, too. The
// root may have ended its run there for a call that waits, and then sends a call that is given back to a third.
func (p *program) withAll(do func(h *hand)) {
	h := p.hand()
	if h == nil {
		return
	}
	if slices.ContainsFunc(h.calls, func(one *held) bool { return len(one.c.holders) == 2 || one.leftover }) {
		p.quiet()
		defer p.quiet()
	}
	do(h)
}

func (p *program) join() {
	if h := pick(p.rnd, p.hands); !h.joined && !h.lost {
		h.join()
	}
}

// lose ends a worker, seldom the last one.
func (p *program) lose() {
	p.quiet()
	alive := 0
	for _, h := range p.hands {
		if !h.lost {
			alive++
		}
	}
	h := pick(p.rnd, p.hands)
	if h.lost || alive == 1 && p.rnd.IntN(20) > 0 {
		return
	}
	defer p.quiet()
	if h.lose(); p.lost {
		for _, o := range p.owners {
			o.lately |= asBroken
		}
		for _, c := range p.calls {
			c.ask(asBroken|asDropped, false)
		}
	}
}
