package executor

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/wasmpool/wasmpool/internal/transport"
	"github.com/wasmpool/wasmpool/internal/transport/mem"
	"github.com/wasmpool/wasmpool/internal/wire"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// An interleaving drives a whole executor (intake, forks, futures, loop and
// frames) one turn at a time, with workers that answer when it says so.
type interleaving struct {
	t       *testing.T
	rnd     *rand.Rand
	ex      *Executor
	hands   []*hand
	forks   []*Executor
	ended   []*Executor // forks that were shut down
	pending []*tally
	open    int // futures that are not resolved

	before                                                   [Killed + 1]int // how often a call was cancelled in each state
	submitted, finished, cancelled, killed, refused, dropped int
}

// A hand is a worker whose calls end when the test wants it.
type hand struct {
	t     *testing.T
	ep    transport.Endpoint
	calls []wire.Call
	begun map[uint64]bool // of those, the numbers of which it said so
	lost  bool
}

// A tally counts how often a future is resolved.
type tally struct {
	in        *interleaving
	f         *Future
	n         int
	cancelled bool // Cancel said so
}

func (c *tally) resolved(f *Future) {
	c.n++
	c.in.open--
	if f != c.f || c.n != 1 {
		c.in.t.Errorf("call %d was resolved %d times", f.number, c.n)
	}
}

func (h *hand) Lost(int, error) { h.lost = true }

func (h *hand) Frame(_ int, frame []byte) {
	kind, count, body, err := wire.Header(frame)
	if err != nil {
		h.t.Fatal(err)
	}
	switch kind {
	case wire.KindCalls:
		r := wire.NewReader(count, body)
		var c wire.Call
		for r.NextCall(&c) {
			c.Arg = slices.Clone(c.Arg)
			h.calls = append(h.calls, c)
		}
	case wire.KindTakeBack:
		h.giveBack(body)
	case wire.KindKill:
		h.kill(body)
	default: // modules and their tasks are nothing to a hand
	}
}

// giveBack returns the calls that came last, but for one that runs.
func (h *hand) giveBack(body []byte) {
	var back wire.TakeBack
	if err := wire.Decode(wire.KindTakeBack, body, &back); err != nil {
		h.t.Fatal(err)
	}
	var w wire.Writer
	w.Reset(wire.KindReturned)
	for ; back.Max > 0 && len(h.calls) > 1; back.Max-- {
		c := h.calls[len(h.calls)-1]
		if h.begun[c.Number] {
			break
		}
		h.calls = h.calls[:len(h.calls)-1]
		w.AddTicket(c.Ticket, uint32(c.Number))
	}
	send(h.t, h.ep, w.Frame())
}

func (h *hand) kill(body []byte) {
	var kill wire.Kill
	if err := wire.Decode(wire.KindKill, body, &kill); err != nil {
		h.t.Fatal(err)
	}
	for _, number := range kill.Calls {
		i := slices.IndexFunc(h.calls, func(c wire.Call) bool { return c.Number == number })
		if i >= 0 {
			h.answer(i, wire.Result{Failed: true, Data: []byte(`{"kind":9,"message":"killed"}`)})
		}
	}
}

// answer ends the i-th call.
func (h *hand) answer(i int, res wire.Result) {
	c := h.calls[i]
	delete(h.begun, c.Number)
	h.calls = slices.Delete(h.calls, i, i+1)
	send(h.t, h.ep, results(c, res))
}

// begin says of a call that it has begun.
func (h *hand) begin(rnd *rand.Rand) {
	if len(h.calls) == 0 {
		return
	}
	if c := h.calls[rnd.IntN(len(h.calls))]; !h.begun[c.Number] {
		h.begun[c.Number] = true
		send(h.t, h.ep, results(c, wire.Result{Begun: true}))
	}
}

// finish ends some calls with their argument as the result, or with an error.
func (h *hand) finish(rnd *rand.Rand) {
	for n := 1 + rnd.IntN(8); n > 0 && len(h.calls) > 0; n-- {
		i := rnd.IntN(len(h.calls))
		res := wire.Result{Nanos: rnd.Int64N(3_000_000), Data: h.calls[i].Arg}
		if binary.LittleEndian.Uint64(res.Data)%16 == 0 {
			res.Failed, res.Data = true, []byte(`{"kind":1,"message":"no"}`)
		}
		h.answer(i, res)
	}
}

