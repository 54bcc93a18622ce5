package executor_test

import (
	"context"
	"errors"
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
