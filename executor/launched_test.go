package executor_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/wasmpool/wasmpool/executor"
)

// TestStoppedBefore checks that a job that was interrupted before it began does not
// begin.
func TestStoppedBefore(t *testing.T) {
	if world != nil {
		return
	}
	dir := t.TempDir()
	t.Setenv("WASMPOOL_JOB_DIR", dir)
	if err := os.WriteFile(filepath.Join(dir, "stop"), []byte("2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := executor.Run(t.Context(), executor.Config{RootSlots: 1}, func(context.Context, *executor.Executor) error {
		t.Error("the job has begun")
		return nil
	})
	var s *executor.SignalError
	if !errors.As(err, &s) || s.Signal != syscall.SIGINT || executor.ExitCode(err) != 130 {
		t.Errorf("Run returns %v, want that it was interrupted by SIGINT", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "started")); err != nil {
		t.Errorf("wasmpool launch was told nothing: %v", err)
	}
}
