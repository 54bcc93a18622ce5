package executor_test

import (
	"context"
	"errors"
	"os"
	"syscall"
	"testing"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/internal/jobdir"
)

// TestStoppedBefore checks that a job that was interrupted before it began does not
// begin.
func TestStoppedBefore(t *testing.T) {
	dir := jobdir.Dir(t.TempDir())
	t.Setenv(jobdir.DirVar, string(dir))
	if err := dir.WriteStop(syscall.SIGINT); err != nil {
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
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := dir.ReadStart(); got != (jobdir.Start{PID: os.Getpid(), Host: host}) {
		t.Errorf("wasmpool launch was told %+v", got)
	}
}
