package executor_test

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

func TestShutdown(t *testing.T) {
	t.Parallel()
	ex, err := executor.Local(executor.Config{Modules: []*wasmtasks.Module{tasks}, RootSlots: 2})
	if err != nil {
		t.Fatal(err)
	}
	var futures []*executor.Future
	for i := range 1_000 {
		futures = append(futures, ex.Submit(t.Context(), "echo", number(i)))
	}
	for range 2 {
		if err := ex.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for i, f := range futures {
		if got, err := f.Result(t.Context()); err != nil || !bytes.Equal(got, number(i)) {
			t.Fatalf("call %d was submitted before Shutdown: % x, %v", i, got, err)
		}
	}
	if _, err := ex.Call(t.Context(), "echo", nil); !errors.Is(err, executor.ErrClosed) {
		t.Errorf("a call after Shutdown: %v", err)
	}
	for _, err := range ex.Map(t.Context(), "echo", numbers(3)) {
		if !errors.Is(err, executor.ErrClosed) {
			t.Errorf("Map after Shutdown: %v", err)
		}
	}
}

// TestShutdownGivesUp checks that a Shutdown whose context ends resolves what
// is queued.
func TestShutdownGivesUp(t *testing.T) {
	t.Parallel()
	ex, err := executor.Local(executor.Config{Modules: []*wasmtasks.Module{tasks}, RootSlots: 1})
	if err != nil {
		t.Fatal(err)
	}
	var futures []*executor.Future
	for range 10_000 {
		futures = append(futures, ex.Submit(t.Context(), "burn", number(1_000)))
	}
	if _, err := futures[0].Result(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := ex.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown: %v", err)
	}
	closed := 0
	for _, f := range futures {
		_, err := f.Result(t.Context())
		switch {
		case errors.Is(err, executor.ErrClosed):
			closed++
		case err != nil && !errors.Is(err, executor.ErrCancelled): // what was running
			t.Fatal(err)
		}
	}
	if closed == 0 {
		t.Error("no call was dropped")
	}
	ex.Shutdown(t.Context()) //nolint:errcheck // it only waits here; the error is ErrClosed
}

// TestShutdownCancel checks that a shutdown that cancels 100,000 queued calls
// resolves every one and wakes everybody who waits.
func TestShutdownCancel(t *testing.T) {
	t.Parallel()
	ex := shape(t).Fork()
	submitSlow(t, ex, 50)
	futures := make([]*executor.Future, 100_000)
	for i := range futures {
		futures[i] = ex.Submit(t.Context(), "burn", number(500))
	}
	var woken sync.WaitGroup
	for i := 0; i < len(futures); i += 100 {
		woken.Go(func() { <-futures[i].Done() })
	}
	begin := time.Now()
	if err := ex.Shutdown(t.Context(), executor.CancelPending()); err != nil {
		t.Fatal(err)
	}
	t.Logf("Shutdown took %v", time.Since(begin))
	woken.Wait()
	cancelled := 0
	for i, f := range futures {
		select {
		case <-f.Done():
		default:
			t.Fatalf("call %d is %v after Shutdown", i, f)
		}
		if f.State() == executor.Cancelled {
			cancelled++
		}
	}
	if cancelled < 50_000 {
		t.Errorf("%d calls were cancelled", cancelled)
	}
}

// TestShutdownNoWait checks that what is queued still runs.
func TestShutdownNoWait(t *testing.T) {
	t.Parallel()
	ex := shape(t).Fork()
	var futures []*executor.Future
	for i := range 2_000 {
		futures = append(futures, ex.Submit(t.Context(), "echo", number(i)))
	}
	if err := ex.Shutdown(t.Context(), executor.NoWait()); err != nil {
		t.Fatal(err)
	}
	if err := ex.Submit(t.Context(), "echo", nil).Err(t.Context()); !errors.Is(err, executor.ErrClosed) {
		t.Errorf("a call after it: %v", err)
	}
	for i, f := range futures {
		if got, err := f.Result(t.Context()); err != nil || !bytes.Equal(got, number(i)) {
			t.Fatalf("call %d: % x, %v", i, got, err)
		}
	}
	<-ex.Done()
}
