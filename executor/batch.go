package executor

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"

	"github.com/wasmpool/wasmpool/internal/dispatcher"
)

// A Batch is many calls of one task that were submitted together. Its input is
// pulled by a goroutine of its own, from the start and whether or not somebody
// asks for results: all of it at once, or, with [Buffer], no more than n calls
// ahead of the workers. Unlike Map it keeps its futures, so that it can be gone
// through several times. All methods are safe for concurrent use.
type Batch struct {
	feeder
	fresh *Future // that of the call which is submitted next; only used by the feeder's goroutine

	mu      sync.Mutex
	futures []*Future
	closed  bool          // nothing more is submitted
	changed chan struct{} // closed when a call was added or finished, or at the end
	done    chan struct{} // closed when the input is at its end and every call has an outcome
	hooks   []func(*Batch)
}

// SubmitBatch submits a call of task for each argument and returns at once. When
// ctx ends, the input is pulled no further. An input that panics ends the batch
// with an error. One that blocks is left where it is when ctx ends or, after a second, the
// executor.
func (ex *Executor) SubmitBatch(ctx context.Context, task string, args iter.Seq[[]byte], opts ...MapOption) *Batch {
	b := &Batch{changed: make(chan struct{}), done: make(chan struct{})}
	b.atEnd = b.close
	input := sure(args)
	if err := b.setUp(ctx, ex, task, input, opts, b, false); err != nil {
		b.end(err)
		return b
	}
	b.start(input, 0) // once all calls have ended there is nothing to stop
	return b
}

// call implements source.
func (b *Batch) call() *dispatcher.Call {
	b.fresh = new(Future)
	return &b.fresh.call
}

// submitted implements source.
func (b *Batch) submitted(c *dispatcher.Call) {
	b.mu.Lock()
	b.futures = append(b.futures, b.fresh)
	b.change()
	b.mu.Unlock()
	c.Tell((*batchListener)(b))
}

// A batchListener is a batch as its calls know it.
type batchListener Batch

// Resolved implements dispatcher.Listener.
func (l *batchListener) Resolved(*dispatcher.Call) {
	b := (*Batch)(l)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ahead.took(1)
	b.change()
}

// close notes that nothing more is submitted.
func (b *Batch) close() {
	b.cancel(nil)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	b.change()
}

// change wakes the goroutines that wait for a change. mu is held.
func (b *Batch) change() {
	close(b.changed)
	b.changed = make(chan struct{})
	if !b.closed || b.Finished() < len(b.futures) {
		return
	}
	close(b.done)
	for _, fn := range b.hooks {
		b.ex.calls.add(b, func() { fn(b) })
	}
	b.hooks = nil
}

// Done returns a channel that is closed when the input is at its end and every
// call has an outcome.
func (b *Batch) Done() <-chan struct{} { return b.done }

// OnDone runs fn when Done is closed, as [Future.OnDone] does.
func (b *Batch) OnDone(fn func(*Batch)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case <-b.done:
		b.ex.calls.add(b, func() { fn(b) })
	default:
		b.hooks = append(b.hooks, fn)
	}
}

// String describes the batch for logs.
func (b *Batch) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return fmt.Sprintf("Batch(%d of %d finished)", b.Finished(), len(b.futures))
}

// Futures returns the futures of the calls that were submitted so far, in order,
// for [Wait], [AsCompleted] and whatever else takes futures.
func (b *Batch) Futures() []*Future {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.futures)
}

// Submitted returns how many calls were submitted so far.
func (b *Batch) Submitted() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.futures)
}

// Finished returns how many calls have an outcome.
func (b *Batch) Finished() int { return int(b.ahead.taken.Load()) }

// Cancel gives up the input, also one that blocks, and cancels the calls that are
// pending. It returns how many there were: those that were cancelled before do not count. Those that have begun do not
// run again. Unless the input had come to its end, the batch's own error is [context.Canceled] then.
func (b *Batch) Cancel() int {
	b.stop(nil)
	n := 0
	for _, f := range b.Futures() {
		if f.State() != Cancelled && f.Cancel() {
			n++
		}
	}
	b.cancelPending() // one may have failed just before the stop, and rest now
	return n
}

// at returns the i-th future, or nil after the last, when that is known.
func (b *Batch) at(ctx context.Context, i int) (*Future, error) {
	for {
		b.mu.Lock()
		changed, over := b.changed, b.closed
		if i < len(b.futures) {
			f := b.futures[i]
			b.mu.Unlock()
			return f, nil
		}
		b.mu.Unlock()
		if over {
			return nil, b.failure
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// settled waits until the last outcomes are counted, a moment after they can be
// seen.
func (b *Batch) settled(ctx context.Context) {
	select {
	case <-b.done:
	case <-ctx.Done():
	}
}

// Ordered yields the outcomes in the order of the input, and last the error of
// the input or of ctx, if there is one.
func (b *Batch) Ordered(ctx context.Context) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for i := 0; ; i++ {
			f, err := b.at(ctx, i)
			if f != nil && err == nil {
				err = f.call.Wait(ctx)
			}
			switch {
			case err != nil:
				yield(nil, err)
				return
			case f == nil:
				b.settled(ctx)
				return
			}
			if !yield(f.call.Outcome()) {
				return
			}
		}
	}
}

// Unordered yields the outcomes as they come, and last the error of the input or
// of ctx, if there is one.
func (b *Batch) Unordered(ctx context.Context) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		completed := newCompletions()
		told, given := 0, 0
		defer func() {
			if given < told {
				b.untell(completed, told)
			}
		}()
		for {
			b.mu.Lock()
			fresh, changed, over := b.futures[told:], b.changed, b.closed
			b.mu.Unlock()
			for _, f := range fresh {
				f.call.Tell(completed)
			}
			told += len(fresh)
			for _, c := range completed.take(nil) {
				given++
				if !yield(c.Outcome()) {
					return
				}
			}
			if over && given == told {
				b.settled(ctx)
				if b.failure != nil {
					yield(nil, b.failure)
				}
				return
			}
			select {
			case <-completed.more:
			case <-changed:
			case <-ctx.Done():
				yield(nil, ctx.Err())
				return
			}
		}
	}
}

// untell makes l hear no more of the first n futures.
func (b *Batch) untell(l dispatcher.Listener, n int) {
	b.mu.Lock()
	futures := b.futures[:n]
	b.mu.Unlock()
	for _, f := range futures {
		f.call.Untell(l)
	}
}

// ofArgument adds an argument's number to the error of its task.
func ofArgument(i int, err error) error {
	if errors.As(err, new(*TaskError)) {
		return fmt.Errorf("argument %d: %w", i, err)
	}
	return err
}

// Results waits for the whole batch and returns the results in order, or the
// first error in that order, which names the argument's number, from 0.
func (b *Batch) Results(ctx context.Context) ([][]byte, error) {
	var results [][]byte
	for data, err := range b.Ordered(ctx) {
		if err != nil {
			return nil, ofArgument(len(results), err)
		}
		results = append(results, data)
	}
	return results, nil
}
