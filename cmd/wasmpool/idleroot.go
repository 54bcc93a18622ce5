package main

import (
	"os"
	"runtime"
	"slices"

	"github.com/wasmpool/wasmpool/executor"
)

// idleRoot says that rank 0 ran no calls, where its node had CPUs for them: no worker was on that
// node. It is what follows in a summary, "" where there is nothing to say.
func idleRoot(workers []executor.WorkerStats) string {
	node, err := os.Hostname()
	beside := func(w executor.WorkerStats) bool { return w.Rank == 0 || w.Host == node }
	switch {
	case err != nil || len(workers) == 0 || slices.ContainsFunc(workers, beside):
		return ""
	case runtime.NumCPU() == 1:
		return "; rank 0 ran no calls: it may use one CPU only (does the launcher bind it?)"
	default:
		return "; rank 0 ran no calls, though no other rank is on its node: --workers N lets it"
	}
}
