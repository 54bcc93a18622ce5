package pool

import (
	"context"

	"github.com/wasmpool/wasmpool/executor"
)

// An AsyncResult is what ApplyAsync and MapAsync return. All methods are safe
// for concurrent use.
type AsyncResult[T any] struct {
	done  chan struct{}
	value T
	err   error
}

// start runs work on a goroutine that the pool waits for.
func start[T any](p *Pool, work func() (T, error)) *AsyncResult[T] {
	r := &AsyncResult[T]{done: make(chan struct{})}
	if !p.enter() {
		r.err = executor.ErrClosed
		close(r.done)
		return r
	}
	go func() {
		defer p.leave()
		defer close(r.done)
		r.value, r.err = work()
	}()
	return r
}

// Get waits for the result and returns it, or the error of the work. When ctx
// ends first it returns ctx's error and the work goes on.
func (r *AsyncResult[T]) Get(ctx context.Context) (T, error) {
	if err := r.Wait(ctx); err != nil {
		var none T
		return none, err
	}
	return r.value, r.err
}

// Wait waits until the result is ready. It returns ctx's error when that ends
// first, and never the error of the work.
func (r *AsyncResult[T]) Wait(ctx context.Context) error {
	if r.Ready() {
		return nil
	}
	select {
	case <-r.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Ready reports whether the work is done.
func (r *AsyncResult[T]) Ready() bool {
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

// Successful reports whether the work ended without an error. Before it is done
// it returns [ErrNotReady].
func (r *AsyncResult[T]) Successful() (bool, error) {
	if !r.Ready() {
		return false, ErrNotReady
	}
	return r.err == nil, nil
}
