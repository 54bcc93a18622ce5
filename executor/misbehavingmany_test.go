package executor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/internal/dispatcher"
	"github.com/wasmpool/wasmpool/internal/guesttest"
	"github.com/wasmpool/wasmpool/internal/transport"
	"github.com/wasmpool/wasmpool/internal/transport/mem"
	"github.com/wasmpool/wasmpool/internal/wire"
	"github.com/wasmpool/wasmpool/internal/worker"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// A wrongWorker is a worker that answers calls, or gives them back, without having run them, and sooner or later such as it does not have.
type wrongWorker struct {
	rnd    *rand.Rand
	honest float64 // how often what it says is true
	held   []piece
}

// A piece is calls of one entry, one behind the other.
type piece struct {
	ticket, gen uint32
	n           int
}

func (l *wrongWorker) Frame(_ int, frame []byte) {
	typ, count, body, err := wire.Header(frame)
	if err != nil || typ != wire.TypeCalls {
		return
	}
	r := wire.NewReader(count, body)
	for c := (wire.Call{}); r.NextCall(&c); {
		l.held = append(l.held, piece{c.Ticket, uint32(c.Number), max(c.Count, 1)})
	}
}

func (l *wrongWorker) Lost(int, error) {}

// pick returns calls to say something about. Those that it has it has no longer after that.
func (l *wrongWorker) pick() piece {
	k := l.rnd.IntN(len(l.held))
	from := l.held[k]
	one := piece{from.ticket, from.gen, 1 + l.rnd.IntN(from.n)}
	if l.rnd.Float64() >= l.honest {
		switch l.rnd.IntN(4) {
		case 0:
			one.ticket += uint32(l.rnd.IntN(3))
		case 1:
			one.gen += uint32(l.rnd.IntN(300)) - 100
		case 2:
			one.n = 1 + l.rnd.IntN(300)
		case 3:
			one.gen = l.rnd.Uint32()
		}
		return one
	}
	before := l.rnd.IntN(from.n - one.n + 1)
	one.gen += uint32(before)
	l.held[k] = l.held[len(l.held)-1]
	l.held = l.held[:len(l.held)-1]
	for _, rest := range []piece{{from.ticket, from.gen, before}, {from.ticket, one.gen + uint32(one.n), from.n - before - one.n}} {
		if rest.n > 0 {
			l.held = append(l.held, rest)
		}
	}
	return one
}

// say returns a frame about calls.
func (l *wrongWorker) say() []byte {
	one := l.pick()
	var w wire.Writer
	switch l.rnd.IntN(3) {
	case 0:
		w.Reset(wire.TypeReturned)
		w.AddTicket(one.ticket, one.gen, uint32(one.n))
	case 1:
		w.Reset(wire.TypeResults)
		w.AddResults(&wire.Result{Ticket: one.ticket, Gen: one.gen, Nanos: l.rnd.Int64N(1000)}, make([]uint16, one.n))
	case 2:
		w.Reset(wire.TypeResults)
		for i := range one.n {
			r := wire.Result{Ticket: one.ticket, Gen: one.gen + uint32(i)}
			switch l.rnd.IntN(4) {
			case 0:
				w.AddResult(&wire.Result{Ticket: r.Ticket, Gen: r.Gen, Begun: true})
			case 1:
				r.Failed, r.Data = true, []byte("{}")
			}
			w.AddResult(&r)
		}
	}
	return w.Frame()
}

// serve answers until ctx ends, or the root does not want it any more.
func (l *wrongWorker) serve(ctx context.Context, t *testing.T, ep transport.Endpoint) {
	defer ep.Close()
	send(t, ep, hello(t))
	for ctx.Err() == nil {
		if _, err := ep.Poll(l); err != nil {
			return
		}
		if len(l.held) > 0 && ep.Send(0, l.say()) != nil {
			return
		}
		time.Sleep(time.Duration(l.rnd.IntN(200)) * time.Microsecond)
	}
}

