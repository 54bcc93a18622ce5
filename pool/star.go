package pool

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"sync/atomic"

	"github.com/wasmpool/wasmpool/executor"
)

// Args encodes several values as one argument: a JSON array of them. A task
// takes it with sdk.JSON and a parameter that is an array or a slice; an export
// that takes numbers takes them one by one.
func Args(values ...any) ([]byte, error) {
	if values == nil {
		values = []any{}
	}
	arg, err := json.Marshal(values)
	if err != nil {
		return nil, fmt.Errorf("pool: encoding arguments: %w", err)
	}
	return arg, nil
}

func starArgs(tuples [][]any) ([][]byte, error) {
	args := make([][]byte, len(tuples))
	for i, t := range tuples {
		arg, err := Args(t...)
		if err != nil {
			return nil, fmt.Errorf("element %d: %w", i, err)
		}
		args[i] = arg
	}
	return args, nil
}

// StarMap is [Pool.Map] whose arguments are several values each, as of [Args].
func (p *Pool) StarMap(ctx context.Context, task string, tuples [][]any, opts ...executor.MapOption) ([][]byte, error) {
	if !p.enter() {
		return nil, executor.ErrClosed
	}
	defer p.leave()
	args, err := starArgs(tuples)
	if err != nil {
		return nil, err
	}
	return p.Map(ctx, task, args, opts...)
}

// StarMapAsync is [Pool.MapAsync] whose arguments are several values each, as of
// [Args]. Values that cannot be encoded are an error of the result.
func (p *Pool) StarMapAsync(ctx context.Context, task string, tuples [][]any, opts ...AsyncOption[[][]byte]) *AsyncResult[[][]byte] {
	if !p.enter() {
		return refused(p, executor.ErrClosed, opts)
	}
	defer p.leave()
	args, err := starArgs(tuples)
	if err != nil {
		return refused(p, err, opts)
	}
	return p.MapAsync(ctx, task, args, opts...)
}

// IMap submits a call of task for each argument and returns their results one by
// one, in order. The input is pulled at once and all of it, as in Python, or as
// far ahead as [executor.Buffer] says; in that case Join waits until the results
// are taken or the stream is closed. ctx bounds the pulling. After Close it pulls nothing: the
// stream has but an error, [executor.ErrClosed], or that there is no such task.
func (p *Pool) IMap(ctx context.Context, task string, args iter.Seq[[]byte], opts ...executor.MapOption) *executor.Stream {
	return p.stream(ctx, p.ex.Stream, task, args, opts)
}

// IMapUnordered is [Pool.IMap] whose results come as they are there.
func (p *Pool) IMapUnordered(ctx context.Context, task string, args iter.Seq[[]byte], opts ...executor.MapOption) *executor.Stream {
	return p.stream(ctx, p.ex.StreamUnordered, task, args, opts)
}

// IStarMap is [Pool.IMap] whose arguments are several values each, as of [Args].
// Values that cannot be encoded end the stream, after the results of those before, with an
// error that says which they are, from 0.
func (p *Pool) IStarMap(ctx context.Context, task string, tuples iter.Seq[[]any], opts ...executor.MapOption) *executor.Stream {
	ctx, args := encoded(ctx, tuples)
	return p.IMap(ctx, task, args, opts...)
}

// IStarMapUnordered is [Pool.IStarMap] whose results come as they are there.
func (p *Pool) IStarMapUnordered(ctx context.Context, task string, tuples iter.Seq[[]any], opts ...executor.MapOption) *executor.Stream {
	ctx, args := encoded(ctx, tuples)
	return p.IMapUnordered(ctx, task, args, opts...)
}

// encoded returns tuples as arguments, nil for tuples that are, and the context for their stream.
func encoded(ctx context.Context, tuples iter.Seq[[]any]) (context.Context, iter.Seq[[]byte]) {
	if tuples == nil {
		return ctx, nil
	}
	input := &inputContext{Context: ctx}
	return input, func(yield func([]byte) bool) {
		i := 0
		for t := range tuples {
			arg, err := Args(t...)
			if err != nil {
				input.fail(fmt.Errorf("element %d: %w", i, err))
				return
			}
			if !yield(arg) {
				return
			}
			i++
		}
	}
}

// An inputContext is the context of a stream whose input may fail, which that of an executor's
// cannot say. A stream takes an input that ends for one that the context has ended, if that has an
// error then: that of the input.
type inputContext struct {
	context.Context //nolint:containedctx // the caller's, with another error

	failure atomic.Pointer[error]
}

// fail sets the error of an input, which ends.
func (c *inputContext) fail(err error) { c.failure.Store(&err) }

// Err implements context.Context.
func (c *inputContext) Err() error {
	if err := c.failure.Load(); err != nil {
		return *err
	}
	return c.Context.Err()
}

// A streamer is Executor.Stream or StreamUnordered.
type streamer func(ctx context.Context, task string, args iter.Seq[[]byte], opts ...executor.MapOption) *executor.Stream

// stream makes a stream for whose input the pool waits. After Close its only outcome is
// an error.
func (p *Pool) stream(ctx context.Context, start streamer, task string, args iter.Seq[[]byte], opts []executor.MapOption) *executor.Stream {
	if !p.enter() {
		closed := &inputContext{Context: context.Background()}
		return start(closed, task, func(func([]byte) bool) { closed.fail(executor.ErrClosed) })
	}
	defer p.leave()
	s := start(ctx, task, args, p.mapOptions(opts)...)
	p.watch(s)
	return s
}

func (p *Pool) mapOptions(opts []executor.MapOption) []executor.MapOption {
	all := make([]executor.MapOption, 0, len(p.opts)+len(opts))
	for _, o := range p.opts {
		all = append(all, o)
	}
	return slices.Concat(all, opts)
}
