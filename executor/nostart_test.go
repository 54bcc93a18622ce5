package executor

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/internal/guesttest"
	"github.com/wasmpool/wasmpool/internal/transport/mem"
	"github.com/wasmpool/wasmpool/internal/worker"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// startsWAT does not start where it has no environment.
const startsWAT = `(module
  (import "wasi_snapshot_preview1" "environ_sizes_get" (func $sizes (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func $start
    (drop (call $sizes (i32.const 0) (i32.const 4)))
    (if (i32.eqz (i32.load (i32.const 0))) (then unreachable)))
  (start $start)
  (func (export "task") (result i32) (i32.const 0)))`

// refusedWAT cannot be loaded: nobody offers what it imports.
const refusedWAT = `(module (import "env" "nobody" (func)) (func (export "task") (result i32) (i32.const 0)))`

// TestNoStart checks that a map ends with one clear error where its module cannot be started on any worker, and
// goes on where it can on one.
func TestNoStart(t *testing.T) {
	t.Parallel()
	const inputs = 300_000
	with := host.Config{Grants: map[string]host.Grants{host.EveryModule: {Env: map[string]string{"A": "1"}}}}
	for _, tt := range []struct {
		name, wat string
		hosts     []host.Config
		inputs    int
		ends      string // what the map ends with; "" for all inputs
	}{
		{"starts nowhere", startsWAT, make([]host.Config, 3), inputs, "making an instance: unreachable"},
		{"refused", refusedWAT, make([]host.Config, 2), inputs, "env.nobody"},
		{"starts on one of two", startsWAT, []host.Config{{}, with}, 200, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ctx, stop := context.WithTimeout(t.Context(), time.Minute)
			defer stop()
			ex := openHosts(t, guesttest.Module(t, "starts", tt.wat), tt.hosts)
			ok, failed := 0, 0
			var last error
			for _, err := range ex.Map(ctx, "task", nothings(tt.inputs)) {
				var e *TaskError
				switch {
				case err == nil:
					ok++
				case errors.As(err, &e):
					failed++
				}
				last = err
			}
			if tt.ends == "" {
				if ok == 0 || ok+failed != tt.inputs || errors.Is(last, ErrNoStart) {
					t.Errorf("%d ok, %d failed of %d, and last %v", ok, failed, tt.inputs, last)
				}
				return
			}
			if ok > 0 || failed == 0 || failed >= tt.inputs || !errors.Is(last, ErrNoStart) || !strings.Contains(last.Error(), tt.ends) {
				t.Errorf("%d ok, %d failed of %d, and last %v", ok, failed, tt.inputs, last)
			}
			if err := ex.Shutdown(ctx); err != nil {
				t.Errorf("the pool: %v", err) // other modules may run
			}
		})
	}
}

// nothings yields n empty arguments.
func nothings(n int) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for range n {
			if !yield(nil) {
				return
			}
		}
	}
}

// openHosts returns an executor with a worker for each host.
func openHosts(t *testing.T, m *wasmtasks.Module, hosts []host.Config) *Executor {
	t.Helper()
	fabric := mem.New(len(hosts) + 1)
	ctx, cancel := context.WithCancel(context.Background())
	var workers sync.WaitGroup
	for i, cfg := range hosts {
		h, err := host.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		workers.Go(func() {
			ep := fabric.Endpoint(i + 1)
			if err := errors.Join(worker.Serve(ctx, h, ep, worker.Config{Rank: i + 1}), ep.Close(), h.Close()); err != nil {
				t.Errorf("rank %d: %v", i+1, err)
			}
		})
	}
	root := fabric.Endpoint(0)
	ex, err := open(Config{Modules: []*wasmtasks.Module{m}, Logger: slog.New(slog.DiscardHandler)}.withDefaults(), root, root.Bell())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, stop := context.WithTimeout(context.Background(), time.Minute)
		defer stop()
		ex.Shutdown(ctx) //nolint:errcheck // the test has asked, as far as it cares
		workers.Wait()
		cancel()
	})
	return ex
}