// TestMisbehavingWorkers maps short calls on workers of which all but one lie, and kills and cancels some meanwhile: each call has one outcome, and the root's
// counts are right in the end. By hand, for longer, and again what was printed: WASMPOOL_TEST_ROUNDS, WASMPOOL_TEST_SEED.
func TestMisbehavingWorkers(t *testing.T) {
	t.Parallel()
	rounds, seed := 5, rand.Uint64()
	if n, err := strconv.Atoi(os.Getenv("WASMPOOL_TEST_ROUNDS")); err == nil {
		rounds = n
	}
	if n, err := strconv.ParseUint(os.Getenv(seedVar), 10, 64); err == nil {
		seed = n
	}
	tasks := guesttest.Build(t, "testdata/tasks")
	h, err := host.New(host.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	for k := uint64(0); k < uint64(rounds) && !t.Failed(); k++ {
		t.Logf("seed %d", seed+k)
		amongMisbehaving(t, seed+k, h, tasks)
	}
}

func amongMisbehaving(t *testing.T, seed uint64, h *host.Host, tasks *wasmtasks.Module) {
	rnd := rand.New(rand.NewPCG(seed, 0))
	const wrong = 6
	fabric := mem.New(2 + wrong)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	var serving sync.WaitGroup
	defer serving.Wait()
	defer cancel()
	serving.Go(func() {
		ep := fabric.Endpoint(1)
		defer ep.Close()
		worker.Serve(ctx, h, ep, worker.Config{Rank: 1, Slots: 2}) //nolint:errcheck // it ends with ctx
	})
	honest := []float64{0.5, 0.9, 0.99}[rnd.IntN(3)]
	for k := range wrong {
		l := &wrongWorker{rnd: rand.New(rand.NewPCG(seed, uint64(1+k))), honest: honest}
		serving.Go(func() { l.serve(ctx, t, fabric.Endpoint(2+k)) })
	}
	ex, err := OpenOn(Config{Modules: []*wasmtasks.Module{tasks}, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}, fabric.Endpoint(0))
	if err != nil {
		t.Fatal(err)
	}
	var maps sync.WaitGroup
	for m := range 3 {
		opts := []MapOption{Retries(RetryPolicy{Attempts: 1 + m, Workers: 1 + 4*m})}
		maps.Go(func() { mapAmongMisbehaving(ctx, t, ex, opts) })
	}
	over := make(chan struct{})
	go func() { maps.Wait(); close(over) }()
	for done := false; !done; {
		select {
		case <-over:
			done = true
		case <-time.After(time.Millisecond):
			meddle(ctx, rnd, ex)
		}
	}
	checkAtRest(t, ex)
	if err := ex.Shutdown(ctx); err != nil {
		t.Error(err)
	}
}

// meddle ends calls in one way or another, or none.
func meddle(ctx context.Context, rnd *rand.Rand, ex *Executor) {
	switch rnd.IntN(60) {
	case 0:
		ex.CancelAll()
	case 1:
		ex.KillAll(ctx, "a test") //nolint:errcheck // it may have ended
	default:
		ex.KillCall(ctx, ex.dispatcher.Newest()-uint64(rnd.IntN(300)), "a test") //nolint:errcheck // likewise
	}
}

// mapAmongMisbehaving checks that each of many calls has one outcome.
func mapAmongMisbehaving(ctx context.Context, t *testing.T, ex *Executor, opts []MapOption) {
	const n = 3000
	var args iter.Seq[[]byte] = func(yield func([]byte) bool) {
		for i := range n {
			if !yield(fmt.Append(nil, i)) {
				return
			}
		}
	}
	seen := make([]bool, n)
	got := 0
	for i, o := range ex.MapIndexed(ctx, "echo", args, opts...) {
		if i < 0 || seen[i] {
			t.Errorf("outcome %d: %v", i, o.Err)
			return
		}
		seen[i] = true
		got++
	}
	if got != n {
		t.Errorf("%d of %d outcomes", got, n)
	}
}

// checkAtRest checks the counts of a pool whose calls all have an outcome.
func checkAtRest(t *testing.T, ex *Executor) {
	t.Helper()
	done := make(chan error, 1)
	ex.dispatcher.Request(func(l *dispatcher.Loop) {
		var errs []error
		ex.dispatcher.Probe().Census(func(c *dispatcher.Census) {
			if c.Length != 0 || c.Waiting != 0 || c.WaitingBytes != 0 {
				errs = append(errs, fmt.Errorf("%d calls queued, %d wait with %d bytes", c.Length, c.Waiting, c.WaitingBytes))
			}
			for _, w := range c.Workers {
				if w.InFlight != 0 || w.Load != 0 || w.Bytes != 0 || len(w.Calls) > 0 {
					errs = append(errs, fmt.Errorf("a worker is not idle: %+v", w))
				}
			}
		})
		w := l.Watch()
		defer l.Unwatch(w)
		if u := l.Look(w); u.Submitted != u.Done+u.Failed+u.Cancelled || u.InFlight != 0 {
			errs = append(errs, fmt.Errorf("%d calls submitted, %d done, %d failed, %d cancelled, %d in flight", u.Submitted, u.Done, u.Failed, u.Cancelled, u.InFlight))
		}
		done <- errors.Join(errs...)
	})
	if err := <-done; err != nil {
		t.Error(err)
	}
}
