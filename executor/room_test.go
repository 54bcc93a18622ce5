package executor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/internal/dispatcher"
	"github.com/wasmpool/wasmpool/internal/guesttest"
	"github.com/wasmpool/wasmpool/internal/transport"
	"github.com/wasmpool/wasmpool/internal/transport/mem"
	"github.com/wasmpool/wasmpool/internal/wire"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// A dawdler is a worker that does what its test says.
type dawdler struct {
	t     *testing.T
	ep    transport.Endpoint
	calls []wire.Call
	takes []wire.Take
	kills []wire.Kill
}

func (d *dawdler) Frame(_ int, frame []byte) {
	typ, count, body, err := wire.Header(frame)
	if err != nil {
		d.t.Error(err)
	}
	switch typ {
	case wire.TypeCalls:
		r := wire.NewReader(count, body)
		for c := (wire.Call{}); r.NextCall(&c); {
			d.calls = append(d.calls, c)
		}
	case wire.TypeTake:
		var take wire.Take
		if err := wire.Decode(typ, body, &take); err != nil {
			d.t.Error(err)
		}
		d.takes = append(d.takes, take)
	case wire.TypeKill:
		var kill wire.Kill
		if err := wire.Decode(typ, body, &kill); err != nil {
			d.t.Error(err)
		}
		d.kills = append(d.kills, kill)
	}
}

func (d *dawdler) Lost(int, error) {}

// until polls until something is so, or a minute has passed.
func (d *dawdler) until(what string, so func() bool) {
	d.t.Helper()
	for deadline := time.Now().Add(time.Minute); !so(); time.Sleep(100 * time.Microsecond) {
		if _, err := d.ep.Poll(d); err != nil || time.Now().After(deadline) {
			d.t.Fatalf("%s: %v", what, err)
		}
	}
}

// announce says that the last call has a result of n bytes.
func (d *dawdler) announce(payload uint32, n int64) {
	d.t.Helper()
	send(d.t, d.ep, results(d.calls[len(d.calls)-1], wire.Result{Long: true, Len: n, Payload: payload}))
}

// openRoot opens an executor on the root of a fabric whose other ranks the test plays.
func openRoot(t *testing.T, fabric *mem.Fabric, cfg Config) *Executor {
	t.Helper()
	tasks := guesttest.Build(t, "testdata/tasks")
	cfg.Modules = []*wasmtasks.Module{tasks}
	root := fabric.Endpoint(0)
	ex, err := open(cfg.withDefaults(), root, root.Bell())
	if err != nil {
		t.Fatal(err)
	}
	return ex
}

// TestRoom has results wait for room that another takes, and checks that a killed call
// does not wait, and that a lost worker's room is free again.
func TestRoom(t *testing.T) {
	t.Parallel()
	fabric := mem.New(3)
	ex := openRoot(t, fabric, Config{ResultBytes: 1 << 20, Logger: slog.New(slog.DiscardHandler)})
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	first, second := &dawdler{t: t, ep: fabric.Endpoint(1)}, &dawdler{t: t, ep: fabric.Endpoint(2)}
	send(t, first.ep, hello(t))
	a := ex.Submit(ctx, "echo", []byte("a"))
	first.until("a call for the first worker", func() bool { return len(first.calls) == 1 })
	send(t, second.ep, hello(t))
	var b *Future
	for b == nil { // what the first does not get
		f := ex.Submit(ctx, "echo", []byte("b"))
		second.until("a call for one of the two", func() bool {
			_, err := first.ep.Poll(first)
			return err != nil || len(first.calls)+len(second.calls) > 1
		})
		if len(second.calls) > 0 {
			b = f
		}
	}

	first.announce(1, 6<<20) // longer than the room: it comes alone
	first.until("the first result to be taken", func() bool { return len(first.takes) == 1 })
	if first.takes[0] != (wire.Take{Payload: 1}) {
		t.Fatalf("the root says %+v of the first result", first.takes[0])
	}
	second.announce(7, 5<<20)
	if st, err := ex.Stats(ctx); err != nil || st.InFlight == 0 { // the loop has seen it after some turns
		t.Fatal(st, err)
	}
	time.Sleep(10 * time.Millisecond)
	if _, err := second.ep.Poll(second); err != nil || len(second.takes) > 0 {
		t.Errorf("the second result does not wait for the first: %+v, %v", second.takes, err)
	}

	b.Kill("enough")
	if _, err := b.Result(ctx); !errors.Is(err, ErrKilled) {
		t.Errorf("the call whose result waits: %v, want that it was killed", err)
	}
	second.until("the second result to be refused", func() bool { return len(second.takes) == 1 })
	if second.takes[0] != (wire.Take{Payload: 7, Refused: true}) {
		t.Errorf("the root says %+v of the second result", second.takes[0])
	}

	n := len(second.calls)
	c := ex.Submit(ctx, "echo", []byte("c"))
	second.until("another call", func() bool { return len(second.calls) > n })
	second.announce(8, 5<<20)
	ex.dispatcher.Request(func(*dispatcher.Loop) { fabric.Endpoint(0).Fence(1, errors.New("it dawdles")) })
	second.until("the room of the lost worker", func() bool { return len(second.takes) == 2 })
	sent := false
	second.ep.SendPayload(0, 8, bytes.Repeat([]byte("c"), 5<<20), func(err error) { sent = err == nil })
	second.until("the third result to leave", func() bool { return sent })
	if out, err := c.Result(ctx); err != nil || len(out) != 5<<20 || out[0] != 'c' {
		t.Errorf("the third call gave %d bytes, %v", len(out), err)
	}
	second.until("the first call again", func() bool { return second.calls[len(second.calls)-1].Attempt == 2 })
	for _, call := range second.calls[n+1:] {
		send(t, second.ep, results(call, wire.Result{Data: []byte("again")}))
	}
	if out, err := a.Result(ctx); err != nil || string(out) != "again" {
		t.Errorf("the call of the lost worker gave %q, %v", out, err)
	}
	ex.abandon()
	if err := ex.Shutdown(ctx); err != nil {
		t.Log(err)
	}
}

