package hostile_test

import (
	"context"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/internal/hostile"
)

// Two slots survive attacks among good calls.
func TestHostile(t *testing.T) {
	t.Parallel()
	ex, err := executor.Local(executor.Config{
		RootSlots: 2, Limits: hostile.Limits, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
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
	if err := hostile.Load(t.Context(), ex, "guest"); err != nil {
		t.Fatal(err)
	}
	const slack = 5 * time.Second // the race detector follows every stack that is made
	r, err := hostile.Run(t.Context(), ex, hostile.Plan{Good: 2000, Hostile: 60, Slack: slack})
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range r.Wrong {
		t.Error(line)
	}
	if r.Good != 2000 || r.Hostile != 60 {
		t.Errorf("%d good calls and %d hostile ones came back", r.Good, r.Hostile)
	}
}
