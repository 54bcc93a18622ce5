package executor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
)

// A Codec turns values into the bytes that a task takes or gives, and back.
type Codec[T any] struct {
	Encode func(T) ([]byte, error)
	Decode func([]byte) (T, error)
}

// JSON is the codec for tasks of sdk.JSON, and of exports that take and give
// numbers. It is the default: both sides of it are in Go's standard library and
// in most languages that guests are written in.
func JSON[T any]() Codec[T] {
	return Codec[T]{
		Encode: func(v T) ([]byte, error) { return json.Marshal(v) },
		Decode: func(b []byte) (v T, err error) { return v, json.Unmarshal(b, &v) },
	}
}

// Raw is the codec for tasks of sdk.Bytes: it hands bytes through uncopied.
func Raw() Codec[[]byte] {
	return Codec[[]byte]{
		Encode: func(b []byte) ([]byte, error) { return b, nil },
		Decode: func(b []byte) ([]byte, error) { return b, nil },
	}
}

// A Typed is a task with Go types for its argument and its result. It is safe for
// concurrent use and made once, by [NewTyped] or [WithCodecs].
type Typed[In, Out any] struct {
	ex   *Executor
	task string
	in   Codec[In]
	out  Codec[Out]
	opts []CallOption
}

// NewTyped returns a task whose argument and result are JSON. The options hold
// for each call of it.
func NewTyped[In, Out any](ex *Executor, task string, opts ...CallOption) Typed[In, Out] {
	return WithCodecs(ex, task, JSON[In](), JSON[Out](), opts...)
}

// WithCodecs is [NewTyped] with other codecs: in needs Encode, out Decode. Without one
// each call fails.
func WithCodecs[In, Out any](ex *Executor, task string, in Codec[In], out Codec[Out], opts ...CallOption) Typed[In, Out] {
	if in.Encode == nil {
		in.Encode = func(In) ([]byte, error) { return nil, errNoCodec }
	}
	if out.Decode == nil {
		out.Decode = func([]byte) (none Out, err error) { return none, errNoCodec }
	}
	return Typed[In, Out]{ex, task, in, out, opts}
}

// errNoCodec is the error of each call of a task whose codec is incomplete.
var errNoCodec = errors.New("the codec of the argument has no Encode, or that of the result no Decode")

// Call submits a call and waits for its result. See [Executor.Call].
func (t Typed[In, Out]) Call(ctx context.Context, arg In) (Out, error) {
	b, err := t.encode(arg)
	if err == nil {
		b, err = t.ex.Call(ctx, t.task, b, t.opts...)
	}
	return decode(t.task, t.out, b, err)
}

// Submit hands a call to the pool. See [Executor.Submit]. An argument that cannot
// be encoded is an error of the future.
func (t Typed[In, Out]) Submit(ctx context.Context, arg In) *TypedFuture[Out] {
	b, err := t.encode(arg)
	if err != nil {
		return &TypedFuture[Out]{failed(t.ex, err), t.out}
	}
	return &TypedFuture[Out]{t.ex.Submit(ctx, t.task, b, t.opts...), t.out}
}

func (t Typed[In, Out]) encode(arg In) ([]byte, error) {
	b, err := t.in.Encode(arg)
	if err != nil {
		err = fmt.Errorf("executor: encoding the argument of task %q: %w", t.task, err)
	}
	return b, err
}

// Map calls the task once for each argument and yields the results in order. See
// [Executor.Map]; an argument that cannot be encoded ends the iteration with
// the error.
func (t Typed[In, Out]) Map(ctx context.Context, args iter.Seq[In], opts ...MapOption) iter.Seq2[Out, error] {
	all := make([]MapOption, 0, len(t.opts)+len(opts))
	for _, o := range t.opts {
		all = append(all, o)
	}
	var encoded iter.Seq2[[]byte, error] // nil when args are
	if args != nil {
		encoded = func(yield func([]byte, error) bool) {
			args(func(arg In) bool { return yield(t.encode(arg)) })
		}
	}
	results := t.ex.MapFrom(ctx, t.task, encoded, append(all, opts...)...)
	return func(yield func(Out, error) bool) {
		for b, err := range results {
			if !yield(decode(t.task, t.out, b, err)) {
				return
			}
		}
	}
}

// A TypedFuture is a [Future] whose result has a type.
type TypedFuture[Out any] struct {
	*Future
	out Codec[Out]
}

// Result waits for the call and returns its result. See [Future.Result].
func (f *TypedFuture[Out]) Result(ctx context.Context) (Out, error) {
	b, err := f.Future.Result(ctx)
	return decode(f.call.TaskName(), f.out, b, err)
}

func decode[Out any](task string, c Codec[Out], b []byte, err error) (Out, error) {
	if err != nil {
		var none Out
		return none, err
	}
	out, err := c.Decode(b)
	if err != nil {
		err = fmt.Errorf("executor: decoding a result of task %q: %w", task, err)
	}
	return out, err
}