// TestResultsMeet has more long results at once than there is room for.
func TestResultsMeet(t *testing.T) {
	t.Parallel()
	tasks := guesttest.Build(t, "testdata/tasks")
	ex, err := Local(Config{Modules: []*wasmtasks.Module{tasks}, RootSlots: 4, ResultBytes: 6 << 20})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), 4*time.Minute)
	defer stop()
	sizes := []int{20_000, 300_000, 5 << 20, 7 << 20, 1 << 20}
	arg := func(i int) []byte { return bytes.Repeat([]byte{byte('a' + i%26)}, sizes[i%len(sizes)]) }
	args := func(yield func([]byte) bool) {
		for i := range 60 {
			if !yield(arg(i)) {
				return
			}
		}
	}
	right := func(i int, out []byte, err error) error {
		if err != nil || !bytes.Equal(out, arg(i)) {
			return fmt.Errorf("result %d has %d bytes: %w", i, len(out), err)
		}
		return nil
	}
	i := 0
	for out, err := range ex.Map(ctx, "echo", args) {
		if err := right(i, out, err); err != nil {
			t.Error(err)
		}
		i++
	}
	for i, o := range ex.MapIndexed(ctx, "echo", args) {
		if err := right(int(i), o.Result, o.Err); err != nil {
			t.Error(err)
		}
	}
	futures := slices.Collect(func(yield func(*Future) bool) {
		for a := range args {
			yield(ex.Submit(ctx, "echo", a))
		}
	})
	for range 20 { // some are killed, wherever they are
		futures[rand.IntN(len(futures))].Kill("by chance")
	}
	for i, f := range futures {
		if out, err := f.Result(ctx); !errors.Is(err, ErrKilled) {
			if err := right(i, out, err); err != nil {
				t.Error(err)
			}
		}
	}
	if err := ex.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	if taken, waiting := ex.dispatcher.Probe().Loop().LongResults(); taken != 0 || waiting > 0 {
		t.Errorf("%d bytes of the room are taken and %d results wait, after all has ended", taken, waiting)
	}
}

