package executor

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"
)

// Map calls task once for each argument and yields the results in the order of
// the arguments. A call that fails yields its error and the iteration goes on. But
// where the module cannot be started on any worker, so that no call can run, one more error
// ends it, which matches [ErrNoStart].
//
// Map starts at once, whether or not the results are asked for: a goroutine of
// its own pulls the arguments, only as far ahead of the results taken as keeps
// the workers busy (at most 65,536 calls, and 64 MiB of more arguments than there are slots) or as
// [Buffer] says, so they may be endless. While results of Config.HeldBytes wait to be taken it pulls none.
// Range over the results, or end ctx: otherwise that goroutine
// stays until the executor ends. Map groups small calls by itself.
//
// When ctx ends, the last thing yielded is that error; when the task is unknown, or an
// option is wrong, it is the only one.
// Stopping early, and the end of ctx, whether or not somebody ranges then, cancel
// the calls that were not sent yet; the arguments of the
// others may be read until those have ended. A panic of the arguments' iterator
// surfaces in the iteration, after the results of the
// arguments before it; that it ended its goroutine, as a test's FailNow does, is an
// error there. When the executor has ended, an iterator that goes on blocking for a second is
// left, with [ErrClosed]. It may be used once.
//
// It costs no memory per call besides the result, and keeps no result that was
// yielded.
func (ex *Executor) Map(ctx context.Context, task string, args iter.Seq[[]byte], opts ...MapOption) iter.Seq2[[]byte, error] {
	return ex.startMapping(ctx, task, sure(args), opts, newInOrder(false)).results
}

// MapFrom is [Executor.Map] for an input that may fail, such as the lines of a
// file: its error is yielded after the results of the arguments before it, and
// ends the iteration.
func (ex *Executor) MapFrom(ctx context.Context, task string, args iter.Seq2[[]byte, error], opts ...MapOption) iter.Seq2[[]byte, error] {
	return ex.startMapping(ctx, task, args, opts, newInOrder(false)).results
}

// MapUnordered is [Executor.Map] that yields the results as they come.
func (ex *Executor) MapUnordered(ctx context.Context, task string, args iter.Seq[[]byte], opts ...MapOption) iter.Seq2[[]byte, error] {
	return ex.startMapping(ctx, task, sure(args), opts, newAnyOrder(false)).results
}

// An Outcome is how a call has ended.
type Outcome struct {
	Result []byte
	Err    error
	Info   Info // where and how it ran; its Rank is -1 where it did not
}

// MapOutcomes is [Executor.Map] that tells more of each call: it yields the argument's number,
// from 0, with the outcome of its call. What ends the iteration comes with the number -1.
func (ex *Executor) MapOutcomes(ctx context.Context, task string, args iter.Seq[[]byte], opts ...MapOption) iter.Seq2[int64, Outcome] {
	return ex.startMapping(ctx, task, sure(args), opts, newInOrder(true)).outcomes
}

// MapIndexed is [Executor.MapOutcomes] that yields the outcomes as they come.
func (ex *Executor) MapIndexed(ctx context.Context, task string, args iter.Seq[[]byte], opts ...MapOption) iter.Seq2[int64, Outcome] {
	return ex.startMapping(ctx, task, sure(args), opts, newAnyOrder(true)).outcomes
}

// sure makes an input that does not fail one that might.
func sure(args iter.Seq[[]byte]) iter.Seq2[[]byte, error] {
	if args == nil {
		return nil
	}
	return func(yield func([]byte, error) bool) {
		args(func(arg []byte) bool { return yield(arg, nil) })
	}
}

// errUsed is yielded when an iterator of Map is used a second time.
var errUsed = errors.New("executor: the results of Map can be gone through once")

// A mapping is one run of Map, in one of its forms. Two goroutines share it: that of its feeder
// submits the calls, and the caller's takes their results.
type mapping struct {
	delivery
	refused error // why it was not started
	ordered bool  // the results come in the order of the arguments

	used    atomic.Bool // a goroutine goes through the results
	unwatch func() bool // makes the context's end have no effect any more
	quit    sync.Once   // leaves the tally, on behalf of the goroutine that takes the results

	// Only used by the goroutine that takes the results.
	failed  int  // calls whose errors were yielded
	skipped bool // there were cancelled calls
	left    bool
}

