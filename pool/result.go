package pool

import (
	"context"
	"sync"

	"github.com/wasmpool/wasmpool/executor"
)

// An AsyncResult is what ApplyAsync, MapAsync and StarMapAsync return. All
// methods are safe for concurrent use.
type AsyncResult[T any] struct {
	done    <-chan struct{}
	outcome func() (T, error) // once done is closed
}

// An AsyncOption sets a callback.
type AsyncOption[T any] struct {
	success func(T)
	failure func(error)
}

// Callback runs fn with the result, if there is one. Callbacks run one after the
// other on a goroutine of the executor's and should return soon. As in Python, the
// result is ready when they have returned, so a callback must not wait for it: Get,
// Wait, Ready and Join all come after them. One that panics is logged and stops nobody.
func Callback[T any](fn func(T)) AsyncOption[T] { return AsyncOption[T]{success: fn} }

// ErrorCallback runs fn with the error of the work, if it fails or is refused. See [Callback].
func ErrorCallback[T any](fn func(error)) AsyncOption[T] { return AsyncOption[T]{failure: fn} }

// report tells the callback of what the work came to.
func (o AsyncOption[T]) report(value T, err error) {
	switch {
	case err != nil && o.failure != nil:
		o.failure(err)
	case err == nil && o.success != nil:
		o.success(value)
	}
}

// refused returns the result of work that was not begun.
func refused[T any](p *Pool, err error, opts []AsyncOption[T]) *AsyncResult[T] {
	// A call with a context that has ended is not submitted, but has callbacks as any other.
	ended, end := context.WithCancel(context.Background())
	end()
	f := p.ex.Submit(ended, "", nil)
	return whenDone(p, f, func() (T, error) { var none T; return none, err }, opts)
}

// one returns the result of a call.
func one(p *Pool, f *executor.Future, opts []AsyncOption[[]byte]) *AsyncResult[[]byte] {
	return whenDone(p, f, func() ([]byte, error) { return f.Result(context.Background()) }, opts)
}

// whenDone returns a result that is there once f is done.
func whenDone[T any](p *Pool, f *executor.Future, outcome func() (T, error), opts []AsyncOption[T]) *AsyncResult[T] {
	r := &AsyncResult[T]{f.Done(), outcome}
	if len(opts) > 0 {
		r.after(p, opts, func(fn func()) { f.OnDone(func(*executor.Future) { fn() }) })
	}
	return r
}

// many returns the result of a batch.
func many(p *Pool, b *executor.Batch, opts []AsyncOption[[][]byte]) *AsyncResult[[][]byte] {
	r := &AsyncResult[[][]byte]{b.Done(), func() ([][]byte, error) { return b.Results(context.Background()) }}
	onDone := func(fn func()) { b.OnDone(func(*executor.Batch) { fn() }) }
	if len(opts) > 0 {
		r.after(p, opts, onDone)
	} else {
		onDone(p.hold()) // while its arguments are submitted
	}
	return r
}

// after makes the result ready once the callbacks have run, for which the pool waits. What
// onDone is given runs in that order once there is an outcome: each callback on its own,
// so that one that panics stops no other.
func (r *AsyncResult[T]) after(p *Pool, opts []AsyncOption[T], onDone func(fn func())) {
	done := make(chan struct{})
	r.done = done
	leave := p.hold()
	outcome := sync.OnceValues(r.outcome)
	for _, o := range opts {
		onDone(func() { o.report(outcome()) })
	}
	onDone(func() {
		close(done)
		leave()
	})
}

// Get waits for the result and returns it, or the error of the work. When ctx
// ends first it returns ctx's error and the work goes on.
func (r *AsyncResult[T]) Get(ctx context.Context) (T, error) {
	if err := r.Wait(ctx); err != nil {
		var none T
		return none, err
	}
	return r.outcome()
}

// Wait waits until the result is ready. It returns ctx's error when that ends
// first, and never the error of the work.
func (r *AsyncResult[T]) Wait(ctx context.Context) error {
	if !await(ctx, r.done) {
		return ctx.Err()
	}
	return nil
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
	_, err := r.outcome()
	return err == nil, nil
}
