package executor_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/host"
)

// TestRetries checks how often a failing call runs, and that it is told.
func TestRetries(t *testing.T) {
	t.Parallel()
	ex := sound(t).Fork()
	for _, tc := range []struct {
		task, arg string
		policy    executor.RetryPolicy
		attempts  int
	}{
		{"fail", "x", executor.RetryPolicy{}, 1},
		{"fail", "x", executor.RetryPolicy{Attempts: 3}, 3},
		{"fail", "x", executor.RetryPolicy{Attempts: 4, Backoff: time.Millisecond}, 4},
		{"fail", "x", executor.RetryPolicy{Attempts: 4, Kinds: []executor.Kind{host.KindTrap}}, 1},
		{"deadlock", "", executor.RetryPolicy{Attempts: 2, Kinds: []executor.Kind{host.KindTrap}}, 2},
		{"square", "twelve", executor.RetryPolicy{Attempts: 5}, 1}, // bad input stays bad
	} {
		_, err := ex.Call(t.Context(), tc.task, []byte(tc.arg), executor.Retries(tc.policy))
		var failed *executor.TaskError
		if !errors.As(err, &failed) || failed.Attempt != tc.attempts {
			t.Errorf("%s with %+v: %v", tc.task, tc.policy, err)
		}
	}
	// It succeeds when it is told that this is its third run.
	f := ex.Submit(t.Context(), "third", nil, executor.Retries(executor.RetryPolicy{Attempts: 5, Backoff: time.Microsecond}))
	if got, err := f.Result(t.Context()); err != nil || string(got) != "attempt 3" {
		t.Errorf("third: %q, %v", got, err)
	}
	if info, _ := f.Info(); info.Attempt != 3 {
		t.Errorf("Info says attempt %d", info.Attempt)
	}
}

// TestRetryMoreTime checks that a call that ran out of time gets more.
func TestRetryMoreTime(t *testing.T) {
	t.Parallel()
	ex := sound(t).Fork()
	f := ex.Submit(t.Context(), "burn", number(100_000), executor.Timeout(3*time.Millisecond),
		executor.Retries(executor.RetryPolicy{Attempts: 20, MoreTime: 4}))
	if err := f.Err(t.Context()); err != nil {
		t.Fatal(err)
	}
	if info, _ := f.Info(); info.Attempt < 2 {
		t.Errorf("it took %d runs, of %v", info.Attempt, info.Ran)
	}
}

// TestRetryRests checks that a call that rests before another run can be
// cancelled, and does not outlive Shutdown's patience.
func TestRetryRests(t *testing.T) {
	t.Parallel()
	ex := open(t, executor.Config{}).Fork() // no other test's call rests here
	policy := executor.Retries(executor.RetryPolicy{Attempts: 2, Backoff: time.Hour, MaxBackoff: time.Hour})
	resting := func() *executor.Future {
		f := ex.Submit(t.Context(), "fail", []byte("x"), policy)
		eventually(t, "a call rests", func() bool {
			st, err := ex.Stats(t.Context())
			return err == nil && st.Resting > 0
		})
		return f
	}
	f := resting()
	if !f.Cancel() {
		t.Error("a resting call cannot be cancelled")
	}
	g := ex.Submit(t.Context(), "fail", []byte("x"), policy)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := ex.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Shutdown with a resting call: %v", err)
	}
	if err := g.Err(t.Context()); err == nil {
		t.Error("the resting call succeeded")
	}
	<-ex.Done()
}

// TestRetryWithdrawn checks that Shutdown does not wait for the rest of a call that
// was cancelled, before or meanwhile.
func TestRetryWithdrawn(t *testing.T) {
	t.Parallel()
	ex := open(t, executor.Config{})
	policy := executor.Retries(executor.RetryPolicy{Attempts: 2, Backoff: time.Hour, MaxBackoff: time.Hour})
	var futures []*executor.Future
	for range 2 {
		futures = append(futures, ex.Submit(t.Context(), "fail", []byte("x"), policy))
	}
	eventually(t, "the calls rest", func() bool {
		st, err := ex.Stats(t.Context())
		return err == nil && st.Resting == len(futures)
	})
	futures[0].Cancel()
	ex.Shutdown(t.Context(), executor.NoWait()) //nolint:errcheck // without waiting there is no error
	time.Sleep(50 * time.Millisecond)
	futures[1].Cancel()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := ex.Shutdown(ctx); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}
