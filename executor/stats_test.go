package executor_test

import (
	"testing"

	"github.com/wasmpool/wasmpool/executor"
)

func TestStats(t *testing.T) {
	t.Parallel()
	ex := open(t, executor.Config{})
	for _, err := range ex.Map(t.Context(), "echo", numbers(100)) {
		if err != nil {
			t.Fatal(err)
		}
	}
	st, err := ex.Stats(t.Context())
	if err != nil || len(st.Workers) != 1 || st.Workers[0].Calls != 100 || st.Workers[0].Slots != 2 || st.InFlight != 0 {
		t.Errorf("Stats = %+v, %v", st, err)
	}
	if ex.NumWorkers() != 1 {
		t.Errorf("NumWorkers = %d", ex.NumWorkers())
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

func TestWaitReadyAndIdle(t *testing.T) {
	t.Parallel()
	ex := open(t, executor.Config{})
	if err := ex.WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	if idle, err := ex.Idle(t.Context()); !idle || err != nil {
		t.Errorf("a fresh pool idles: %t, %v", idle, err)
	}
	f := ex.Submit(t.Context(), "forever", nil)
	if idle, err := ex.Idle(t.Context()); idle || err != nil {
		t.Errorf("a working pool idles: %t, %v", idle, err)
	}
	f.Kill("the test is over")
}
