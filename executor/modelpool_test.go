package executor

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wasmpool/wasmpool/internal/transport"
	"github.com/wasmpool/wasmpool/internal/transport/mem"
	"github.com/wasmpool/wasmpool/internal/wire"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// A program is one pool's life: random steps of callers and workers, in a bubble of
// its own. After some steps it waits until all is quiet, and compares where each call
// is, how it has ended and who still waits with what the reference says.
type program struct {
	t     *testing.T
	rnd   *rand.Rand
	ex    *Executor
	world *mem.World
	hands []*hand
	steps int
	trail []string // what was done, the last

	owners   []*owner // the executor that was opened first, and its forks
	calls    []*tracked
	byID     map[uint64]*tracked  // those of which the future is not known
	futures  map[*Future]*tracked // the others
	recent   [16]*tracked         // some that have ended
	works    []*work
	blocked  []*blocked
	expiring []context.CancelFunc // of contexts that end some time
	ids      atomic.Uint64
	bounded  int         // calls that the queue takes; 0 for any number
	lost     bool        // every worker is
	end      time.Time   // of the loop
	served   atomic.Bool // the loop has ended
	waiting  int         // calls that wait for a worker, by the intake
	ages     uint64      // the newest age of a call

	clock atomic.Int64 // of the times at which all was quiet; see woken

	mu      sync.Mutex
	spawned []*tracked // submitted by callbacks since all was quiet

	complaint atomic.Pointer[string] // of a caller's goroutine

	tally *modelTally
}

// A modelTally says what programs did.
type modelTally struct {
	steps, calls, elements, waits, losses, programs atomic.Int64
	ends                                            [8]atomic.Int64 // of calls, by the bit of the end
	before                                          [Killed + 1]atomic.Int64
	places                                          [flies + 1]atomic.Int64
}

// An owner is an executor with what the reference knows of it.
type owner struct {
	life
	ex     *Executor
	keys   map[string]*tracked
	open   int // calls that were somewhere when all was quiet
	enters int // calls that wait for room
	asked  bool
	since  time.Time // it is closed
}

// A tracked call is one with its fate.
type tracked struct {
	fate
	id       uint64 // stands in its argument
	f        *Future
	own      *owner
	pred     *tracked
	work     *work
	priority int8
	err      error

	number   uint64 // the executor's
	age      uint64 // its place among all calls that were ever seen to wait, from 1; 0 before it was
	place    place
	fed      bool // it was somewhere
	waited   bool // when all was quiet before
	flown    bool // it was at a worker, and is no more
	holder   *hand
	told     bool
	sent     bool // since all was quiet
	watched  bool
	resolves atomic.Int32
	due      int
	ran      atomic.Int32
	left     bool // by who waited for it
}

// resolved implements listener.
func (c *tracked) resolved(*Future) { c.resolves.Add(1) }

// answerBit makes the result of a call another number than its argument. A sequel has the
// result as its argument.
const answerBit = 1 << 40

func (c *tracked) answer() uint64 { return c.arg() + answerBit }

func (c *tracked) arg() uint64 {
	if c.pred != nil {
		return c.pred.answer()
	}
	return c.id
}

func argument(n uint64) []byte { return binary.LittleEndian.AppendUint64(nil, n) }

// A blocked caller is a goroutine in a call that may block.
type blocked struct {
	what     string
	returned atomic.Bool
	may      func() bool // whether it may still wait, when all is quiet
	then     func()
	work     *work
}

// block runs fn on a goroutine of its own.
func (p *program) block(what string, may func() bool, fn, then func()) {
	b := &blocked{what: what, may: may, then: then}
	p.blocked = append(p.blocked, b)
	go func() {
		defer b.returned.Store(true)
		fn()
	}()
}

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
	c    *tracked
	told Kind // to end it so
}

// Lost implements [transport.Handler].
func (h *hand) Lost(int, error) {}

