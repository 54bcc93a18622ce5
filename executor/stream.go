package executor

import (
	"context"
	"io"
	"iter"
)

// A Stream is many calls of one task whose results are taken one by one. Its
// input is pulled at once and all of it, or, with [Buffer], no more than n calls
// ahead of the results taken. It keeps no result that was taken. Next is for one
// goroutine at a time; the other methods are safe for concurrent use.
type Stream struct{ delivery }

// Stream submits a call of task for each argument and returns at once; results
// come in the order of the arguments. When ctx ends, the input is pulled no
// further. An input that panics ends the stream with an error. One that blocks is left
// where it is when ctx ends or, after a second, the executor.
func (ex *Executor) Stream(ctx context.Context, task string, args iter.Seq[[]byte], opts ...MapOption) *Stream {
	return ex.stream(ctx, task, args, opts, false)
}

// StreamUnordered is [Executor.Stream] whose results come as they are there.
func (ex *Executor) StreamUnordered(ctx context.Context, task string, args iter.Seq[[]byte], opts ...MapOption) *Stream {
	return ex.stream(ctx, task, args, opts, true)
}

func (ex *Executor) stream(ctx context.Context, task string, args iter.Seq[[]byte], opts []MapOption, unordered bool) *Stream {
	var l line = newInOrder(false)
	if unordered {
		l = newAnyOrder(false)
	}
	s := &Stream{delivery{line: l}}
	s.atEnd = func() { s.cancel(nil) }
	input := sure(args)
	if err := s.setUp(ctx, ex, task, input, opts, l, false); err != nil {
		s.end(err)
		return s
	}
	s.start(input, 0) // once all calls have ended there is nothing to stop, even if nobody takes the results
	return s
}

// InputDone returns a channel that is closed when nothing more is submitted: the input is
// at its end, it failed, or it was given up, as by Close.
func (s *Stream) InputDone() <-chan struct{} { return s.ended }

// Next waits for the next result and returns it, or the error of its call; the
// stream goes on after that. At the end it returns [io.EOF] itself, or, where the input did
// not come to its end, the error that ended it: [context.Canceled] after Close, [ErrStopped]
// after a [Stopper], ctx's of the stream, what the input panicked with. So does each further
// call: a loop that ends at io.EOF alone goes on for ever after Close, and
// [Stream.All] does not. When ctx ends first, Next returns ctx's error and nothing is lost: the next
// call of Next goes on.
func (s *Stream) Next(ctx context.Context) ([]byte, error) {
	data, _, err := s.take(ctx)
	return data, err
}

// take is Next that tells whether nothing comes after it: the end, or that of ctx.
func (s *Stream) take(ctx context.Context) (data []byte, last bool, err error) {
	r, err := s.line.next(ctx, &s.feeder)
	switch {
	case err != nil:
		return nil, true, err
	case r.n > 0:
		data, err = s.outcome(&r, 0, nil)
		s.took(&r, 1)
		return data, false, err
	case s.failure != nil:
		return nil, true, s.failure
	default:
		return nil, true, io.EOF
	}
}

// All yields what Next returns, up to the end, where it yields the error that
// ended the input, or ctx's.
func (s *Stream) All(ctx context.Context) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for {
			data, last, err := s.take(ctx)
			if err == io.EOF { //nolint:errorlint // it is the very value, where the input may fail with one like it
				return
			}
			if !yield(data, err) || last {
				return
			}
		}
	}
}

// Close gives up the input and cancels the calls that are pending; those that have begun do not run again. What is left are the
// outcomes of the calls that were submitted, and after them, unless the input had come to
// its end, [context.Canceled]. It does not block, also where the input does: a
// goroutine that waits in Next is told, and an input that blocks is left when it yields next.
func (s *Stream) Close() {
	s.stop(nil)
	s.cancelPending()
}
