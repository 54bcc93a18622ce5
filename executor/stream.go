package executor

import (
	"context"
	"errors"
	"io"
	"iter"
	"maps"
	"slices"
	"sync"
)

// A Stream is many calls of one task whose results are taken one by one. Its
// input is pulled at once and all of it, or, with [Buffer], no more than n calls
// ahead of the results taken. It keeps no result that was taken. Next is for one
// goroutine at a time; the other methods are safe for concurrent use.
type Stream struct {
	ex        *Executor
	unordered bool
	stop      context.CancelFunc
	bell      chan struct{} // holds a token when there may be something for Next
	room      chan struct{} // the same for who feeds

	mu        sync.Mutex
	queue     []*Future            // to be taken: all that were submitted, or those that are resolved
	open      map[*Future]struct{} // where those are the resolved ones: the others
	submitted int
	taken     int
	over      bool          // nothing more is submitted
	failure   error         // of the input or of submitting
	inputDone chan struct{} // closed when over is set
}

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
	ctx, cancel := context.WithCancel(ctx)
	s := &Stream{ex: ex, unordered: unordered, stop: cancel, bell: make(chan struct{}, 1), room: make(chan struct{}, 1), inputDone: make(chan struct{})}
	if unordered {
		s.open = make(map[*Future]struct{})
	}
	set, err := mapSettingsOf(opts)
	t, lookupErr := ex.tasks.lookup(task)
	err = errors.Join(err, lookupErr, set.mapOnly())
	set.bind(s, 1) // without who takes: once all calls have ended, there is nothing to stop
	ex.feed(ctx, cancel, t, args, set, err, s)
	return s
}

// add implements feeder. Close may have come while the call was submitted.
func (s *Stream) add(f *Future) {
	s.mu.Lock()
	if s.over {
		s.mu.Unlock()
		f.Cancel()
		return
	}
	s.submitted++
	if s.unordered {
		s.open[f] = struct{}{}
	} else {
		s.queue = append(s.queue, f)
	}
	s.mu.Unlock()
	if s.unordered {
		f.tell(s)
	} else {
		ring(s.bell)
	}
}

// resolved implements listener.
func (s *Stream) resolved(f *Future) {
	s.mu.Lock()
	delete(s.open, f)
	s.queue = append(s.queue, f)
	s.mu.Unlock()
	ring(s.bell)
}

func (s *Stream) waitRoom(ctx context.Context, buffer int) error {
	for {
		s.mu.Lock()
		room := buffer == 0 || s.submitted-s.taken < buffer
		s.mu.Unlock()
		if err := ctx.Err(); err != nil || room {
			return err
		}
		select {
		case <-s.room:
		case <-ctx.Done():
		case <-s.ex.gone():
			return ErrClosed
		case <-s.ex.done:
			return ErrClosed
		}
	}
}

// end implements feeder.
func (s *Stream) end(err error) {
	s.mu.Lock()
	if !s.over {
		s.over, s.failure = true, err
		close(s.inputDone)
	}
	s.mu.Unlock()
	ring(s.bell)
}

// InputDone returns a channel that is closed when nothing more is submitted: the input is
// at its end, it failed, or it was given up, as by Close.
func (s *Stream) InputDone() <-chan struct{} { return s.inputDone }

// Next waits for the next result and returns it, or the error of its call; the
// stream goes on after that. At the end it returns [io.EOF] itself, or, where the input did
// not come to its end, the error that ended it: [context.Canceled] after Close, [ErrStopped]
// after a [Stopper], ctx's of the stream, what the input panicked with. So does each further
// call: a loop that ends at io.EOF alone goes on for ever after Close, and
// [Stream.All] does not. When ctx ends first, Next returns ctx's error and nothing is lost: the next
// call of Next goes on.
func (s *Stream) Next(ctx context.Context) ([]byte, error) {
	data, _, err := s.next(ctx)
	return data, err
}

// next is Next that tells whether nothing comes after it: the end, or that of ctx.
func (s *Stream) next(ctx context.Context) (data []byte, last bool, err error) {
	for {
		s.mu.Lock()
		over, failure := s.over && s.taken == s.submitted, s.failure
		var f *Future
		if len(s.queue) > 0 {
			f = s.queue[0]
		}
		s.mu.Unlock()
		switch {
		case f != nil:
			if err := f.wait(ctx); err != nil {
				return nil, true, err
			}
			s.take()
			data, err = f.outcome()
			return data, false, err
		case over:
			if failure != nil {
				return nil, true, failure
			}
			return nil, true, io.EOF
		}
		select {
		case <-s.bell:
		case <-ctx.Done():
			return nil, true, ctx.Err()
		}
	}
}

// take forgets the first of the queue.
func (s *Stream) take() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue[0] = nil
	s.queue = s.queue[1:]
	s.taken++
	ring(s.room)
}

// All yields what Next returns, up to the end, where it yields the error that
// ended the input, or ctx's.
func (s *Stream) All(ctx context.Context) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for {
			data, last, err := s.next(ctx)
			if err == io.EOF { //nolint:errorlint // it is the very value, where the input may fail with one like it
				return
			}
			if !yield(data, err) || last {
				return
			}
		}
	}
}

// Close gives up the input and cancels the calls that are pending. What is left are the
// outcomes of the calls that were submitted, and after them, unless the input had come to
// its end, [context.Canceled]. It does not block, also where the input does: whoever
// waits in Next is told, and an input that blocks is left when it yields next.
func (s *Stream) Close() { s.close(context.Canceled) }

func (s *Stream) close(why error) {
	s.end(why)
	s.stop()
	for _, f := range s.left() {
		f.Cancel()
	}
}

// left returns the futures that were not taken.
func (s *Stream) left() []*Future {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.AppendSeq(slices.Clone(s.queue), maps.Keys(s.open))
}

// halt implements stoppable.
func (s *Stream) halt() { s.close(ErrStopped) }

// kill implements stoppable.
func (s *Stream) kill(reason string) {
	for _, f := range s.left() {
		f.Kill(reason)
	}
}