// Frame implements [transport.Handler].
func (h *hand) Frame(_ int, frame []byte) {
	kind, count, body, err := wire.Header(frame)
	if err != nil {
		h.p.t.Fatal(err)
	}
	switch kind {
	case wire.KindCalls:
		r := wire.NewReader(count, body)
		var c wire.Call
		for r.NextCall(&c) {
			h.receive(c)
		}
	case wire.KindTakeBack:
		var back wire.TakeBack
		err = wire.Decode(kind, body, &back)
		h.asks = append(h.asks, back.Max)
	case wire.KindKill:
		var kill wire.Kill
		err = wire.Decode(kind, body, &kill)
		for _, n := range kill.Calls {
			if i := slices.IndexFunc(h.calls, func(c *held) bool { return c.Number == n }); i >= 0 {
				h.calls[i].told, h.calls[i].c.told = Kind(kill.Kind), true
			}
		}
	default: // modules and their tasks are nothing to a hand
	}
	if err != nil {
		h.p.t.Fatal(err)
	}
}

func (h *hand) receive(c wire.Call) {
	p := h.p
	if p.served.Load() {
		return // it was sent before the end
	}
	f := loopOf(p.ex).sched.tickets[c.Ticket]
	if f == nil || f.number != c.Number {
		p.fail("rank %d gets call %d, which is not in flight", h.rank, c.Number)
	}
	call := p.of(f)
	switch {
	case call == nil:
		p.fail("rank %d gets call %d, which nobody submitted", h.rank, c.Number)
	case call.over || call.holder != nil:
		p.wrong(call, fmt.Sprintf("rank %d gets it", h.rank))
	case binary.LittleEndian.Uint64(c.Arg) != call.arg():
		p.wrong(call, fmt.Sprintf("its argument is %x", c.Arg))
	case int(c.Attempt) != call.attempt():
		p.wrong(call, fmt.Sprintf("it is attempt %d", c.Attempt))
	}
	call.number, call.holder, call.told, call.sent = c.Number, h, false, true
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
	h.w.Reset(wire.KindReturned)
	for ; n > 0 && at >= 0; at-- {
		if c := h.calls[at]; !c.c.began {
			h.w.AddTicket(c.Ticket, uint32(c.Number))
			h.drop(at).returned(false)
			n--
		}
	}
	h.send(h.w.Frame())
}

// drop takes a call out.
func (h *hand) drop(i int) *tracked {
	c := h.calls[i].c
	c.holder, c.flown = nil, true
	h.calls = slices.Delete(h.calls, i, i+1)
	return c
}

func (h *hand) send(frame []byte) {
	if err := h.ep.Send(0, frame); err != nil {
		h.p.t.Fatal(err)
	}
}

func (h *hand) say(c *held, r wire.Result) {
	r.Ticket, r.Gen = c.Ticket, uint32(c.Number)
	h.w.Reset(wire.KindResults)
	h.w.AddResult(&r)
	h.send(h.w.Frame())
}

func (h *hand) begin(i int) {
	if c := h.calls[i]; !c.c.began {
		c.c.began, c.c.fresh = true, true
		h.say(c, wire.Result{Begun: true})
	}
}

func (h *hand) finish(i int) {
	c := h.calls[i]
	h.say(c, wire.Result{Nanos: 1 + h.p.rnd.Int64N(3_000_000), Data: argument(c.c.answer())})
	h.drop(i).result()
}

func (h *hand) fail(i int, kind Kind) {
	c := h.calls[i]
	h.say(c, wire.Result{Failed: true, Data: fmt.Appendf(nil, `{"kind":%d,"message":"no"}`, kind)})
	h.drop(i).failure(kind, time.Now())
}

func (h *hand) join() {
	frame, err := wire.Control(wire.KindHello, wire.Hello{Host: "hand", Slots: h.slots})
	if err != nil {
		h.p.t.Fatal(err)
	}
	h.joined = true
	h.send(frame)
}

// lose ends the worker, of which everything that it said before has arrived.
func (h *hand) lose() {
	h.lost = true
	h.p.world.Kill(h.rank)
	for len(h.calls) > 0 {
		h.drop(0).returned(true)
	}
	h.p.tally.losses.Add(1)
	h.p.lost = !slices.ContainsFunc(h.p.hands, func(h *hand) bool { return !h.lost })
}

