package executor

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/internal/guesttest"
	"github.com/wasmpool/wasmpool/internal/unittest"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// endlessWAT has tasks that never end, and one that does.
const endlessWAT = `(module
  (import "wasmpool" "output_write" (func $output_write (param i32 i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "fine")
  (func (export "spin") (result i32) (loop (br 0)) (i32.const 0))
  (func $tree (param i32) (result i32)
    (if (result i32) (local.get 0)
      (then (i32.add (call $tree (i32.sub (local.get 0) (i32.const 1))) (call $tree (i32.sub (local.get 0) (i32.const 1)))))
      (else (i32.const 1))))
  (func (export "recurse") (result i32) (drop (call $tree (i32.const 1000))) (i32.const 0))
  (func (export "sleep") (result i32)
    (i32.store (i32.const 1016) (i32.const 1))
    (i64.store (i32.const 1024) (i64.const 0x4000000000000000))
    (loop (drop (call $poll (i32.const 1000) (i32.const 2000) (i32.const 1) (i32.const 3000))) (br 0)) (i32.const 0))
  (func (export "fine") (result i32) (call $output_write (i32.const 0) (i32.const 4)) (i32.const 0))
  (func (export "init_badly") (result i32) unreachable)
)`

var realClock = map[string]host.Grants{"endless": {Clock: true}}

func endless(t *testing.T, cfg Config) *Executor {
	t.Helper()
	cfg.Modules = []*wasmtasks.Module{guesttest.Module(t, "endless", endlessWAT)}
	ex, err := Local(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		ex.Shutdown(ctx) //nolint:errcheck // the tests that care have asked before
	})
	return ex
}

// awaitSent waits until workers have n calls, which may not have begun.
func awaitSent(t *testing.T, ex *Executor, n int) {
	t.Helper()
	unittest.Until(t, "workers have calls", func() bool {
		s, err := ex.Stats(t.Context())
		return err == nil && s.InFlight >= n
	})
}

// awaitResting waits until n calls rest before they run again.
func awaitResting(t *testing.T, ex *Executor, n int) {
	t.Helper()
	unittest.Until(t, "calls rest", func() bool {
		s, err := ex.Stats(t.Context())
		return err == nil && s.Resting >= n
	})
}

// A running call is killed whatever its guest does, and the slot goes on.
func TestKillRunning(t *testing.T) {
	t.Parallel()
	ex := endless(t, Config{RootSlots: 1, Sandbox: host.Config{Grants: realClock}})
	for _, task := range []string{"spin", "recurse", "sleep"} {
		f := ex.Submit(t.Context(), task, nil)
		waiting := ex.Submit(t.Context(), "spin", nil)
		next := ex.Submit(t.Context(), "fine", nil)
		awaitSent(t, ex, 1)
		if !waiting.Kill("not wanted") || !f.Kill("enough of it") {
			t.Fatalf("%s: Kill says that the call is done", task)
		}
		for f, want := range map[*Future]string{f: "enough of it", waiting: "not wanted"} {
			_, err := f.Result(t.Context())
			var e *TaskError
			if !errors.As(err, &e) || !errors.Is(err, ErrKilled) || e.Message != want {
				t.Errorf("%s: got %v, want it killed: %s", task, err, want)
			}
		}
		if got, err := next.Result(t.Context()); string(got) != "fine" || err != nil {
			t.Errorf("after %s: %q, %v", task, got, err)
		}
		if f.Kill("again") || next.Kill("too late") {
			t.Error("Kill of a call that is done says true")
		}
	}
}

// KillAll and KillTask reach calls that run, wait on a worker and wait on the
// root.
func TestKillMany(t *testing.T) {
	t.Parallel()
	ex := endless(t, Config{RootSlots: 2})
	var spins, fines []*Future
	for range 200 {
		spins = append(spins, ex.Submit(t.Context(), "spin", nil))
	}
	for range 10 {
		fines = append(fines, ex.Submit(t.Context(), "fine", nil))
	}
	awaitSent(t, ex, 2)
	if n, err := ex.KillTask(t.Context(), "spin", "none of these"); n != len(spins) || err != nil {
		t.Errorf("KillTask = %d, %v, want %d", n, err, len(spins))
	}
	for _, f := range spins {
		if _, err := f.Result(t.Context()); !errors.Is(err, ErrKilled) {
			t.Errorf("got %v, want it killed", err)
		}
	}
	for _, f := range fines {
		if got, err := f.Result(t.Context()); string(got) != "fine" || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
	}
	spins = spins[:0]
	for range 50 {
		spins = append(spins, ex.Submit(t.Context(), "spin", nil))
	}
	if n, err := ex.KillAll(t.Context(), "all"); n != len(spins) || err != nil {
		t.Errorf("KillAll = %d, %v", n, err)
	}
	for _, f := range spins {
		if _, err := f.Result(t.Context()); !errors.Is(err, ErrKilled) {
			t.Errorf("got %v, want it killed", err)
		}
	}
	if _, err := ex.KillTask(t.Context(), "nonsense", ""); err == nil {
		t.Error("an unknown task is no error")
	}
}

