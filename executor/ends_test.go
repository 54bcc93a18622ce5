package executor_test

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// TestRootEnds checks that Run comes back and shuts the pool down however its root
// function ends: goleak finds what would stay.
func TestRootEnds(t *testing.T) {
	t.Parallel()
	if world != nil {
		return // there Run is called once; see TestRootEndsOnRanks
	}
	for name, end := range map[string]func(){
		"a panic": func() { panic("a bad root") },
		"an exit": runtime.Goexit,
	} {
		var log lockedBuffer
		cfg := executor.Config{RootSlots: 1, Modules: []*wasmtasks.Module{tasks}, Logger: slog.New(slog.NewTextHandler(&log, nil))}
		var pool *executor.Executor
		var runs *executor.Future
		err := func() (err error) {
			defer func() {
				if v := recover(); v != nil && v != "a bad root" {
					t.Errorf("%s: Run panicked with %v", name, v)
				} else if v != nil {
					err = errors.New("it panicked")
				}
			}()
			return executor.Run(t.Context(), cfg, func(ctx context.Context, ex *executor.Executor) error {
				pool, runs = ex, ex.Submit(ctx, "forever", nil)
				eventually(t, "it runs", func() bool { return runs.State() == executor.Running })
				end()
				return nil
			})
		}()
		want := map[string]string{"a panic": "it panicked", "an exit": "Goexit"}[name]
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: Run ended with %v", name, err)
		}
		if name == "a panic" && !strings.Contains(log.String(), "ends_test.go") {
			t.Errorf("the stack of the root is not in the log:\n%s", &log)
		}
		select {
		case <-pool.Ended():
		default:
			t.Errorf("%s: the pool is there when Run is through", name)
		}
		if err := runs.Err(t.Context()); !errors.Is(err, executor.ErrClosed) {
			t.Errorf("%s: the call that ran ended with %v", name, err)
		}
	}
}

