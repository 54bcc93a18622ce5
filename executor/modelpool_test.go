package executor

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wasmpool/wasmpool/internal/dispatcher"
	"github.com/wasmpool/wasmpool/internal/transport/mem"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// A program is one pool's life: random steps of callers and workers, in a bubble of
// its own. After some steps it waits until all is quiet, and compares where each call
// is, how it has ended and who still waits with what the reference says.
type program struct {
	t      *testing.T
	rnd    *rand.Rand
	ex     *Executor
	fabric *mem.Fabric
	hands  []*hand
	steps  int
	trail  []string // what was done, the last

	owners   []*owner // the executor that was opened first, and its forks
	calls    []*tracked
	byID     map[uint64]*tracked           // those of which the future is not known
	futures  map[*dispatcher.Call]*tracked // the others
	recent   [16]*tracked                  // some that have ended
	works    []*work
	blocked  []*blocked
	expiring []context.CancelFunc // of contexts that end some time
	ids      atomic.Uint64
	bounded  int         // calls that the queue takes; 0 for any number
	lost     bool        // every worker is
	end      time.Time   // of the loop
	served   atomic.Bool // the loop has ended
	ends     bool        // the loop has nothing left but to look for leftovers, for which it naps
	waiting  int         // calls that wait for a worker, by the intake
	ages     uint64      // the newest age of a call

	clock atomic.Int64 // of the times at which all was quiet; see woken

	mu      sync.Mutex
	spawned []*tracked // submitted by callbacks since all was quiet

	complaint atomic.Pointer[string] // of a caller's goroutine

	tally *modelTally
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
	fed      bool    // it was somewhere
	waited   bool    // when all was quiet before
	flown    bool    // it was at a worker, and is no more
	holders  []*hand // two where it has a duplicate
	told     bool
	sent     bool // since all was quiet
	watched  bool
	resolves atomic.Int32
	due      int
	ran      atomic.Int32
	left     bool // by who waited for it
}

// Resolved implements dispatcher.Listener.
func (c *tracked) Resolved(*dispatcher.Call) { c.resolves.Add(1) }

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

// newProgram opens a pool. Some workers join later.
func newProgram(t *testing.T, rnd *rand.Rand, tasks *wasmtasks.Module, tally *modelTally) *program {
	workers := 1 + rnd.IntN(5)
	p := &program{
		t: t, rnd: rnd, fabric: mem.New(workers + 1), tally: tally,
		byID: map[uint64]*tracked{}, futures: map[*dispatcher.Call]*tracked{},
	}
	cfg := Config{Modules: []*wasmtasks.Module{tasks}, Logger: slog.New(slog.DiscardHandler), ReportAfter: -1}
	if rnd.IntN(4) == 0 {
		p.bounded = 4 + rnd.IntN(30)
		cfg.QueueCalls = p.bounded
	}
	root := p.fabric.Endpoint(0)
	var err error
	if p.ex, err = build(cfg.withDefaults(), root, root.Bell()); err != nil {
		t.Fatal(err)
	}
	p.owners = []*owner{{ex: p.ex, keys: map[string]*tracked{}}}
	for rank := 1; rank <= workers; rank++ {
		h := &hand{p: p, rank: rank, ep: p.fabric.Endpoint(rank), slots: 1 + rnd.IntN(3), prompt: rnd.IntN(2) == 0}
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
	d := p.ex.dispatcher.Probe() // whose loop is locked since it was made
	for !d.Finished() && d.Broken() == nil {
		if d.Turn() == 0 && d.Broken() == nil {
			d.Doze()
		}
	}
	p.ex.run() // which has only to end
	p.woken()
	p.end = time.Now()
	p.served.Store(true)
}

// of returns the call that the dispatcher knows as f, or nil.
func (p *program) of(f *dispatcher.Call) *tracked {
	if c := p.futures[f]; c != nil {
		return c
	}
	if len(f.Argument()) != 8 {
		return nil
	}
	return p.byID[binary.LittleEndian.Uint64(f.Argument())]
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
	p.futures[&f.call] = c
	delete(p.byID, c.id)
	if p.rnd.IntN(2) == 0 {
		c.watched = true
		f.call.Tell(c)
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

// complain notes what a goroutine of a caller does not like.
func (p *program) complain(format string, args ...any) {
	what := fmt.Sprintf(format, args...)
	p.complaint.Store(&what)
}

func (p *program) fail(format string, args ...any) {
	p.t.Helper()
	trail := p.trail[max(0, len(p.trail)-60):]
	p.t.Fatalf("step %d: %s\nbefore: %s", p.steps, fmt.Sprintf(format, args...), strings.Join(trail, " "))
}
