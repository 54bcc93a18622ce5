package executor_test

import (
	"context"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/executor"
)

func TestOnDone(t *testing.T) {
	t.Parallel()
	ex := shape(t).Fork()
	f := ex.Submit(t.Context(), "burn", number(1_000))
	var mu sync.Mutex
	var got []int
	last := make(chan struct{})
	for i := range 10 {
		f.OnDone(func(g *executor.Future) {
			mu.Lock()
			defer mu.Unlock()
			if g != f || g.State() != executor.Finished {
				t.Errorf("callback %d is told of %v", i, g)
			}
			got = append(got, i)
		})
	}
	f.OnDone(func(*executor.Future) { close(last) })
	<-last
	mu.Lock()
	if !slices.Equal(got, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}) {
		t.Errorf("callbacks ran as %v", got)
	}
	mu.Unlock()
	again := make(chan struct{})
	f.OnDone(func(*executor.Future) { close(again) }) // at once: it is done
	<-again
	refused := ex.Submit(t.Context(), "no such task", nil)
	failed := make(chan struct{})
	refused.OnDone(func(*executor.Future) { close(failed) })
	<-failed
}

// TestOnDonePanics checks that a callback that panics is logged, and that those
// after it run.
func TestOnDonePanics(t *testing.T) {
	t.Parallel()
	var log lockedBuffer
	ex := open(t, executor.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	f := ex.Submit(t.Context(), "echo", nil)
	f.OnDone(func(*executor.Future) { panic("a bad callback") })
	after := make(chan struct{})
	f.OnDone(func(*executor.Future) { close(after) })
	<-after
	if got := log.String(); !strings.Contains(got, "a bad callback") {
		t.Errorf("the log is %q", got)
	}
}

// TestOnDoneSubmits checks that a callback may submit calls and shut down.
func TestOnDoneSubmits(t *testing.T) {
	t.Parallel()
	ex := shape(t).Fork()
	got := make(chan *executor.Future, 1)
	ex.Submit(t.Context(), "echo", number(1)).OnDone(func(*executor.Future) {
		got <- ex.Submit(context.Background(), "square", []byte("7"))
		ex.Shutdown(context.Background(), executor.NoWait()) //nolint:errcheck // it does not wait
	})
	if data, err := (<-got).Result(t.Context()); err != nil || string(data) != "49" {
		t.Errorf("%q, %v", data, err)
	}
	<-ex.Done()
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