// KillTag reaches the calls with the tag, whatever their task, wherever they are,
// and no others.
func TestKillTag(t *testing.T) {
	t.Parallel()
	ex := endless(t, Config{RootSlots: 2})
	resting := ex.Submit(t.Context(), "init_badly", nil, Tags("draft"), Retries(RetryPolicy{Attempts: 2, Backoff: time.Hour, MaxBackoff: time.Hour}))
	awaitResting(t, ex, 1)
	doomed, fines := []*Future{resting}, []*Future(nil)
	for i := range 100 {
		doomed = append(doomed, ex.Submit(t.Context(), []string{"spin", "recurse"}[i%2], nil, Tags("night", "draft")))
	}
	for _, tags := range [][]string{nil, {}, {"night"}, {"drafts", "Draft"}} {
		fines = append(fines, ex.Submit(t.Context(), "fine", nil, Tags(tags...)))
	}
	fines = append(fines, ex.Submit(t.Context(), "fine", nil))
	awaitSent(t, ex, 2)
	if n, err := ex.KillTag(t.Context(), "nonsense", ""); n != 0 || err != nil {
		t.Errorf("KillTag of a tag that no call has = %d, %v", n, err)
	}
	if n, err := ex.KillTag(t.Context(), "draft", "tagged"); n != len(doomed) || err != nil {
		t.Errorf("KillTag = %d, %v, want %d", n, err, len(doomed))
	}
	for _, f := range doomed {
		var e *TaskError
		if _, err := f.Result(t.Context()); !errors.As(err, &e) || !errors.Is(err, ErrKilled) || e.Message != "tagged" {
			t.Errorf("got %v, want it killed", err)
		}
	}
	for _, f := range fines {
		if got, err := f.Result(t.Context()); string(got) != "fine" || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
	}
}

// Shutdown with a context that ends, and a root that fails, end guests that
// would run for ever.
func TestAbandonRunning(t *testing.T) {
	t.Parallel()
	for _, task := range []string{"spin", "recurse", "sleep"} {
		ex := endless(t, Config{RootSlots: 2, Sandbox: host.Config{Grants: realClock}})
		f := ex.Submit(t.Context(), task, nil)
		awaitSent(t, ex, 1)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := ex.Shutdown(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: Shutdown = %v", task, err)
		}
		if _, err := f.Result(t.Context()); !errors.Is(err, ErrClosed) {
			t.Errorf("%s: got %v, want ErrClosed", task, err)
		}
		<-ex.done // the slots have ended
	}
}

func TestTimeLimit(t *testing.T) {
	t.Parallel()
	ex := endless(t, Config{RootSlots: 1, Sandbox: host.Config{Grants: realClock, Limits: Limits{Time: 20 * time.Millisecond}}})
	for _, task := range []string{"spin", "recurse", "sleep"} {
		_, err := ex.Call(t.Context(), task, nil)
		var e *TaskError
		if !errors.As(err, &e) || !errors.Is(err, context.DeadlineExceeded) || e.Kind != host.KindTimeout || e.Usage.Memory == 0 {
			t.Errorf("%s: got %v, want a timeout", task, err)
		}
	}
}

// The run time of a long call is its own, and not shared with the short calls
// around it, for which the clock is read now and then only.
func TestRunTime(t *testing.T) {
	t.Parallel()
	ex := endless(t, Config{RootSlots: 1})
	const limit = 40 * time.Millisecond
	var spins []*Future
	for i := range 500 {
		ex.Submit(t.Context(), "fine", nil)
		if i%100 == 99 {
			spins = append(spins, ex.Submit(t.Context(), "spin", nil, Timeout(limit)))
		}
	}
	for _, f := range spins {
		if _, err := f.Result(t.Context()); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		if i, _ := f.Info(); i.Ran < limit-time.Millisecond {
			t.Errorf("it ran for %v, want its limit of %v", i.Ran, limit)
		}
	}
}

