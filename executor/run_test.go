package executor_test

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"strings"
	"testing"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// TestRootEnds checks that Run comes back and shuts the pool down however its root
// function ends: goleak finds what would stay.
func TestRootEnds(t *testing.T) {
	t.Parallel()
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
		if name == "a panic" && !strings.Contains(log.String(), "run_test.go") {
			t.Errorf("the stack of the root is not in the log:\n%s", &log)
		}
		select {
		case <-pool.Done():
		default:
			t.Errorf("%s: the pool is there when Run is through", name)
		}
		if err := runs.Err(t.Context()); !errors.Is(err, executor.ErrClosed) {
			t.Errorf("%s: the call that ran ended with %v", name, err)
		}
	}
}
