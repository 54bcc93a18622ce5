package pool

import (
	"context"
	"errors"
	"fmt"
	"maps"
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
//
// How many calls run at once, the initializer and the number of calls after
// which an instance is replaced (processes, initializer and maxtasksperchild in
// Python) are fields of [executor.Config].
type Pool struct {
	*work
	ex   *executor.Executor
	opts []executor.CallOption
}

// work counts what a pool must wait for besides calls: inputs that are read and
// callbacks.
type work struct {
	mu         sync.Mutex
	closed     bool
	terminated bool
	open       int
	streams    map[*executor.Stream]struct{} // whose inputs are read
	drained    chan struct{}                 // closed when the pool is closed and nothing is open
}

// New returns a pool on an executor, which stays usable beside it and must be
// shut down by its owner after the pool is joined. There may be several.
func New(ex *executor.Executor) *Pool {
	return &Pool{ex: ex.Fork(), work: &work{drained: make(chan struct{}), streams: map[*executor.Stream]struct{}{}}}
}

// Run is [executor.Run] with a pool: root runs on the root only, every rank
// returns when it is through. It is Go's form of Python's with statement: the pool
// is closed and joined when root returns nil, and terminated when it returns an
// error.
func Run(ctx context.Context, cfg executor.Config, root func(ctx context.Context, p *Pool) error) error {
	if root == nil { // executor.Run does not see it
		return errors.New("pool: Run was given no root function")
	}
	return executor.Run(ctx, cfg, func(ctx context.Context, ex *executor.Executor) error {
		p := New(ex)
		if err := root(ctx, p); err != nil {
			p.Terminate()
			return err
		}
		p.Close()
		return p.Join(ctx)
	})
}

// Executor returns the executor beneath: a fork that ends with the pool.
func (p *Pool) Executor() *executor.Executor { return p.ex }

// With returns the same pool with options for each of its calls.
func (p *Pool) With(opts ...executor.CallOption) *Pool {
	return &Pool{work: p.work, ex: p.ex, opts: slices.Concat(p.opts, opts)}
}

// Apply calls task with arg and waits for the result. It returns the task's
// error, or ctx's when that ends first.
func (p *Pool) Apply(ctx context.Context, task string, arg []byte) ([]byte, error) {
	if !p.enter() {
		return nil, executor.ErrClosed
	}
	defer p.leave()
	return p.ex.Call(ctx, task, arg, p.opts...)
}

// ApplyAsync calls task with arg and returns at once. ctx bounds the waiting for
// room in the executor's queue, not the call. After Close nothing is begun: the result has
// [executor.ErrClosed], of which an [ErrorCallback] hears, where Python raises ValueError.
func (p *Pool) ApplyAsync(ctx context.Context, task string, arg []byte, opts ...AsyncOption[[]byte]) *AsyncResult[[]byte] {
	if !p.enter() {
		return refused(p, executor.ErrClosed, opts)
	}
	defer p.leave()
	return one(p, p.ex.Submit(ctx, task, arg, p.opts...), opts)
}

// Map calls task once for each of args and waits for all results, in the order
// of args. If calls fail it returns the error of the first in that order, with its
// number from 0; the others run on all the same, as in Python.
func (p *Pool) Map(ctx context.Context, task string, args [][]byte, opts ...executor.MapOption) ([][]byte, error) {
	if !p.enter() {
		return nil, executor.ErrClosed
	}
	defer p.leave()
	results := make([][]byte, 0, len(args))
	var first error
	for data, err := range p.ex.Map(ctx, task, slices.Values(args), p.mapOptions(opts)...) {
		if err != nil && first == nil {
			first = err
			if errors.As(err, new(*executor.TaskError)) {
				first = fmt.Errorf("argument %d: %w", len(results), err)
			}
		}
		results = append(results, data)
	}
	if first != nil {
		return nil, first
	}
	return results, nil
}

// MapAsync is Map that returns at once. ctx bounds the reading of args. After Close it
// does as [Pool.ApplyAsync].
func (p *Pool) MapAsync(ctx context.Context, task string, args [][]byte, opts ...AsyncOption[[][]byte]) *AsyncResult[[][]byte] {
	if !p.enter() {
		return refused(p, executor.ErrClosed, opts)
	}
	defer p.leave()
	return many(p, p.ex.SubmitBatch(ctx, task, slices.Values(args), p.mapOptions(nil)...), opts)
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
	if p.open == 0 {
		close(p.drained)
	}
}

// Terminate refuses further work and ends what was submitted: calls that wait on the root
// end with [executor.ErrClosed], those that a worker has are killed, also before they have
// begun, inputs are given up. It does not wait for them, as Join does, and may be called at
// any time, also more than once.
func (p *Pool) Terminate() {
	p.Close()
	for _, s := range p.giveUp() {
		s.Close()
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	p.ex.Shutdown(ctx) //nolint:errcheck // with a context that has ended it only drops the calls
}

// Join waits until all work of a closed pool is done, inputs and callbacks included, or
// ctx ends. After Terminate it does not wait for inputs, which may block for ever. For the
// callbacks of what Close refuses it need not wait. Before Close it returns [ErrNotClosed]. A callback must not call it.
func (p *Pool) Join(ctx context.Context) error {
	p.mu.Lock()
	closed := p.closed
	p.mu.Unlock()
	if !closed {
		return ErrNotClosed
	}
	// Inputs first: they submit calls.
	if !await(ctx, p.drained) {
		return ctx.Err()
	}
	p.ex.Shutdown(ctx, executor.NoWait()) //nolint:errcheck // without waiting there is no error
	if !await(ctx, p.ex.Done()) {
		return ctx.Err()
	}
	return nil
}

// await waits for c. It returns false when ctx ends first: not when both are there.
func await(ctx context.Context, c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
	}
	select {
	case <-c:
		return true
	case <-ctx.Done():
		return false
	}
}

// enter counts a piece of work in. It reports false after Close.
func (w *work) enter() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return false
	}
	w.open++
	return true
}

// hold counts one in even after Close, and returns what counts it out. Where nothing is
// open any more after Close, nobody waits for it.
func (w *work) hold() (leave func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed && w.open == 0 {
		return func() {}
	}
	w.open++
	return w.leave
}

func (w *work) leave() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.open--; w.open == 0 && w.closed {
		close(w.drained)
	}
}

// watch counts a stream's input in, on behalf of work that is counted in already, until
// nothing more is submitted. After Terminate the input is given up.
func (w *work) watch(s *executor.Stream) {
	w.mu.Lock()
	w.open++
	w.streams[s] = struct{}{}
	terminated := w.terminated
	w.mu.Unlock()
	if terminated {
		s.Close()
	}
	go func() {
		<-s.InputDone()
		w.mu.Lock()
		delete(w.streams, s)
		w.mu.Unlock()
		w.leave()
	}()
}

// giveUp returns the streams whose inputs are read; those that follow are closed by
// watch.
func (w *work) giveUp() []*executor.Stream {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.terminated = true
	return slices.Collect(maps.Keys(w.streams))
}