// TestRoomOfCancelled checks that a result of a call that was cancelled is not sent, whether
// it is announced before or after that, and does not count as one that waits to be taken.
func TestRoomOfCancelled(t *testing.T) {
	t.Parallel()
	fabric := mem.New(2)
	ex := openRoot(t, fabric, Config{ResultBytes: 1 << 20, Logger: slog.New(slog.DiscardHandler)})
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	w := &dawdler{t: t, ep: fabric.Endpoint(1)}
	send(t, w.ep, hello(t))
	kills := func() int { return len(w.kills) }
	give := func() *Future {
		t.Helper()
		n := len(w.calls)
		f := ex.Submit(ctx, "echo", []byte("x"))
		w.until("a call", func() bool { return len(w.calls) > n })
		return f
	}
	refused := func(what string, payload uint32, f *Future) {
		t.Helper()
		n := len(w.takes)
		w.until(what+": the root's answer", func() bool { return len(w.takes) > n })
		if got, want := w.takes[n], (wire.Take{Payload: payload, Refused: true}); got != want {
			t.Errorf("%s: the root says %+v of the result, want %+v", what, got, want)
		}
		if err := f.Err(ctx); !errors.Is(err, ErrCancelled) || f.State() != Cancelled {
			t.Errorf("%s: it ended with %v, as %v", what, err, f)
		}
	}

	after := give()
	if !after.Cancel() {
		t.Fatal("a call that was sent cannot be cancelled")
	}
	w.until("it is recalled", func() bool { return kills() == 1 })
	w.announce(1, 5<<20)
	refused("cancelled, then announced", 1, after)

	first := give()
	send(t, w.ep, results(w.calls[len(w.calls)-1], wire.Result{Begun: true}))
	w.announce(2, 5<<20)
	w.until("the first result to be taken", func() bool { return len(w.takes) == 2 })
	for name, cancel := range map[string]func(f *Future){
		"Cancel": func(f *Future) { f.Cancel() }, "CancelAll": func(*Future) { ex.CancelAll() },
	} {
		f := give()
		w.announce(3, 5<<20)
		if _, err := ex.Stats(ctx); err != nil {
			t.Fatal(err)
		}
		waits := make(chan bool, 1)
		w.until("the result waits", func() bool {
			ex.dispatcher.Request(func(l *dispatcher.Loop) {
				_, waiting := l.LongResults()
				waits <- waiting == 1
			})
			return <-waits
		})
		cancel(f)
		refused("announced, then "+name, 3, f)
	}
	if kills() != 1 {
		t.Errorf("%d orders to end calls, want one: the others had been answered", kills())
	}
	sent := false
	w.ep.SendPayload(0, 2, bytes.Repeat([]byte("x"), 5<<20), func(err error) { sent = err == nil })
	w.until("the first result to leave", func() bool { return sent })
	if out, err := first.Result(ctx); err != nil || len(out) != 5<<20 {
		t.Errorf("the first call gave %d bytes, %v", len(out), err)
	}

	m := ex.startMapping(ctx, "echo", func(yield func([]byte, error) bool) { yield([]byte("x"), nil) }, nil, newInOrder(false))
	if m.refused != nil {
		t.Fatal(m.refused)
	}
	n := len(w.calls)
	w.until("a map's call", func() bool { return len(w.calls) > n })
	ex.CancelAll()
	w.until("it is recalled", func() bool { return kills() == 2 })
	send(t, w.ep, results(w.calls[n], wire.Result{Data: bytes.Repeat([]byte("x"), 10<<10)}))
	m.results(func(_ []byte, err error) bool {
		if !errors.Is(err, ErrCancelled) {
			t.Errorf("the map's call ended with %v", err)
		}
		return true
	})
	if h := m.ahead.held; h.results.bytes.Load() != 0 || h.results.calls.Load() != 0 {
		t.Errorf("%d bytes of %d results are held when all were taken", h.results.bytes.Load(), h.results.calls.Load())
	}
	fabric.Kill(1)
	if err := ex.Shutdown(ctx); err != nil {
		t.Log(err) // nobody is left
	}
}

// TestKilledAndReturned has a worker give calls back, one alone and some of a map, that are being killed meanwhile: they end for the reason
// that was given. So they do where it is lost.
func TestKilledAndReturned(t *testing.T) {
	t.Parallel()
	for _, lost := range []bool{false, true} {
		fabric := mem.New(2)
		ex := openRoot(t, fabric, Config{Logger: slog.New(slog.DiscardHandler)})
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		worker := &dawdler{t: t, ep: fabric.Endpoint(1)}
		send(t, worker.ep, hello(t))
		f := ex.Submit(ctx, "echo", []byte("a"))
		worker.until("the call is there", func() bool { return len(worker.calls) == 1 })
		fed := make(chan struct{})
		results := ex.Map(ctx, "echo", func(yield func([]byte) bool) {
			slices.Values([][]byte{{1}, {2}, {3}})(yield)
			close(fed)
		}, Buffer(4))
		<-fed
		worker.until("a call of the map is there", func() bool { return len(worker.calls) >= 2 })
		if _, err := ex.KillAll(ctx, "it takes too long"); err != nil {
			t.Fatal(err)
		}
		worker.until("the order is there", func() bool { return len(worker.kills) == 1 })
		if lost {
			fabric.Kill(1)
		} else {
			var w wire.Writer
			w.Reset(wire.TypeReturned)
			for _, c := range worker.calls {
				w.AddTicket(c.Ticket, uint32(c.Number), uint32(max(c.Count, 1)))
			}
			send(t, worker.ep, w.Frame())
		}
		errs := []error{f.Err(ctx)}
		for _, err := range results {
			errs = append(errs, err)
		}
		for i, err := range errs {
			if !errors.Is(err, ErrKilled) || !strings.Contains(err.Error(), "it takes too long") {
				t.Errorf("worker lost: %t; call %d of 4 ends with %v", lost, i, err)
			}
		}
		if len(errs) != 4 {
			t.Errorf("%d of 4 calls have ended", len(errs))
		}
		stop()
		if err := ex.Shutdown(ctx); err == nil {
			t.Error("it should have waited no longer")
		}
	}
}
