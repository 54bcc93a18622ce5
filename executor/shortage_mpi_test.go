//go:build mpi && linux

package executor_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/internal/mpitest"
	"github.com/wasmpool/wasmpool/internal/unittest"
)

func init() {
	if os.Getenv(bigVar) == "" || os.Getenv(mpitest.InnerRun) == "" {
		return
	}
	instead, inner.Slots = sufferShortage, 1
	if rank, _ := executor.LaunchRank(); rank == 0 {
		if err := mapLittle(); err != nil {
			panic(err)
		}
	}
}

// TestShortageOnRanks is TestShortage with calls on other ranks: results come into the
// root's memory by loans, or in messages.
func TestShortageOnRanks(t *testing.T) {
	bin, module := mpitest.Tests(t), unittest.AssembleFile(t, "big", bigWAT)
	for _, copies := range []string{"cma", "none"} {
		if copies == "none" && testing.Short() {
			break
		}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
		defer cancel()
		cmd := mpitest.Command(ctx, t, 3, bin)
		cmd.Env = append(cmd.Environ(), mpitest.InnerRun+"=1", leftVar+"=3000", bigVar+"="+module, "OMPI_MCA_btl_vader_single_copy_mechanism="+copies)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%.5000s", copies, err, out)
		}
	}
}
