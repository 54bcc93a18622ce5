package executor

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/internal/dispatcher"
	"github.com/wasmpool/wasmpool/internal/guesttest"
	"github.com/wasmpool/wasmpool/internal/transport"
	"github.com/wasmpool/wasmpool/internal/transport/mem"
	"github.com/wasmpool/wasmpool/internal/unittest"
	"github.com/wasmpool/wasmpool/internal/worker"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// A stoppable is a worker's endpoint that stands still while it is stopped, as that of a process after SIGSTOP does: what
// comes is not received, and nothing is sent.
type stoppable struct {
	transport.Wrapper
	mu      sync.Mutex
	resumed chan struct{} // closed while it is not stopped
}

func newStoppable(ep transport.Endpoint) *stoppable {
	s := &stoppable{Wrapper: transport.Wrapper{Endpoint: ep}, resumed: make(chan struct{})}
	close(s.resumed)
	return s
}

func (s *stoppable) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.resumed:
		s.resumed = make(chan struct{})
	default:
	}
}

func (s *stoppable) resume() {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.resumed:
	default:
		close(s.resumed)
	}
}

func (s *stoppable) wait() {
	s.mu.Lock()
	resumed := s.resumed
	s.mu.Unlock()
	<-resumed
}

// Poll implements [transport.Endpoint].
func (s *stoppable) Poll(h transport.Handler) (int, error) {
	s.wait()
	return s.Endpoint.Poll(h)
}

// Send implements [transport.Endpoint].
func (s *stoppable) Send(to int, frame []byte) error {
	s.wait()
	return s.Endpoint.Send(to, frame)
}

// twiceWAT has echo, which gives its argument; spin, which does so after as many turns of a loop as its first four bytes
// say; odd, which traps where the next four are an odd number; counter, which gives how often its instance was called; rank, which gives
// its rank; long, which gives 8 KiB; and forever.
const twiceWAT = `(module
  (import "wasmpool" "input_len" (func $len (result i32)))
  (import "wasmpool" "input_read" (func $read (param i32 i32 i32) (result i32)))
  (import "wasmpool" "output_write" (func $write (param i32 i32)))
  (import "wasmpool" "call_meta" (func $meta (param i32) (result i64)))
  (memory (export "memory") 20)
  (global $n (mut i64) (i64.const 0))
  (func $echo (export "echo") (result i32)
    (drop (call $read (i32.const 64) (i32.const 0) (call $len)))
    (call $write (i32.const 64) (call $len)) (i32.const 0))
  (func (export "spin") (result i32) (local $i i32)
    (drop (call $read (i32.const 0) (i32.const 0) (i32.const 4)))
    (local.set $i (i32.load (i32.const 0)))
    (block (loop (br_if 1 (i32.eqz (local.get $i))) (local.set $i (i32.sub (local.get $i) (i32.const 1))) (br 0)))
    (call $echo))
  (func (export "odd") (result i32)
    (drop (call $read (i32.const 0) (i32.const 0) (i32.const 8)))
    (if (i32.and (i32.load (i32.const 4)) (i32.const 1)) (then unreachable))
    (call $echo))
  (func (export "counter") (result i32)
    (global.set $n (i64.add (global.get $n) (i64.const 1)))
    (i64.store (i32.const 0) (global.get $n))
    (call $write (i32.const 0) (i32.const 8)) (i32.const 0))
  (func (export "long") (result i32) (call $write (i32.const 0) (i32.const 8192)) (i32.const 0))
  (func (export "rank") (result i32)
    (i64.store (i32.const 0) (call $meta (i32.const 2)))
    (call $write (i32.const 0) (i32.const 8)) (i32.const 0))
  (func (export "forever") (result i32) (loop (br 0)) (i32.const 0)))`

// A standstill is an executor with workers that are goroutines, each as on a rank of its own, and that can stop as if by SIGSTOP.
type standstill struct {
	ex      *Executor
	fabric  *mem.Fabric
	workers []*stoppable // by rank; the first is nil
	serving sync.WaitGroup
}

// mostStandstill is for how long a test may use a standstill: then its calls fail, so that one that hangs does not take the others with it.
const mostStandstill = 5 * time.Minute

// newStandstill returns one with so many workers with so many slots each, which have joined.
func newStandstill(t testing.TB, ranks, slots int, cfg Config) *standstill {
	t.Helper()
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	s := &standstill{fabric: mem.New(ranks + 1), workers: make([]*stoppable, ranks+1)}
	h, err := host.New(cfg.Sandbox)
	if err != nil {
		t.Fatal(err)
	}
	makeRoom(ranks * slots)
	ctx, cancel := context.WithCancel(context.Background())
	for rank := 1; rank <= ranks; rank++ {
		ep := newStoppable(s.fabric.Endpoint(rank))
		s.workers[rank] = ep
		s.serving.Go(func() {
			err := errors.Join(worker.Serve(ctx, h, ep, worker.Config{Rank: rank, Slots: slots}), ep.Close())
			if err != nil && !errors.Is(err, worker.ErrRootLost) && !errors.Is(err, context.Canceled) {
				t.Errorf("rank %d: %v", rank, err)
			}
		})
	}
	root := s.fabric.Endpoint(0)
	cfg.RootSlots, cfg.Modules = 0, []*wasmtasks.Module{guesttest.Module(t, "twice", twiceWAT)}
	s.ex, err = open(cfg.withDefaults(), root, root.Bell())
	if err != nil {
		t.Fatal(err)
	}
	hangs := time.AfterFunc(mostStandstill, func() {
		t.Errorf("the test has not ended after %v", mostStandstill)
		s.ex.dispatcher.Request(func(l *dispatcher.Loop) { l.Fail(errors.New("the test hangs")) })
		s.resumeAll()
	})
	t.Cleanup(func() {
		hangs.Stop()
		ctx, stop := context.WithTimeout(context.Background(), time.Minute)
		defer stop()
		s.ex.Shutdown(ctx) //nolint:errcheck // the tests that care have asked before
		s.resumeAll()
		cancel()
		s.serving.Wait()
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	unittest.Until(t, "all workers have joined", func() bool { return len(stats(t, s.ex).Workers) == ranks })
	return s
}

func (s *standstill) resumeAll() {
	for _, w := range s.workers[1:] {
		w.resume()
	}
}

// A logBuffer is text that is written to while others read it.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
