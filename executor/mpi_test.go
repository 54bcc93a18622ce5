//go:build mpi

package executor_test

import (
	"fmt"
	"testing"

	"github.com/wasmpool/wasmpool/internal/mpitest"
)

// TestRanks runs this package's tests again as the root of 1, 2 and 4 ranks.
func TestRanks(t *testing.T) {
	if world != nil {
		return // this is the inner run
	}
	bin := mpitest.BuildTest(t)
	for _, ranks := range []int{1, 2, 4} {
		t.Run(fmt.Sprintf("ranks=%d", ranks), func(t *testing.T) {
			cmd := mpitest.Command(t.Context(), t, ranks, bin, "-test.short", "-test.timeout=120s", "-test.skip=^Example|^TestScheduler")
			cmd.Env = append(cmd.Environ(), "WASMPOOL_TEST_RANKS=1")
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			t.Logf("%s", out)
		})
	}
}
