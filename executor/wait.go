package executor

import (
	"context"
	"iter"
)

// When says how long Wait waits.
type When int

// What Wait waits for.
const (
	AllDone    When = iota // every future
	FirstDone              // one future
	FirstError             // one that failed or was cancelled, or all
)

// Wait blocks until as many of the futures are resolved as when says, and
// returns those that are and those that are not, each in the order given. When
// ctx ends first it returns them with ctx's error. A future that is given twice
// counts once.
func Wait(ctx context.Context, futures []*Future, when When) (done, pending []*Future, err error) {
	for f, e := range AsCompleted(ctx, futures) {
		if e != nil {
			err = e
			break
		}
		if when == FirstDone || when == FirstError && f.err != nil {
			break
		}
	}
	seen := make(map[*Future]bool, len(futures))
	for _, f := range futures {
		switch {
		case seen[f]:
		case f.resolved():
			done = append(done, f)
		default:
			pending = append(pending, f)
		}
		seen[f] = true
	}
	return done, pending, err
}

// AsCompleted yields the futures as they are resolved, those that already are at
// first, each once however often it is given. When ctx ends before the last, it
// yields nil with ctx's error and stops. Stopping early is fine. It keeps no
// future that it has yielded.
func AsCompleted(ctx context.Context, futures []*Future) iter.Seq2[*Future, error] {
	return func(yield func(*Future, error) bool) {
		arrived := newArrivals()
		open := make(map[*Future]bool, len(futures))
		for _, f := range futures {
			if !open[f] {
				open[f] = true
				f.tell(arrived)
			}
		}
		var batch []*Future
		for len(open) > 0 {
			if batch = arrived.take(batch); len(batch) == 0 {
				select {
				case <-arrived.bell:
				case <-ctx.Done():
					yield(nil, ctx.Err())
					return
				}
				continue
			}
			for _, f := range batch {
				delete(open, f)
				if !yield(f, nil) {
					return
				}
			}
		}
	}
}

// Collect waits for all the futures and returns their results in the order
// given. At the first that fails, in time, it cancels those that are pending and
// returns the error; so it does with ctx's when that ends first.
func Collect(ctx context.Context, futures []*Future) ([][]byte, error) {
	var failure error
	for f, err := range AsCompleted(ctx, futures) {
		if err == nil {
			err = f.err
		}
		if err != nil {
			failure = err
			break
		}
	}
	if failure != nil {
		for _, f := range futures {
			f.Cancel()
		}
		return nil, failure
	}
	results := make([][]byte, len(futures))
	for i, f := range futures {
		results[i] = f.data
	}
	return results, nil
}

// Then returns the future of a call of task whose argument is f's result. It counts as
// submitted at once, so that a Shutdown waits for it, and waits until f
// succeeds, however much waits beside it; when f fails, it ends with f's
// error. It may be cancelled on its own before that.
func (f *Future) Then(task string, opts ...CallOption) *Future {
	ex := f.ex
	t, err := ex.tasks.lookup(task)
	if err != nil {
		return failed(ex, err)
	}
	set, err := settingsOf(opts)
	if err != nil {
		return failed(ex, err)
	}
	if err := ex.enter(); err != nil {
		return failed(ex, err)
	}
	next := &Future{}
	next.prepare(ex, t, nil, set)
	if err := ex.in.promise(next); err != nil {
		ex.leave()
		return failed(ex, err)
	}
	f.tell(sequel{next})
	return next
}

// A sequel is a call that waits for the result of another.
type sequel struct{ next *Future }

// resolved implements listener.
func (s sequel) resolved(f *Future) {
	next := s.next
	in := next.ex.in
	if f.err != nil {
		next.withdraw(always(f.err))
		in.release(next)
		return
	}
	if !next.state.CompareAndSwap(uint32(Pending), uint32(settling)) {
		in.release(next)
		return // cancelled
	}
	next.data, next.size = f.data, int64(len(f.data))
	next.state.Store(uint32(Pending))
	if err := in.keep(next); err != nil {
		next.withdraw(always(err))
	}
	if next.ex.final.Load() {
		next.Cancel() // it was promised when the others were cancelled
	}
	next.ex.loop.wake()
}
