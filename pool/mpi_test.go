//go:build mpi

package pool_test

import (
	"testing"

	"github.com/wasmpool/wasmpool/internal/mpitest"
)

// TestRanks runs this package's tests again on the root of 1, 2 and 4 ranks.
func TestRanks(t *testing.T) {
	if shared == nil {
		mpitest.Again(t, []int{1, 2, 4}, "open")
	}
}
