//go:build mpi && linux

package main

import (
	"testing"

	"github.com/wasmpool/wasmpool/internal/mpitest"
)

// So it is on ranks, where the root, a worker, the launcher or mpirun is killed.
func TestChaosOnRanks(t *testing.T) {
	testChaos(t, 2, chaos{program: mpitest.Build(t, "."), ranks: 3, env: []string{
		"WASMPOOL_CACHE=" + t.TempDir(),
		"OMPI_ALLOW_RUN_AS_ROOT=1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1",
		"OMPI_MCA_btl_tcp_if_include=lo", "OMPI_MCA_oob_tcp_if_include=lo",
	}})
}
