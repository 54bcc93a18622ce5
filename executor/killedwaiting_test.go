package executor

import (
	"errors"
	"strings"
	"testing"

	"github.com/wasmpool/wasmpool/internal/unittest"
)

// A call that is killed where it waits ran nowhere, and its error says so; one that a worker has gives the reason as far as a frame holds it, in
// whole characters.
func TestKilledWaiting(t *testing.T) {
	t.Parallel()
	s := newStandstill(t, 1, 1, Config{})
	runs := s.ex.Submit(t.Context(), "forever", nil)
	unittest.Until(t, "the call runs", func() bool { return runs.State() == Running })
	var waits *Future
	for range 20 { // behind those that were sent ahead
		waits = s.ex.Submit(t.Context(), "echo", nil)
	}
	waits.Kill("for this test")
	var e *TaskError
	err := waits.Err(t.Context())
	info, _ := waits.Info()
	if !errors.As(err, &e) || e.Rank != -1 || e.Attempt != 0 || info.Rank != -1 || info.Attempt != 0 || strings.Contains(err.Error(), "rank") {
		t.Errorf("%v, %+v, %+v", err, e, info)
	}
	long := "x" + strings.Repeat("é", 600)
	runs.Kill(long)
	if err := runs.Err(t.Context()); !errors.As(err, &e) || e.Rank != 1 || !strings.HasPrefix(e.Message, long[:1023]+"…") || !strings.HasSuffix(e.Message, " bytes more)") {
		t.Errorf("%v", err)
	}
}

// A map whose input blocks ends with what broke the pool.
func TestBlockedInputSaysWhatBroke(t *testing.T) {
	t.Parallel()
	s := newStandstill(t, 1, 1, Config{})
	var last error
	n := 0
	for _, err := range s.ex.Map(t.Context(), "echo", blocking(t, 1)) {
		if last = err; n == 0 {
			s.fabric.Kill(1)
		}
		if n++; n > 2 {
			break
		}
	}
	if !errors.Is(last, ErrNoWorkers) {
		t.Errorf("the map ends with %v", last)
	}
}