// newProgram opens a pool. Some workers join later.
func newProgram(t *testing.T, rnd *rand.Rand, tasks *wasmtasks.Module, tally *modelTally) *program {
	workers := 1 + rnd.IntN(5)
	p := &program{
		t: t, rnd: rnd, world: mem.New(workers + 1), tally: tally,
		byID: map[uint64]*tracked{}, futures: map[*Future]*tracked{},
	}
	cfg := Config{Modules: []*wasmtasks.Module{tasks}, Logger: slog.New(slog.DiscardHandler), ReportAfter: -1}
	if rnd.IntN(4) == 0 {
		p.bounded = 4 + rnd.IntN(30)
		cfg.QueueCalls = p.bounded
	}
	root := p.world.Endpoint(0)
	var err error
	if p.ex, err = build(cfg.withDefaults(), root, root.Bell()); err != nil {
		t.Fatal(err)
	}
	p.owners = []*owner{{ex: p.ex, keys: map[string]*tracked{}}}
	for rank := 1; rank <= workers; rank++ {
		h := &hand{p: p, rank: rank, ep: p.world.Endpoint(rank), slots: 1 + rnd.IntN(3), prompt: rnd.IntN(2) == 0}
		p.hands = append(p.hands, h)
		if rank == 1 || rnd.IntN(3) > 0 {
			h.join()
		}
	}
	go p.serve()
	return p
}

// serve is the loop's goroutine. It differs from run in that it sleeps at once, until
// somebody wakes it: time does not pass for who polls.
func (p *program) serve() {
	d := p.ex.dispatcher
	l := d.lock.loop // locked since it was made
	for !l.finished() && l.ending.broken == nil {
		if l.turn() == 0 && l.ending.broken == nil {
			d.doze(l, 0)
		}
		l.late.write()
	}
	p.ex.run() // which has only to end
	p.woken()
	p.end = time.Now()
	p.served.Store(true)
}

// of returns the call of a future, or nil.
func (p *program) of(f *Future) *tracked {
	if c := p.futures[f]; c != nil {
		return c
	}
	if len(f.data) != 8 {
		return nil
	}
	return p.byID[binary.LittleEndian.Uint64(f.data)]
}

// mostRounds is how often root and workers may answer each other before all is quiet.
const mostRounds = 1000

// quiet waits until nothing more can happen, and compares.
func (p *program) quiet() {
	rounds := 0
	for moved := true; moved; rounds++ {
		if rounds > mostRounds {
			p.fail("the root and its workers do not come to rest")
		}
		synctest.Wait()
		p.admit()
		moved = false
		for _, h := range p.hands { // all, before one says something and the loop wakes
			h.heard = 0
			if h.lost {
				continue
			}
			var err error
			if h.heard, err = h.ep.Poll(h); err != nil {
				p.t.Fatal(err)
			}
			moved = moved || h.heard > 0
		}
		for _, h := range p.hands {
			if h.heard > 0 && h.prompt {
				h.obey()
			}
		}
	}
	p.tally.waits.Add(1)
	p.census()
	p.compare()
	p.clock.Add(1)
}

// woken is called by goroutines that time may have woken, before they write what the
// program looks at when all is quiet: so that this comes after the last look.
func (p *program) woken() { p.clock.Load() }