// TestCallbackExits checks that callbacks run after one that ended its goroutine, and
// that Run waits for them.
func TestCallbackExits(t *testing.T) {
	t.Parallel()
	var log lockedBuffer
	ex := open(t, executor.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	var ran atomic.Int64
	var all sync.WaitGroup
	for i := range 30 {
		all.Add(1)
		ex.Submit(t.Context(), "echo", number(i)).OnDone(func(*executor.Future) {
			ran.Add(1)
			all.Done()
			if i%3 == 0 {
				runtime.Goexit()
			}
		})
	}
	done := make(chan struct{})
	go func() {
		all.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatalf("%d of 30 callbacks ran", ran.Load())
	}
	eventually(t, "each exit is in the log", func() bool { return strings.Count(log.String(), "a callback ended its goroutine") == 10 })
}

// TestAsCompletedDrops checks that AsCompleted keeps no future that it has yielded.
func TestAsCompletedDrops(t *testing.T) {
	t.Parallel()
	ex := shape(t).Fork()
	const n = 100
	var freed atomic.Int64
	submit := func() []*executor.Future {
		var futures []*executor.Future
		for i := range n {
			f := ex.Submit(t.Context(), "echo", number(i))
			runtime.AddCleanup(f, func(*atomic.Int64) { freed.Add(1) }, &freed)
			futures = append(futures, f)
		}
		if _, pending, err := executor.Wait(t.Context(), futures, executor.AllDone); len(pending) > 0 || err != nil {
			t.Fatalf("%d are pending, %v", len(pending), err)
		}
		return futures
	}
	results := executor.AsCompleted(t.Context(), submit())
	yielded := 0
	for _, err := range results {
		if err != nil {
			t.Fatal(err)
		}
		if yielded++; yielded == n/2 {
			eventually(t, "what was yielded is freed", func() bool {
				runtime.GC()
				return freed.Load() >= n/2-2 // the last ones may be on the stack
			})
		}
	}
	if err := last(results); yielded != n || err == nil {
		t.Errorf("%d were yielded, then %v", yielded, err)
	}
}

// TestTypedFutures checks that what takes futures takes those with types.
func TestTypedFutures(t *testing.T) {
	t.Parallel()
	ex := shape(t).Fork()
	square := executor.NewTyped[float64, float64](ex, "square")
	var futures []*executor.TypedFuture[float64]
	for i := range 10 {
		futures = append(futures, square.Submit(t.Context(), float64(i)))
	}
	done, pending, err := executor.Wait(t.Context(), append(futures, futures[0]), executor.AllDone)
	if len(done) != 10 || len(pending) != 0 || err != nil || done[3] != futures[3] {
		t.Errorf("Wait: %d done, %d pending, %v", len(done), len(pending), err)
	}
	sum := 0.0
	for f, err := range executor.AsCompleted(t.Context(), futures) {
		if err != nil {
			t.Fatal(err)
		}
		got, err := f.Result(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		sum += got
	}
	if sum != 285 {
		t.Errorf("the squares add up to %v", sum)
	}
	squares, err := executor.Collect(t.Context(), futures)
	if err != nil || len(squares) != 10 || squares[9] != 81 {
		t.Errorf("Collect: %v, %v", squares, err)
	}
	wrong := executor.NewTyped[float64, string](ex, "square")
	if _, err := executor.Collect(t.Context(), []*executor.TypedFuture[string]{wrong.Submit(t.Context(), 2)}); err == nil {
		t.Error("a number was decoded as a string")
	}
}

// TestStopper stops maps, batches and streams from outside: they end with ErrStopped, what
// waits is cancelled, what runs goes on until Kill.
func TestStopper(t *testing.T) {
	t.Parallel()
	ex := open(t, executor.Config{RootSlots: 1})
	if _, err := ex.Call(t.Context(), "echo", nil); err != nil { // the module is there
		t.Fatal(err)
	}
	for name, start := range map[string]func(context.Context, string, iter.Seq[[]byte], ...executor.MapOption) iter.Seq2[[]byte, error]{
		"Map": ex.Map, "MapUnordered": ex.MapUnordered,
		"Batch": func(ctx context.Context, task string, args iter.Seq[[]byte], opts ...executor.MapOption) iter.Seq2[[]byte, error] {
			return ex.SubmitBatch(ctx, task, args, opts...).Unordered(ctx)
		},
		"Stream": func(ctx context.Context, task string, args iter.Seq[[]byte], opts ...executor.MapOption) iter.Seq2[[]byte, error] {
			return ex.StreamUnordered(ctx, task, args, opts...).All(ctx)
		},
	} {
		var stopper executor.Stopper
		results := start(t.Context(), "forever", numbers(1_000), executor.StoppedBy(&stopper), executor.Buffer(50))
		eventually(t, "one of its calls runs", func() bool {
			r, err := ex.Report(t.Context())
			return err == nil && len(r.Workers) == 1 && len(r.Workers[0].Running) == 1 && r.Workers[0].Running[0].For > 20*time.Millisecond
		})
		errs := make(chan []error, 1)
		go func() {
			var all []error
			for _, err := range results {
				all = append(all, err)
			}
			errs <- all
		}()
		stopper.Stop()
		stopper.Stop() // twice is fine
		eventually(t, name+": what waits is cancelled", func() bool {
			st, err := ex.Stats(t.Context())
			return err == nil && st.Queued == 0 && st.InFlight == 1
		})
		stopper.Kill("enough of it")
		idle(t, ex)
		var all []error
		select {
		case all = <-errs:
		case <-time.After(time.Minute):
			t.Fatalf("%s does not end", name)
		}
		if err := all[len(all)-1]; !errors.Is(err, executor.ErrStopped) {
			t.Errorf("%s ends with %v", name, err)
		}
		for _, err := range all[:len(all)-1] {
			if !errors.Is(err, executor.ErrCancelled) && !errors.Is(err, executor.ErrKilled) {
				t.Errorf("%s yields %v", name, err)
			}
		}
		if err := last(start(t.Context(), "forever", numbers(10), executor.StoppedBy(&stopper))); !errors.Is(err, executor.ErrStopped) {
			t.Errorf("%s that was started after it ends with %v", name, err)
		}
	}
	if st, err := ex.Stats(t.Context()); err != nil || st.Failed != 4 || st.Done != 1 {
		t.Errorf("%d calls are done, %d failed, %v; four were killed", st.Done, st.Failed, err)
	}
}

// TestMaxFailures checks after which failure a map ends, and what it yields then.
func TestMaxFailures(t *testing.T) {
	t.Parallel()
	ex := sound(t).Fork()
	for _, limit := range []int{1, 3} {
		i := 0
		var got []error
		for _, err := range ex.Map(t.Context(), "odd", numbers(100_000), executor.MaxFailures(limit)) {
			if i++; err != nil {
				got = append(got, err)
			}
		}
		if len(got) != limit+1 || i != 2*limit+1 || !errors.Is(got[limit], executor.ErrFailures) || !errors.Is(got[limit-1], executor.ErrApplication) {
			t.Errorf("with a limit of %d: %d elements, errors %v", limit, i, got)
		}
		failed := 0
		for _, err := range ex.MapUnordered(t.Context(), "odd", numbers(100_000), executor.MaxFailures(limit)) {
			if errors.Is(err, executor.ErrApplication) {
				failed++
			}
		}
		if failed != limit {
			t.Errorf("unordered, with a limit of %d: %d failures", limit, failed)
		}
	}
	if err := last(ex.Map(t.Context(), "echo", numbers(1_000), executor.MaxFailures(1))); err != nil {
		t.Errorf("without failures: %v", err)
	}
	if err := last(ex.Map(t.Context(), "odd", numbers(6), executor.MaxFailures(4))); errors.Is(err, executor.ErrFailures) {
		t.Errorf("with fewer failures: %v", err)
	}
	for name, err := range map[string]error{
		"none": last(ex.Map(t.Context(), "echo", numbers(1), executor.MaxFailures(0))), "of a batch": last(ex.SubmitBatch(t.Context(), "echo", numbers(1), executor.MaxFailures(1)).Ordered(t.Context())),
		"of a stream": last(ex.Stream(t.Context(), "echo", numbers(1), executor.MaxFailures(1)).All(t.Context())), "no stopper": last(ex.Map(t.Context(), "echo", numbers(1), executor.StoppedBy(nil))),
	} {
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestStatsCount checks what Stats counts.
func TestStatsCount(t *testing.T) {
	t.Parallel()
	ex := open(t, executor.Config{RootSlots: 1})
	for _, err := range ex.Map(t.Context(), "odd", numbers(10)) {
		_ = err // five are odd
	}
	ex.Call(t.Context(), "fail", nil, executor.Retries(executor.RetryPolicy{Attempts: 3})) //nolint:errcheck // it fails
	st, err := ex.Stats(t.Context())
	if err != nil || st.Done != 5 || st.Failed != 6 || st.Retried != 2 {
		t.Errorf("%d done, %d failed, %d retried, %v; want 5, 6, 2", st.Done, st.Failed, st.Retried, err)
	}
}
