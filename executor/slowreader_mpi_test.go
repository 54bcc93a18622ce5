//go:build mpi && linux

package executor_test

import (
	"context"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/internal/mpitest"
)

// TestSlowReaderOnRanks is TestSlowReaderMemory with calls on other ranks.
func TestSlowReaderOnRanks(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := mpitest.Command(ctx, t, 3, mpitest.Tests(t), "-test.run=^TestSlowReaderMemory$", "-test.v", "-test.timeout=5m")
	cmd.Env = append(cmd.Environ(), mpitest.InnerRun+"=1", slowReaderVar+"=1")
	out, err := cmd.CombinedOutput()
	checkGush(t, out, err)
}