// admit takes note of calls that others than the program itself have submitted.
func (p *program) admit() {
	for _, w := range p.works {
		for ; w.known < len(w.calls); w.known++ {
			p.enroll(w.calls[w.known])
		}
		if w.batch != nil {
			for i, f := range w.batch.Futures() {
				if c := w.calls[i]; c.f == nil {
					p.identify(c, f)
				}
			}
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.spawned {
		f := c.f
		c.f = nil
		p.enroll(c)
		p.identify(c, f)
	}
	p.spawned = nil
	for _, b := range p.blocked {
		if b.returned.Load() && b.then != nil {
			b.then()
			b.then = nil
		}
	}
}

// enroll begins to watch a call.
func (p *program) enroll(c *tracked) {
	p.tally.calls.Add(1)
	c.life = &c.own.life
	c.may |= c.own.lately | p.owners[0].lately
	if p.over(c.own) {
		c.may |= asDropped | asBroken
	}
	p.calls = append(p.calls, c)
	p.byID[c.id] = c
}

// identify notes the future of a call.
func (p *program) identify(c *tracked, f *Future) {
	c.f = f
	p.futures[f] = c
	delete(p.byID, c.id)
	if p.rnd.IntN(2) == 0 {
		c.watched = true
		f.tell(c)
	}
}

// census finds out where each call is. It holds the intake's lock, so that who goes on
// after that, does.
func (p *program) census() {
	p.ex.in.mu.Lock()
	defer p.ex.in.mu.Unlock()
	for _, o := range p.owners {
		o.open = 0
	}
	for _, c := range p.calls {
		c.place = nowhere
	}
	l := loopOf(p.ex)
	var bytes int64
	n := 0
	for i := range l.sched.queue.levels {
		for f := l.sched.queue.levels[i].head; f != nil; f = f.next {
			n++
			bytes += f.size
			if State(f.state.Load()) == Pending {
				p.put(f, waits)
			}
		}
	}
	for f := range l.resting.timers {
		p.put(f, rests)
	}
	for f := range l.in.promised {
		if State(f.state.Load()) == Pending {
			p.put(f, promised)
		}
	}
	for _, f := range l.sched.tickets {
		if f != nil {
			p.put(f, flies)
		}
	}
	switch {
	case !p.served.Load() && (l.in.first != nil || len(l.in.requests)+len(l.in.recalls) > 0):
		p.fail("something was handed in, and the loop sleeps")
	case !p.served.Load() && (n != l.sched.queue.n || n != l.in.calls || bytes != l.in.bytes):
		p.fail("%d calls of %d bytes wait; the queue has %d, the intake counts %d of %d bytes", n, bytes, l.sched.queue.n, l.in.calls, l.in.bytes)
	}
	p.waiting = l.in.calls
	p.workers(n)
}

func (p *program) put(f *Future, at place) {
	c := p.of(f)
	switch {
	case c == nil:
		p.fail("call %d is there, which nobody submitted or which has ended", f.number)
	case c.place != nowhere:
		p.wrong(c, fmt.Sprintf("it is at %d, too", at))
	}
	if at == waits && c.age == 0 {
		p.ages++
		c.age = p.ages
	}
	c.number, c.place, c.fed = f.number, at, true
	c.own.open++
	p.tally.places[at].Add(1)
}

// workers compares what workers hold with what the root thinks.
func (p *program) workers(waiting int) {
	if p.served.Load() {
		return
	}
	for _, w := range loopOf(p.ex).sched.workers {
		h := p.hands[w.rank-1]
		switch {
		case w.lost != h.lost:
			p.fail("rank %d is lost: %t, the root thinks %t", h.rank, h.lost, w.lost)
		case w.inflight != len(h.calls):
			p.fail("rank %d has %d calls, the root thinks %d", h.rank, len(h.calls), w.inflight)
		case !h.lost && w.inflight < w.slots && waiting > 0:
			p.fail("rank %d has a free slot while %d calls wait", h.rank, waiting)
		}
		for f := w.first; f != nil; f = f.next {
			if c := p.of(f); c.holder != h {
				p.wrong(c, fmt.Sprintf("rank %d does not have it", h.rank))
			}
		}
	}
}

// compare holds everything against the reference.
func (p *program) compare() {
	now := time.Now()
	p.inOrder()
	for _, w := range p.works {
		p.letGo(w)
	}
	for _, c := range p.calls {
		p.look(c, now)
	}
	for _, w := range p.works {
		p.progress(w)
	}
	p.callers()
	for _, o := range p.owners {
		o.lately = 0
		p.lifeOf(o)
	}
	p.calls = slices.DeleteFunc(p.calls, p.forget)
	p.works = slices.DeleteFunc(p.works, func(w *work) bool { return w.returned && !w.feeding() && w.left() == 0 })
}

// inOrder checks that calls were sent by priority, and then by age.
func (p *program) inOrder() {
	var first *tracked // of those that have waited all the time
	for _, c := range p.calls {
		if c.waited && c.place == waits && (first == nil || c.sooner(first)) {
			first = c
		}
	}
	for _, c := range p.calls {
		if first != nil && c.sent && (first.priority > c.priority || !c.flown && first.sooner(c)) {
			p.wrong(c, fmt.Sprintf("it was sent before call %d", first.number))
		}
		c.waited, c.sent = c.place == waits, false
	}
}

func (c *tracked) sooner(than *tracked) bool {
	return cmp.Or(cmp.Compare(than.priority, c.priority), cmp.Compare(c.age-1, than.age-1)) < 0 // one that was never seen came last
}

// look compares one call.
func (p *program) look(c *tracked, now time.Time) {
	if c.f != nil && !c.over && c.f.resolved() {
		_, err := c.f.outcome()
		p.ended(c, c.f.data, err)
	}
	known := c.f != nil || c.over
	if known || c.place != nowhere {
		if what := c.wrong(c.place, c.told, now); what != "" {
			p.wrong(c, what)
		}
	}
	c.fresh = false
}

// ended notes how a call has ended.
func (p *program) ended(c *tracked, data []byte, err error) {
	how := endOf(err)
	if err == nil && (len(data) != 8 || binary.LittleEndian.Uint64(data) != c.answer()) {
		p.wrong(c, fmt.Sprintf("its result is %x", data))
	}
	if c.pred != nil && c.pred.over && err != nil && err == c.pred.err { //nolint:errorlint // it is the very value
		how |= asBefore
	}
	if c.err = err; err != nil {
		c.failed = true
	}
	if what := c.end(how); what != "" {
		p.wrong(c, fmt.Sprintf("%s: it ended with %v", what, err))
	}
	for i := range p.tally.ends {
		if how&(1<<i) != 0 {
			p.tally.ends[i].Add(1)
		}
	}
}

// forget reports whether nothing more can be learnt of a call.
func (p *program) forget(c *tracked) bool {
	switch {
	case c.place != nowhere:
		return false
	case c.f == nil && !c.over && (!c.left || c.work != nil && c.work.feeding()):
		return false
	case c.f != nil && !c.over:
		return false
	}
	if n := c.resolves.Load(); c.watched && n != 1 {
		p.wrong(c, fmt.Sprintf("it was resolved %d times", n))
	}
	if int(c.ran.Load()) != c.due {
		p.wrong(c, fmt.Sprintf("%d of %d callbacks have run", c.ran.Load(), c.due))
	}
	delete(p.futures, c.f)
	delete(p.byID, c.id)
	p.recent[p.rnd.IntN(len(p.recent))] = c
	return true
}

// complain notes what a goroutine of a caller does not like.
func (p *program) complain(format string, args ...any) {
	what := fmt.Sprintf(format, args...)
	p.complaint.Store(&what)
}

// callers looks who still waits.
func (p *program) callers() {
	if what := p.complaint.Load(); what != nil {
		p.fail("%s", *what)
	}
	p.blocked = slices.DeleteFunc(p.blocked, func(b *blocked) bool {
		returned := b.returned.Load()
		if !returned && !b.may() {
			if b.work != nil {
				b.work.fail("who takes its results waits for what cannot come")
			}
			p.fail("%s does not return", b.what)
		}
		return returned
	})
}

// lifeOf checks what must be true of an executor.
func (p *program) lifeOf(o *owner) {
	s := o.ex.fork
	if s == nil || !o.asked {
		return
	}
	ended := false
	select {
	case <-s.ended():
		ended = true
	default:
	}
	s.mu.Lock()
	open := s.open
	s.mu.Unlock()
	if want := p.served.Load() || o.closed && open == 0; ended != want {
		p.fail("a fork that is closed, %t, with %d calls open, has ended: %t", o.closed, open, ended)
	}
}

func (p *program) wrong(c *tracked, what string) {
	p.t.Helper()
	state := "unknown"
	if c.f != nil {
		state = c.f.State().String()
	}
	p.fail("call %d (%d): %s; it is at %d, its state %s, %+v", c.number, c.id, what, c.place, state, c.fate)
}

func (p *program) fail(format string, args ...any) {
	p.t.Helper()
	trail := p.trail[max(0, len(p.trail)-60):]
	p.t.Fatalf("step %d: %s\nbefore: %s", p.steps, fmt.Sprintf(format, args...), strings.Join(trail, " "))
}
