package bench

import (
	"context"
	"os"
	"runtime"
	"time"
)

// measureCPU returns what a call in a map takes of CPU time, in nanoseconds: of the root's process, and of the workers on its node
// together. Alone these are one process, and both are what that takes.
func measureCPU(ctx context.Context, p *pool, n int) ([]float64, error) {
	pids, err := p.workersHere(ctx)
	if err != nil {
		return nil, err
	}
	root := len(pids)
	pids = append(pids, os.Getpid())
	runtime.GC() // of what was measured before
	before, err := cpuTimes(pids)
	if err != nil {
		return nil, err
	}
	if err := p.mapNumbers(ctx, n); err != nil {
		return nil, err
	}
	after, err := cpuTimes(pids)
	if err != nil {
		return nil, err
	}
	var workers time.Duration
	for i := range root {
		workers += after[i] - before[i]
	}
	perCall := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / float64(n) }
	return []float64{perCall(after[root] - before[root]), perCall(workers)}, nil
}
