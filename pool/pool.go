package pool

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/wasmpool/wasmpool/executor"
)

// ErrNotReady is returned by [AsyncResult.Successful] before the result is there.
var ErrNotReady = errors.New("pool: the result is not ready")

// ErrNotClosed is returned by [Pool.Join] before Close.
var ErrNotClosed = errors.New("pool: join before close")

// A Pool is multiprocessing.Pool's face on an executor: a task name stands where
// Python has a function. All methods are safe for concurrent use.
type Pool struct {
	ex *executor.Executor

	mu      sync.Mutex
	closed  bool
	working int           // pieces of work that are not finished
	drained chan struct{} // closed when the pool is closed and nothing works
}

// New returns a pool on an executor, which stays usable beside it and must be
// shut down by its owner after the pool is joined.
func New(ex *executor.Executor) *Pool {
	return &Pool{ex: ex, drained: make(chan struct{})}
}

// Run is [executor.Run] with a pool: root runs on the root only, every rank
// returns when it is through. The pool is closed and joined when root returns.
func Run(ctx context.Context, cfg executor.Config, root func(ctx context.Context, p *Pool) error) error {
	return executor.Run(ctx, cfg, func(ctx context.Context, ex *executor.Executor) error {
		p := New(ex)
		if err := root(ctx, p); err != nil {
			return err
		}
		p.Close()
		return p.Join(ctx)
	})
}

// Executor returns the executor beneath.
func (p *Pool) Executor() *executor.Executor { return p.ex }

// Apply calls task with arg and waits for the result. It returns the task's
// error, or ctx's when that ends first.
func (p *Pool) Apply(ctx context.Context, task string, arg []byte) ([]byte, error) {
	if !p.enter() {
		return nil, executor.ErrClosed
	}
	defer p.leave()
	return p.ex.Call(ctx, task, arg)
}

// ApplyAsync calls task with arg and returns at once. ctx bounds the waiting for
// room in the executor's queue, not the call.
func (p *Pool) ApplyAsync(ctx context.Context, task string, arg []byte) *AsyncResult[[]byte] {
	return start(p, func() ([]byte, error) {
		return p.ex.Submit(ctx, task, arg).Result(context.Background())
	})
}

// Map calls task once for each of args and waits for all results, in the order
// of args. If calls fail it returns the error of the first in that order; the
// others run on all the same, as in Python.
func (p *Pool) Map(ctx context.Context, task string, args [][]byte) ([][]byte, error) {
	if !p.enter() {
		return nil, executor.ErrClosed
	}
	defer p.leave()
	return p.mapAll(ctx, task, args)
}

// MapAsync is Map that returns at once. ctx bounds the whole of it.
func (p *Pool) MapAsync(ctx context.Context, task string, args [][]byte) *AsyncResult[[][]byte] {
	return start(p, func() ([][]byte, error) { return p.mapAll(ctx, task, args) })
}

func (p *Pool) mapAll(ctx context.Context, task string, args [][]byte) ([][]byte, error) {
	results := make([][]byte, 0, len(args))
	var first error
	for data, err := range p.ex.Map(ctx, task, slices.Values(args)) {
		if err != nil && first == nil {
			first = err
		}
		results = append(results, data)
	}
	if first != nil {
		return nil, first
	}
	return results, nil
}

// Close refuses further work; what was submitted still runs. It does not block,
// and closing twice is fine.
func (p *Pool) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	p.closed = true
	if p.working == 0 {
		close(p.drained)
	}
}

// Join waits until all work of a closed pool is done, or ctx ends. Before Close
// it returns [ErrNotClosed].
func (p *Pool) Join(ctx context.Context) error {
	p.mu.Lock()
	closed := p.closed
	p.mu.Unlock()
	if !closed {
		return ErrNotClosed
	}
	select {
	case <-p.drained:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// enter counts a piece of work in. It reports false after Close.
func (p *Pool) enter() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.working++
	return true
}

func (p *Pool) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.working--; p.working == 0 && p.closed {
		close(p.drained)
	}
}
