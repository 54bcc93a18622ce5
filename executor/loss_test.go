package executor

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/internal/guesttest"
	"github.com/wasmpool/wasmpool/internal/transport/mem"
	"github.com/wasmpool/wasmpool/internal/unittest"
	"github.com/wasmpool/wasmpool/internal/wire"
	"github.com/wasmpool/wasmpool/internal/worker"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// A cluster is an executor with workers that are goroutines, each as it would
// be on a rank of its own, so that they can be lost.
type cluster struct {
	ex      *Executor
	fabric  *mem.Fabric
	workers sync.WaitGroup
	errs    []error // of the workers, by rank; read after workers.Wait
}

func newCluster(t *testing.T, ranks int) *cluster {
	t.Helper()
	return newClusterWith(t, ranks, Config{Logger: slog.New(slog.DiscardHandler)})
}

func newClusterWith(t *testing.T, ranks int, cfg Config) *cluster {
	t.Helper()
	tasks := guesttest.Build(t, "testdata/tasks")
	c := &cluster{fabric: mem.New(ranks), errs: make([]error, ranks)}
	h, err := host.New(host.Config{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	for rank := 1; rank < ranks; rank++ {
		c.workers.Go(func() {
			ep := c.fabric.Endpoint(rank)
			c.errs[rank] = errors.Join(worker.Serve(ctx, h, ep, worker.Config{Rank: rank}), ep.Close())
		})
	}
	root := c.fabric.Endpoint(0)
	cfg.RootSlots, cfg.Modules = 0, []*wasmtasks.Module{tasks}
	c.ex, err = open(cfg.withDefaults(), root, root.Bell())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, stop := context.WithTimeout(context.Background(), time.Minute)
		defer stop()
		c.ex.Shutdown(ctx) //nolint:errcheck // the tests that care have asked before
		cancel()           // workers that were cut off
		c.workers.Wait()
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func number(n int) []byte { return binary.LittleEndian.AppendUint64(nil, uint64(n)) }

// TestWorkerLost kills workers in the middle of a run: every call is answered,
// once and right.
func TestWorkerLost(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 4)
	const calls = 3_000
	args := func(yield func([]byte) bool) {
		for i := range calls {
			switch i {
			case calls / 3:
				c.fabric.Kill(2)
			case 2 * calls / 3:
				c.fabric.Kill(1)
			}
			if !yield(number(i)) {
				return
			}
		}
	}
	i := 0
	for got, err := range c.ex.Map(t.Context(), "echo", args) {
		if err != nil || !bytes.Equal(got, number(i)) {
			t.Fatalf("element %d: % x, %v", i, got, err)
		}
		i++
	}
	if i != calls {
		t.Fatalf("%d results", i)
	}
	st, err := c.ex.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range st.Workers {
		if w.Lost != (w.Rank != 3) || w.Lost && w.InFlight > 0 {
			t.Errorf("%+v", w)
		}
	}
	if err := c.ex.Shutdown(t.Context()); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}

// TestAllWorkersLost checks that every future is resolved when nobody is left.
func TestAllWorkersLost(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	var futures []*Future
	for range 500 {
		futures = append(futures, c.ex.Submit(t.Context(), "burn", number(10_000)))
	}
	if _, err := futures[0].Result(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.fabric.Kill(1)
	c.fabric.Kill(2)
	lost := 0
	for _, f := range futures {
		if _, err := f.Result(t.Context()); errors.Is(err, ErrNoWorkers) {
			lost++
		} else if err != nil {
			t.Fatalf("a call without workers ends with %v", err)
		}
	}
	if lost == 0 {
		t.Error("no call failed")
	}
	if _, err := c.ex.Call(t.Context(), "echo", nil); !errors.Is(err, ErrNoWorkers) {
		t.Errorf("a call to a broken pool: %v", err)
	}
	if err := c.ex.Shutdown(t.Context()); !errors.Is(err, ErrNoWorkers) {
		t.Errorf("Shutdown: %v", err)
	}
}

// TestPoison checks that a call whose workers die again and again fails, and
// does not take all of them.
func TestPoison(t *testing.T) {
	t.Parallel()
	const mostLost = 3 // workers that may be lost with a call
	c := newCluster(t, mostLost+3)
	f := c.ex.Submit(t.Context(), "forever", nil)
	killed := map[int]bool{}
	for range mostLost {
		rank := 0
		unittest.Until(t, "a worker has the call", func() bool {
			st, err := c.ex.Stats(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, w := range st.Workers {
				if w.InFlight > 0 && !killed[w.Rank] {
					rank = w.Rank
				}
			}
			return rank > 0
		})
		killed[rank] = true
		c.fabric.Kill(rank)
	}
	_, err := f.Result(t.Context())
	var failed *TaskError
	if !errors.Is(err, ErrWorkerLost) || !errors.As(err, &failed) || failed.Attempt != mostLost {
		t.Errorf("a call that lost %d workers: %v", mostLost, err)
	}
	if got, err := c.ex.Call(t.Context(), "square", []byte("4")); err != nil || string(got) != "16" {
		t.Errorf("another call: %q, %v", got, err)
	}
}

// TestRootLost checks that workers leave when the root is gone.
func TestRootLost(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	if _, err := c.ex.Call(t.Context(), "square", []byte("4")); err != nil {
		t.Fatal(err)
	}
	c.fabric.Kill(0)
	c.workers.Wait()
	for rank, err := range c.errs[1:] {
		if !errors.Is(err, worker.ErrRootLost) {
			t.Errorf("rank %d: %v", rank+1, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c.ex.Shutdown(ctx) //nolint:errcheck // nothing can be expected of it
}

// TestNonsense checks that a worker that sends what makes no sense is dropped
// with an error that names it, and that its calls run elsewhere.
func TestNonsense(t *testing.T) {
	t.Parallel()
	var good wire.Writer
	good.Reset(wire.TypeResults)
	good.AddResult(&wire.Result{Ticket: 12345, Gen: 1})
	for name, frame := range map[string][]byte{
		"not a frame":           []byte("hello, root"),
		"another version":       {99, byte(wire.TypeResults), 0, 0, 0, 0, 0, 0},
		"a frame of the root's": wire.Bare(wire.TypeStop),
		"an unknown ticket":     good.Frame(),
		"a second hello":        append(wire.Bare(wire.TypeHello), `{"slots":1}`...),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fabric := mem.New(3)
			root := fabric.Endpoint(0)
			var log bytes.Buffer
			ex, err := open(Config{Logger: slog.New(slog.NewTextHandler(&log, nil))}.withDefaults(), root, root.Bell())
			if err != nil {
				t.Fatal(err)
			}
			misbehaving := fabric.Endpoint(2)
			hello, err := wire.Control(wire.TypeHello, wire.Hello{Host: "misbehaving", Slots: 1})
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range [][]byte{hello, frame} {
				if err := misbehaving.Send(0, f); err != nil {
					t.Fatal(err)
				}
			}
			unittest.Until(t, "the worker is lost", func() bool {
				st, err := ex.Stats(t.Context())
				return err == nil && len(st.Workers) == 1 && st.Workers[0].Lost
			})
			fabric.Kill(1)
			if err := ex.Shutdown(t.Context()); err != nil {
				t.Log(err) // nobody is left
			}
			if want := fmt.Sprintf("rank %d", 2); !bytes.Contains(log.Bytes(), []byte(want)) {
				t.Errorf("the log does not name %s:\n%s", want, &log)
			}
		})
	}
}

// TestSaidOnce checks that what broke the pool is said once by Run, also when the root
// function returns it.
func TestSaidOnce(t *testing.T) {
	t.Parallel()
	tasks := guesttest.Build(t, "testdata/tasks")
	for want, initializer := range map[string]string{"the initializer fail failed": "fail", ErrNoWorkers.Error(): ""} {
		cfg := Config{Modules: []*wasmtasks.Module{tasks}, Sandbox: host.Config{Initializer: initializer}, Logger: slog.New(slog.DiscardHandler)}
		w := mem.New(2)
		if initializer != "" {
			cfg.RootSlots = 1
		}
		w.Kill(1)
		root := w.Endpoint(0)
		err := runRoot(t.Context(), cfg.withDefaults(), root, root.Bell(), func(ctx context.Context, ex *Executor) error {
			_, err := ex.Call(ctx, "square", []byte("3"))
			return fmt.Errorf("the root says: %w", err)
		})
		if err == nil || strings.Count(err.Error(), want) != 1 {
			t.Errorf("Run returns %q, want %q once", err, want)
		}
	}
}

// TestNoBeginning checks that the workers of a pool that cannot begin are told to
// leave: MPI would wait for them.
func TestNoBeginning(t *testing.T) {
	t.Parallel()
	tasks := guesttest.Build(t, "testdata/tasks")
	h, err := host.New(host.Config{})
	if err != nil {
		t.Fatal(err)
	}
	w := mem.New(3)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var workers sync.WaitGroup
	for rank := 1; rank < 3; rank++ {
		workers.Go(func() {
			ep := w.Endpoint(rank)
			if err := errors.Join(worker.Serve(ctx, h, ep, worker.Config{Rank: rank}), ep.Close()); err != nil {
				t.Errorf("worker %d: %v", rank, err)
			}
		})
	}
	cfg := Config{Modules: []*wasmtasks.Module{tasks}, Sandbox: host.Config{Initializer: "nosuch"}}.withDefaults()
	root := w.Endpoint(0)
	err = runRoot(ctx, cfg, root, root.Bell(), func(context.Context, *Executor) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "unknown task") {
		t.Errorf("the root ends with: %v", err)
	}
	workers.Wait()
	if err := h.Close(); err != nil {
		t.Error(err)
	}
}
