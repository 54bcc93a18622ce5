package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// A pool is what the cases measure.
type pool struct {
	ex      *executor.Executor
	guest   *wasmtasks.Module
	ranks   int
	started time.Duration // from the process's start to the first result
}

// joinTimeout bounds the wait for workers that are slower than the first.
const joinTimeout = 30 * time.Second

// newPool loads the guest, makes a first call, and waits until all workers have
// joined.
func newPool(ctx context.Context, ex *executor.Executor, guest string) (*pool, error) {
	m, err := openGuest(ctx, guest)
	if err != nil {
		return nil, err
	}
	if err := ex.Load(m); err != nil {
		return nil, err
	}
	p := &pool{ex: ex, guest: m}
	if _, err := ex.Call(ctx, p.task("echo"), make([]byte, 8)); err != nil {
		return nil, fmt.Errorf("bench: the first call: %w", err)
	}
	p.started = time.Since(began)
	return p, p.join(ctx)
}

// task returns the full name of a task of the guest.
func (p *pool) task(export string) string { return p.guest.Name() + "." + export }

// join waits until all workers are there, and lets all of them work once.
func (p *pool) join(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, joinTimeout, errors.New("bench: not all ranks have joined"))
	defer cancel()
	for {
		stats, err := p.ex.Stats(ctx)
		if err != nil {
			return context.Cause(ctx)
		}
		if len(stats.Workers) == p.ex.NumWorkers() {
			p.ranks = countRanks(stats)
			break
		}
		time.Sleep(time.Millisecond)
	}
	return p.mapNumbers(ctx, 10_000)
}

// countRanks returns how many ranks the job has. The root is one, whether it
// has slots or not.
func countRanks(stats executor.Stats) int {
	n := 1
	for _, w := range stats.Workers {
		if w.Rank > 0 {
			n++
		}
	}
	return n
}