func newInterleaving(t *testing.T, rnd *rand.Rand, workers int) *interleaving {
	tasks, err := wasmtasks.Build(t.Context(), "testdata/tasks")
	if err != nil {
		t.Fatal(err)
	}
	world := mem.New(workers + 1)
	root := world.Endpoint(0)
	cfg := Config{
		Modules: []*wasmtasks.Module{tasks}, QueueCalls: 1 << 30,
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
	ex, err := build(cfg.withDefaults(), root, root.Bell())
	if err != nil {
		t.Fatal(err)
	}
	in := &interleaving{t: t, rnd: rnd, ex: ex}
	for rank := 1; rank <= workers; rank++ {
		h := &hand{t: t, ep: world.Endpoint(rank), begun: map[uint64]bool{}}
		in.hands = append(in.hands, h)
		send(t, h.ep, hello(t))
	}
	for range 4 {
		in.forks = append(in.forks, ex.Fork())
	}
	return in
}

// step does one thing that a caller or a worker may do.
func (in *interleaving) step() {
	rnd := in.rnd
	switch n := rnd.IntN(1000); {
	case n < 350:
		in.submit()
	case n < 900:
		h := in.hands[rnd.IntN(len(in.hands))]
		in.poll(h)
		for range 4 {
			h.begin(rnd)
		}
		h.finish(rnd)
	case n < 990:
		in.cancel()
	case n < 995:
		in.shutdown()
	default:
		in.forks[rnd.IntN(len(in.forks))].CancelPending()
	}
}

func (in *interleaving) poll(h *hand) {
	if _, err := h.ep.Poll(h); err != nil {
		in.t.Fatal(err)
	}
}

func (in *interleaving) submit() {
	fork := in.forks[in.rnd.IntN(len(in.forks))]
	for range 1 + in.rnd.IntN(10) {
		in.submitted++
		arg := binary.LittleEndian.AppendUint64(nil, uint64(in.submitted))
		f := fork.Submit(in.t.Context(), "echo", arg, Priority(in.rnd.IntN(3)))
		c := &tally{in: in, f: f}
		in.open++
		f.tell(c)
		in.pending = append(in.pending, c)
	}
}

// cancel withdraws or kills a call.
func (in *interleaving) cancel() {
	if len(in.pending) == 0 {
		return
	}
	c := in.pending[in.rnd.IntN(len(in.pending))]
	f := c.f
	if in.rnd.IntN(4) == 0 {
		f.Kill("the test wants it so")
		return
	}
	before := f.State()
	cancelled := f.Cancel()
	if cancelled != (before == Pending || before == Sent || before == Cancelled) || cancelled && f.State() != Cancelled {
		in.t.Errorf("Cancel of a call that was %v says %t, then it is %v", before, cancelled, f.State())
	}
	c.cancelled = c.cancelled || cancelled
	in.before[before]++
}

// shutdown ends a fork in one of the ways there are, and opens another.
func (in *interleaving) shutdown() {
	i := in.rnd.IntN(len(in.forks))
	ctx, cancel := context.WithCancel(in.t.Context())
	defer cancel()
	switch fork := in.forks[i]; in.rnd.IntN(3) {
	case 0:
		in.must(fork.Shutdown(ctx, NoWait))
	case 1:
		in.must(fork.Shutdown(ctx, NoWait, CancelPending))
	default:
		cancel() // what runs is killed, the rest ends with ErrClosed
		if err := fork.Shutdown(ctx); err != nil && !errors.Is(err, context.Canceled) {
			in.t.Error(err)
		}
	}
	if f := in.forks[i].Submit(in.t.Context(), "echo", nil); !errors.Is(f.Err(in.t.Context()), ErrClosed) {
		in.t.Error("a fork that was shut down takes calls")
	}
	in.ended = append(in.ended, in.forks[i])
	in.forks[i] = in.ex.Fork()
}

func (in *interleaving) must(err error) {
	if err != nil {
		in.t.Error(err)
	}
}

// check holds what must be true after a turn.
func (in *interleaving) check(step int) {
	l := in.ex.loop
	if l.broken != nil {
		in.t.Fatalf("step %d: %v", step, l.broken)
	}
	flying := 0
	for _, w := range l.sched.workers {
		flying += w.inflight
		if w.lost {
			in.t.Fatalf("step %d: rank %d is lost", step, w.rank)
		}
		if w.inflight < w.slots && l.sched.queue.n > 0 {
			in.t.Fatalf("step %d: rank %d has a free slot while %d calls wait", step, w.rank, l.sched.queue.n)
		}
	}
	if got := len(l.sched.tickets) - len(l.sched.free); got != flying {
		in.t.Fatalf("step %d: %d tickets are out, %d calls in flight", step, got, flying)
	}
}

// sweep forgets futures that are resolved, after a look at what came of them.
func (in *interleaving) sweep() {
	kept := in.pending[:0]
	for _, c := range in.pending {
		if !c.f.resolved() {
			kept = append(kept, c)
			continue
		}
		if c.n != 1 {
			in.t.Fatalf("call %d was resolved %d times", c.f.number, c.n)
		}
		if in.classify(c.f); c.cancelled && !errors.Is(c.f.err, ErrCancelled) {
			in.t.Fatalf("call %d: Cancel said true, the outcome is %v", c.f.number, c.f.err)
		}
	}
	clear(in.pending[len(kept):])
	in.pending = kept
	alive := in.ended[:0]
	for _, fork := range in.ended {
		select {
		case <-fork.Ended():
		default:
			alive = append(alive, fork)
		}
	}
	in.ended = alive
}

func (in *interleaving) classify(f *Future) {
	data, err := f.outcome()
	var failed *TaskError
	switch {
	case err == nil:
		in.finished++
		if len(data) != 8 || binary.LittleEndian.Uint64(data)%16 == 0 {
			in.t.Fatalf("call %d gave % x", f.number, data)
		}
	case errors.Is(err, ErrCancelled):
		in.cancelled++
	case errors.Is(err, ErrKilled):
		in.killed++
	case errors.Is(err, ErrClosed):
		in.dropped++
	case errors.As(err, &failed):
		in.refused++
	default:
		in.t.Fatalf("call %d: %v", f.number, err)
	}
}

// TestInterleaving takes a million random steps of submit, finish, cancel, kill
// and shutdown through a whole executor, and checks the invariants after each: no
// worker has a free slot while a call waits, each future is resolved once, and in
// the end nothing is left.
func TestInterleaving(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	in := newInterleaving(t, rand.New(rand.NewPCG(seed, 2)), 5)
	steps := 1_000_000
	if testing.Short() {
		steps /= 20
	}
	for step := range steps {
		in.step()
		in.ex.loop.turn()
		in.check(step)
		if step%1000 == 0 {
			in.sweep()
		}
	}
	for _, fork := range append(in.forks, in.ex) {
		in.must(fork.Shutdown(t.Context(), NoWait))
	}
	for turns := 0; !in.ex.loop.over(); turns++ {
		in.ex.loop.turn()
		for _, h := range in.hands {
			in.poll(h)
			h.finish(in.rnd)
		}
		if turns > 10*in.submitted {
			t.Fatalf("%d calls do not end", in.open)
		}
	}
	in.sweep()
	if in.open != 0 || len(in.pending) != 0 || len(in.ended) != 0 {
		t.Errorf("%d futures and %d forks are left", in.open, len(in.ended))
	}
	in.ex.run() // it has only to end
	t.Logf("Cancel came to calls that were, by state, %v", in.before)
	t.Logf("of %d calls %d finished, %d failed, %d were cancelled, %d killed, %d dropped", in.submitted, in.finished, in.refused, in.cancelled, in.killed, in.dropped)
	for what, n := range map[string]int{"finished": in.finished, "failed": in.refused, "cancelled": in.cancelled, "killed": in.killed, "dropped": in.dropped} {
		if n == 0 {
			t.Errorf("no call was %s: the test tests too little", what)
		}
	}
	for s, n := range in.before {
		if n == 0 {
			t.Errorf("no call that was %v was cancelled: the test tests too little", State(s))
		}
	}
}
