package executor

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync/atomic"

	"github.com/wasmpool/wasmpool/internal/dispatcher"
)

// When says how long Wait waits.
type When int

// The things that Wait can wait for.
const (
	AllDone    When = iota // every future
	FirstDone              // one future
	FirstError             // one that failed or was cancelled, or all
)

// AnyFuture is a [*Future] or a [*TypedFuture].
type AnyFuture interface {
	comparable
	future() *Future
}

func (f *Future) future() *Future { return f }

// FutureOf is an [AnyFuture] whose result is a T: bytes for a [*Future].
type FutureOf[T any] interface {
	AnyFuture
	Result(ctx context.Context) (T, error)
}

// Wait blocks until as many of the futures are resolved as when says, and
// returns those that are and those that are not, each in the order given. When
// ctx ends first it returns them with ctx's error. A future that is given twice
// counts once.
func Wait[F AnyFuture](ctx context.Context, futures []F, when When) (done, pending []F, err error) {
	if when < AllDone || when > FirstError {
		return nil, nil, fmt.Errorf("executor: Wait for what there is not: When(%d)", when)
	}
	for f, e := range AsCompleted(ctx, futures) {
		if e != nil {
			err = e
			break
		}
		if when == FirstDone || when == FirstError && f.future().call.Err() != nil {
			break
		}
	}
	seen := make(map[F]bool, len(futures))
	var none F
	for _, given := range futures {
		if given == none {
			continue // which is the error
		}
		switch {
		case seen[given]:
		case given.future().call.Resolved():
			done = append(done, given)
		default:
			pending = append(pending, given)
		}
		seen[given] = true
	}
	return done, pending, err
}

// AsCompleted yields the futures as they are resolved, those that already are at
// first, each once however often it is given. When ctx ends before the last, it
// yields nil with ctx's error and stops. A nil among them is an error. Stopping early is fine. It keeps no
// future that it has yielded, so it can be ranged over once: after that it
// yields an error.
func AsCompleted[F AnyFuture](ctx context.Context, futures []F) iter.Seq2[F, error] {
	var used atomic.Bool
	return func(yield func(F, error) bool) {
		var none F
		if used.Swap(true) {
			yield(none, errUsedFutures)
			return
		}
		completed := newCompletions()
		open := make(map[*dispatcher.Call]F, len(futures))
		var more map[*dispatcher.Call][]F // typed futures that share the call of one in open, by a key
		defer func() {
			for c := range open {
				c.Untell(completed)
			}
		}()
		for i, given := range futures {
			if given == none {
				yield(none, fmt.Errorf("executor: future %d is nil", i))
				return
			}
			c := &given.future().call
			switch first, known := open[c]; {
			case !known:
				open[c] = given
				c.Tell(completed)
			case first != given && !slices.Contains(more[c], given):
				if more == nil {
					more = map[*dispatcher.Call][]F{}
				}
				more[c] = append(more[c], given)
			}
		}
		futures = nil
		var list []*dispatcher.Call
		for len(open) > 0 {
			if list = completed.take(list); len(list) == 0 {
				select {
				case <-completed.more:
				case <-ctx.Done():
					yield(none, ctx.Err())
					return
				}
				continue
			}
			for i, c := range list {
				given := open[c]
				delete(open, c)
				list[i] = nil
				if !yield(given, nil) {
					return
				}
				for _, given := range more[c] {
					if !yield(given, nil) {
						return
					}
				}
				delete(more, c)
			}
		}
	}
}

// errUsedFutures is yielded when an iterator of AsCompleted is used a second time.
var errUsedFutures = errors.New("executor: the futures of AsCompleted can be gone through once")

// Collect waits for all the futures and returns their results in the order
// given. At the first that fails, in time, it cancels those that have not begun and
// returns the error; so it does with ctx's when that ends first.
func Collect[F FutureOf[T], T any](ctx context.Context, futures []F) ([]T, error) {
	var failure error
	for f, err := range AsCompleted(ctx, futures) {
		if err == nil {
			err = f.future().call.Err()
		}
		if err != nil {
			failure = err
			break
		}
	}
	if failure != nil {
		var none F
		for _, f := range futures {
			if f != none {
				f.future().Cancel()
			}
		}
		return nil, failure
	}
	results := make([]T, len(futures))
	for i, f := range futures {
		var err error
		if results[i], err = f.Result(ctx); err != nil { // it cannot be decoded
			return nil, err
		}
	}
	return results, nil
}

// Then returns the future of a call of task whose argument is f's result, not a copy of it: who
// has the result from f leaves it as it is until that call is resolved. It counts as
// submitted at once, so that a Shutdown waits for it, and waits until f
// succeeds, however much waits beside it; when f fails, it ends with f's
// error. It may be cancelled on its own before that. A [Key] is an error: the argument is not known yet.
func (f *Future) Then(task string, opts ...CallOption) *Future {
	ex := executorOf(&f.call)
	t, err := ex.tasks.Lookup(task)
	if err != nil {
		return failed(ex, err)
	}
	set, err := settingsOf(opts)
	if err != nil {
		return failed(ex, err)
	}
	if set.keyed {
		return failed(ex, errors.New("executor: a key is not for a call of Then, whose argument is not known yet"))
	}
	if err := set.within(ex.pool, t); err != nil {
		return failed(ex, err)
	}
	if err := ex.kept.sequel(t, &set.settings); err != nil {
		return failed(ex, err)
	}
	if err := ex.enter(); err != nil {
		return failed(ex, err)
	}
	next := &Future{}
	set.prepare(&next.call, ex, t, nil)
	if err := ex.dispatcher.AddAfter(&f.call, &next.call); err != nil {
		ex.leave()
		return failed(ex, err)
	}
	return next
}
