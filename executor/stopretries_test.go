package executor

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/internal/dispatcher"
	"github.com/wasmpool/wasmpool/internal/unittest"
)

// TestStopEndsRetries checks that a call which fails after its stream or batch was stopped does not run again: it
// ends with its failure, without the pause before another run.
func TestStopEndsRetries(t *testing.T) {
	t.Parallel()
	ex := openTasks(t, Config{RootSlots: 1})
	one := slices.Values([][]byte{nil})
	var stopper Stopper
	opts := []MapOption{
		Timeout(500 * time.Millisecond), StoppedBy(&stopper),
		Retries(RetryPolicy{Attempts: 3, Backoff: time.Hour, MaxBackoff: time.Hour}),
	}
	stream := func() (*Stream, func(context.Context) error) {
		s := ex.Stream(t.Context(), "forever", one, opts...)
		return s, func(ctx context.Context) error {
			_, err := s.Next(ctx)
			return err
		}
	}
	for _, what := range []string{"Close", "Cancel", "Stop"} {
		var stop func()
		var next func(context.Context) error
		switch what {
		case "Close":
			var s *Stream
			s, next = stream()
			stop = s.Close
		case "Cancel":
			b := ex.SubmitBatch(t.Context(), "forever", one, opts...)
			stop = func() { b.Cancel() }
			next = func(ctx context.Context) error { return through(b.Ordered(ctx)) }
		case "Stop":
			_, next = stream()
			stop = stopper.Stop
		}
		unittest.Until(t, "it runs", func() bool {
			running := false
			err := ex.onLoop(t.Context(), func(l *dispatcher.Loop) {
				l.Cancel(func(c *dispatcher.Call) bool {
					running = running || c.State() == dispatcher.Running
					return false
				})
			})
			return err == nil && running
		})
		stop()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		if err := next(ctx); !errors.Is(err, ErrTimeout) {
			t.Errorf("%s: %v", what, err)
		}
		cancel()
	}
}

// TestBatchCancelCounts checks that Cancel does not count calls that were cancelled before.
func TestBatchCancelCounts(t *testing.T) {
	t.Parallel()
	ex := openTasks(t, Config{RootSlots: 1})
	busy := ex.Submit(t.Context(), "forever", nil)
	awaitSent(t, ex, 1)
	b := ex.SubmitBatch(t.Context(), "echo", slices.Values(make([][]byte, 20)))
	unittest.Until(t, "all are submitted", func() bool { return b.Submitted() == 20 })
	b.Futures()[7].Cancel()
	if first, second := b.Cancel(), b.Cancel(); first != 19 || second != 0 {
		t.Errorf("%d were cancelled, and then %d", first, second)
	}
	busy.Kill("the slot is needed")
}
