package bench

import (
	"context"
	"errors"
	"os"
	"runtime/debug"
	"time"
)

const (
	// settleTime is what a pool gets to come to rest before its idling is
	// measured.
	settleTime = time.Second

	// idleWindow is for how long it is measured.
	idleWindow = 2 * time.Second
)

// measureIdleCPU returns what an idle pool takes of a core, in percent: the
// root, and the worker that takes most.
func measureIdleCPU(ctx context.Context, p *pool, _ int) ([]float64, error) {
	pids, err := p.workersHere(ctx)
	if err != nil {
		return nil, err
	}
	pids = append(pids, os.Getpid())
	debug.FreeOSMemory() // or the runtime would do it, bit by bit, meanwhile
	time.Sleep(settleTime)
	before, err := cpuTimes(pids)
	if err != nil {
		return nil, err
	}
	start := time.Now()
	time.Sleep(idleWindow)
	after, err := cpuTimes(pids)
	if err != nil {
		return nil, err
	}
	elapsed := time.Since(start)
	shares := make([]float64, len(pids))
	for i := range pids {
		shares[i] = 100 * (after[i] - before[i]).Seconds() / elapsed.Seconds()
	}
	workers, root := shares[:len(shares)-1], shares[len(shares)-1]
	most := 0.0
	for _, share := range workers {
		most = max(most, share)
	}
	return []float64{root, most}, nil
}

// workersHere returns the processes of the workers that run on this node.
func (p *pool) workersHere(ctx context.Context) ([]int, error) {
	stats, err := p.ex.Stats(ctx)
	if err != nil {
		return nil, err
	}
	node, err := os.Hostname()
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, w := range stats.Workers {
		if w.Host == node && !w.Lost {
			pids = append(pids, w.PID)
		}
	}
	if len(pids) == 0 {
		return nil, errors.New("no worker runs on the root's node, where its CPU time could be seen")
	}
	return pids, nil
}

// cpuTimes returns the CPU time that each process has used.
func cpuTimes(pids []int) ([]time.Duration, error) {
	times := make([]time.Duration, len(pids))
	for i, pid := range pids {
		var err error
		if times[i], err = cpuTime(pid); err != nil {
			return nil, err
		}
	}
	return times, nil
}
