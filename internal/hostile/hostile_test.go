package hostile_test

import (
	"context"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/internal/hostile"
)

// Two slots survive each attack alone, and then attacks among good calls.
func TestHostile(t *testing.T) {
	for isolation, each := range map[host.Isolation]int{host.IsolationReuse: 30, host.IsolationReset: 3} {
		t.Run(isolation.String(), func(t *testing.T) { attackTwoSlots(t, isolation, each) })
	}
}

// attackTwoSlots makes so many good calls after each attack alone.
func attackTwoSlots(t *testing.T, isolation host.Isolation, each int) {
	t.Helper()
	cfg, remove, err := hostile.Config()
	if err != nil {
		t.Fatal(err)
	}
	defer remove() //nolint:errcheck // a temporary folder
	cfg.RootSlots, cfg.Sandbox.Isolation = 2, isolation
	ex, err := executor.Local(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := ex.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	}()
	attack, err := hostile.New(t.Context(), ex, "guest")
	if err != nil {
		t.Fatal(err)
	}
	alone, err := attack.Alone(t.Context(), each)
	report(t, alone, err)
	mixed, err := attack.Run(t.Context(), hostile.Plan{Good: 1000, Hostile: 50})
	report(t, mixed, err)
	if mixed.Good != 1000 || mixed.Hostile != 50 || alone.Hostile == 0 || alone.Good != each*alone.Hostile {
		t.Errorf("%d and %d good calls and %d and %d hostile ones came back", alone.Good, mixed.Good, alone.Hostile, mixed.Hostile)
	}
}

func report(t *testing.T, r *hostile.Report, err error) {
	t.Helper()
	for _, line := range r.Wrong {
		t.Error(line)
	}
	if err != nil {
		t.Fatal(err)
	}
	for kind, w := range r.Kinds {
		t.Logf("%-12s %4d, at most %d instructions: %s; at most %v of CPU time: %s", kind, w.Calls, w.Work, w.Worker, w.CPU, w.Taker)
	}
}