func TestInitializerFails(t *testing.T) {
	t.Parallel()
	ex := endless(t, Config{RootSlots: 2, Sandbox: host.Config{Initializer: "init_badly"}})
	if _, err := ex.Call(t.Context(), "fine", nil); !errors.Is(err, ErrInitializer) {
		t.Errorf("got %v, want the initializer's error", err)
	}
	if err := ex.Shutdown(t.Context()); !errors.Is(err, ErrInitializer) {
		t.Errorf("Shutdown = %v, want the initializer's error", err)
	}
	cfg := Config{RootSlots: 1, Sandbox: host.Config{Initializer: "nonsense"}, Modules: []*wasmtasks.Module{guesttest.Module(t, "endless", endlessWAT)}}
	if ex, err := Local(cfg); err == nil {
		ex.Shutdown(t.Context()) //nolint:errcheck // it should not have started
		t.Error("an initializer that no module has is no error")
	}
}

// A worker that is stopped while a guest of it runs for ever leaves at once, and
// so do calls that were killed where a worker then died.
func TestKillOnLostWorker(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2)
	if err := c.ex.Load(guesttest.Module(t, "endless", endlessWAT)); err != nil {
		t.Fatal(err)
	}
	f := c.ex.Submit(t.Context(), "spin", nil)
	awaitSent(t, c.ex, 1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c.ex.Shutdown(ctx) //nolint:errcheck // it is the context's
	if _, err := f.Result(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v", err)
	}
	c.workers.Wait()
	if err := c.errs[1]; err != nil {
		t.Errorf("the worker: %v", err)
	}
}

// A call whose module is refused used nothing, whatever its slot ran before.
func TestUsageOfNothing(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2)
	add := guesttest.Module(t, "add", `(module (memory 1) (func (export "twice") (param i32) (result i32) (i32.add (local.get 0) (local.get 0))))`)
	bad, err := wasmtasks.Load("bad", bytes.Replace(add.Bytes(), []byte("\x20\x00\x6a"), []byte("\x20\x00\x7c"), 1))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(c.ex.Load(add), c.ex.Load(bad)); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		task string
		used bool
	}{{"add.twice", true}, {"bad.twice", false}} {
		f := c.ex.Submit(t.Context(), tt.task, []byte("1"), WithLimits(Limits{Instructions: Unlimited}))
		_, err := f.Result(t.Context())
		if info, _ := f.Info(); (err == nil) != tt.used || (info.Usage != Usage{}) != tt.used {
			t.Errorf("%s: %v, it used %v", tt.task, err, info.Usage)
		}
	}
}

// A call executes the same number of instructions on every rank and run, and a
// budget ends it at the same place.
func TestInstructionsOnRanks(t *testing.T) {
	t.Parallel()
	m := guesttest.Module(t, "work", `(module
	  (import "wasmpool" "input_len" (func (result i32)))
	  (memory (export "memory") 1)
	  (func (export "work") (result i32) (local i32)
	    (local.set 0 (i32.const 1000000))
	    (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
	    (i32.const 0)))`)
	var counts, stops []uint64
	for _, ranks := range []int{2, 5} {
		c := newCluster(t, ranks)
		if err := c.ex.Load(m); err != nil {
			t.Fatal(err)
		}
		var passed, stopped []*Future
		for range 20 {
			passed = append(passed, c.ex.Submit(t.Context(), "work.work", nil, WithLimits(Limits{Instructions: Unlimited})))
			stopped = append(stopped, c.ex.Submit(t.Context(), "work.work", nil, WithLimits(Limits{Instructions: 1_234_567})))
		}
		for i, f := range passed {
			if _, err := f.Result(t.Context()); err != nil {
				t.Fatal(err)
			}
			info, _ := f.Info()
			counts = append(counts, info.Usage.Instructions)
			_, err := stopped[i].Result(t.Context())
			var e *TaskError
			if !errors.As(err, &e) || !errors.Is(err, ErrBudget) {
				t.Fatalf("got %v, want the budget's error", err)
			}
			stops = append(stops, e.Usage.Instructions)
		}
	}
	for i := range counts {
		if counts[i] != counts[0] || counts[i] < 1_000_000 || stops[i] != stops[0] || stops[i] <= 1_234_567 {
			t.Errorf("call %d: %d instructions, stopped after %d; the first: %d, %d", i, counts[i], stops[i], counts[0], stops[0])
		}
	}
}
