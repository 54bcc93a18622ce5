//go:build mpi

package executor_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/wasmpool/wasmpool/internal/mpitest"
)

// TestInstructionsUnderMPI runs the same calls in one process, with one worker and
// with three, one of them twice: they execute the same number of instructions everywhere,
// and the same budgets end them at the same places.
func TestInstructionsUnderMPI(t *testing.T) {
	bin := mpitest.Build(t, "./testdata/count")
	var first string
	for run, ranks := range []int{1, 2, 4, 2} {
		t.Run(fmt.Sprintf("ranks=%d/run=%d", ranks, run), func(t *testing.T) {
			out, err := mpitest.Command(t.Context(), t, ranks, bin).Output()
			if err != nil || strings.Count(string(out), "\n") < 8 {
				t.Fatalf("%v\n%s", err, out)
			}
			if first == "" {
				first = string(out)
				t.Logf("\n%s", out)
			}
			if string(out) != first {
				t.Errorf("got\n%swant\n%s", out, first)
			}
		})
	}
}