// startMapping starts a map whose results come as the line has them.
func (ex *Executor) startMapping(ctx context.Context, task string, args iter.Seq2[[]byte, error], opts []MapOption, l line) *mapping {
	m := &mapping{delivery: delivery{line: l}}
	_, m.ordered = l.(*inOrder)
	if m.refused = m.setUp(ctx, ex, task, args, opts, l, true); m.refused != nil {
		m.cancel(nil)
		return m
	}
	m.groupCalls(l)
	m.start(args, 1)
	m.unwatch = context.AfterFunc(m.ctx, m.drop)
	return m
}

// drop cancels the calls that have not begun, and ends the reading. The map's context has
// ended. It is safe for concurrent use.
func (m *mapping) drop() {
	m.quit.Do(m.settings.tally.leave)
	m.origin.Drop()
	m.end(whyEnded(m.ctx)) // from here on nothing is submitted
	m.cancelPending()
}

// results yields the results, without the numbers of their arguments.
func (m *mapping) results(yield func([]byte, error) bool) {
	m.deliver(nil, func(_ int64, data []byte, err error) bool { return yield(data, err) })
}

// outcomes yields the outcomes, with the numbers of their arguments.
func (m *mapping) outcomes(yield func(int64, Outcome) bool) {
	var o Outcome
	m.deliver(&o.Info, func(i int64, data []byte, err error) bool {
		o.Result, o.Err = data, err
		if i < 0 {
			o.Info = Info{Rank: -1}
		}
		return yield(i, o)
	})
}

// deliver yields the results, and last the error that ends them, with the number -1. It sets info,
// unless that is nil, to what there is to know about the call whose outcome it yields.
func (m *mapping) deliver(info *Info, yield func(i int64, data []byte, err error) bool) {
	switch {
	case m.refused != nil:
		yield(-1, nil, m.refused)
		return
	case m.used.Swap(true):
		yield(-1, nil, errUsed)
		return
	}
	defer m.leave()
	if err := m.deliverAll(info, yield); err != nil {
		m.leave() // before the caller does something else
		yield(-1, nil, err)
	}
}

// deliverAll yields the results. It returns the error that ends them, or nil when they came to their
// end or no more are wanted.
func (m *mapping) deliverAll(info *Info, yield func(i int64, data []byte, err error) bool) error {
	for {
		r, err := m.line.next(m.ctx, &m.feeder)
		switch {
		case err != nil, r.n == 0 && m.skipped:
			return whyEnded(m.ctx)
		case r.n == 0:
			return m.whyOver()
		}
		if more, err := m.deliverReady(&r, info, yield); !more {
			return err
		}
	}
}

// deliverReady yields the results of calls that have an outcome. It reports false, with the error if there is one,
// when they are the last.
func (m *mapping) deliverReady(r *ready, info *Info, yield func(i int64, data []byte, err error) bool) (more bool, err error) {
	for k, untold := 0, 0; k < r.n; k++ {
		data, err := m.outcome(r, k, info)
		if untold++; k == r.n-1 || m.ahead.hurry(untold) {
			m.took(r, untold)
			untold = 0
		}
		if err == ErrCancelled && m.ctx.Err() != nil { //nolint:errorlint // it is the very value
			if m.ordered {
				return false, whyEnded(m.ctx)
			}
			m.skipped = true // others may have a result
			continue
		}
		if !yield(r.first+int64(k), data, err) {
			return false, nil
		}
		if err != nil {
			if err := m.counted(err); err != nil {
				return false, err
			}
		}
	}
	return true, nil
}

// counted counts the failures that were yielded, and returns an error when they are as
// many as there may be, or when all further calls would fail likewise.
func (m *mapping) counted(err error) error {
	if err == ErrCancelled { //nolint:errorlint // it is the very value
		return nil
	}
	if e, ok := err.(*TaskError); ok && e.NoStart { //nolint:errorlint // as it was made
		return fmt.Errorf("%w: %s", ErrNoStart, e.Message)
	}
	if m.settings.failures == 0 {
		return nil
	}
	if m.failed++; m.failed < m.settings.failures {
		return nil
	}
	return fmt.Errorf("%w: %d", ErrFailures, m.failed)
}

// whyOver returns why the input did not come to its end, if so. If it panicked, the panic goes on here.
func (m *mapping) whyOver() error {
	if m.panicked != nil {
		panic(m.panicked) //nolint:forbidigo // it is the caller's own panic, from the goroutine that ran its iterator
	}
	if m.failure != nil {
		return m.failure
	}
	return whyEnded(m.ctx) // an input may have ended because of it
}

// leave ends the map, and drops the calls whose results were not taken.
func (m *mapping) leave() {
	if m.left {
		return
	}
	m.left = true
	m.unwatch()
	m.cancel(nil)
	m.drop()
}
