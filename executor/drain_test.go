package executor

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/internal/guesttest"
	"github.com/wasmpool/wasmpool/internal/unittest"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// TestDrain checks that a pool that is drained begins no call any more, waits for the one that runs, and then
// ends root's context.
func TestDrain(t *testing.T) {
	t.Parallel()
	cfg := Config{RootSlots: 1, NoSignals: true, Modules: []*wasmtasks.Module{guesttest.Module(t, "endless", endlessWAT)}}
	err := Run(t.Context(), cfg, func(ctx context.Context, ex *Executor) error {
		running := ex.Submit(ctx, "spin", nil)
		unittest.Until(t, "the call runs", func() bool { return running.State() == Running }) // one that was sent may not have begun
		fork := ex.Fork()
		waiting := []*Future{ex.Submit(ctx, "fine", nil), fork.Submit(ctx, "fine", nil)}
		ex.Drain()
		ex.Drain()
		for _, f := range append(waiting, ex.Submit(ctx, "fine", nil)) {
			if _, err := f.Result(ctx); !errors.Is(err, ErrDrained) || !errors.Is(err, ErrInterrupted) || !errors.Is(err, ErrClosed) {
				t.Errorf("a call that had not begun: %v, want that the pool was drained", err)
			}
		}
		if s := running.State(); s != Sent && s != Running || ctx.Err() != nil {
			t.Errorf("the call that runs is %v, root's context says %v", s, ctx.Err())
		}
		running.Kill("it was long enough")
		select {
		case <-ctx.Done():
		case <-time.After(time.Minute):
			t.Error("root's context has not ended a minute after the last call")
		}
		if _, err := running.Result(context.WithoutCancel(ctx)); !errors.Is(err, ErrKilled) {
			t.Errorf("the call that ran: %v, want that it was killed", err)
		}
		return nil
	})
	if !errors.Is(err, ErrDrained) || ExitCode(err) != 130 {
		t.Errorf("Run returns %v, with exit code %d", err, ExitCode(err))
	}
}

// TestDrainIdle checks that a map whose input gives nothing ends when the pool is drained, with all results that
// there are.
func TestDrainIdle(t *testing.T) {
	t.Parallel()
	cfg := Config{RootSlots: 1, Modules: []*wasmtasks.Module{guesttest.Module(t, "endless", endlessWAT)}}
	quit := make(chan struct{})
	defer close(quit)
	input := func(yield func([]byte) bool) {
		if yield(nil) {
			<-quit
		}
	}
	err := Run(t.Context(), cfg, func(ctx context.Context, ex *Executor) error {
		got := 0
		for out, err := range ex.Map(ctx, "fine", input) {
			if err != nil {
				return ctx.Err()
			}
			if got++; !bytes.Equal(out, []byte("fine")) {
				t.Errorf("the result is %q", out)
			}
			unittest.Until(t, "the pool is idle", func() bool {
				idle, err := ex.Idle(ctx)
				return idle && err == nil
			})
			ex.Drain()
		}
		t.Errorf("the map has ended without an error after %d results", got)
		return nil
	})
	if !errors.Is(err, ErrDrained) {
		t.Errorf("Run returns %v", err)
	}
}
