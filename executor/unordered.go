package executor

import (
	"context"
	"iter"
	"sync"
)

// MapUnordered is [Executor.Map] that yields the results as they come.
func (ex *Executor) MapUnordered(ctx context.Context, task string, args iter.Seq[[]byte], opts ...MapOption) iter.Seq2[[]byte, error] {
	return ex.mapping(ctx, task, sure(args), opts, true)
}

// An Outcome is how a call has ended.
type Outcome struct {
	Result []byte
	Err    error
}

// MapIndexed is [Executor.MapUnordered] that tells which argument a result belongs
// to: it yields the argument's number, from 0, with the outcome of its call. What
// ends the iteration comes with the number -1.
func (ex *Executor) MapIndexed(ctx context.Context, task string, args iter.Seq[[]byte], opts ...MapOption) iter.Seq2[int64, Outcome] {
	m, err := ex.startMapping(ctx, task, sure(args), opts, newReuser(true))
	return func(yield func(int64, Outcome) bool) {
		switch {
		case err != nil:
			yield(-1, Outcome{Err: err})
		case m.used.Swap(true):
			yield(-1, Outcome{Err: errUsed})
		default:
			m.deliverUnordered(func(i int64, data []byte, err error) bool { return yield(i, Outcome{data, err}) })
		}
	}
}

// A reuser hands delivered futures back to who feeds. All its futures have the
// same waiter, which takes note of them when they are resolved.
type reuser struct {
	completed *completions
	waiter    *waiter
	free      chan *Future
	fresh     []Future // only used by feed

	mu      sync.Mutex
	numbers map[*Future]int64 // of the arguments under way; nil when nobody asks
}

func newReuser(numbered bool) *reuser {
	a := newCompletions()
	r := &reuser{completed: a, waiter: &waiter{sink: a}, free: make(chan *Future, mostAhead)}
	if numbered {
		r.numbers = make(map[*Future]int64)
	}
	return r
}

// number notes that f is the call of argument i.
func (r *reuser) number(f *Future, i int64) {
	if r.numbers == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.numbers[f] = i
}

// numberOf returns the number of f's argument, and forgets it.
func (r *reuser) numberOf(f *Future) int64 {
	if r.numbers == nil {
		return 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	i := r.numbers[f]
	delete(r.numbers, f)
	return i
}

// get returns a zero future. Only feed calls it.
func (r *reuser) get() *Future {
	select {
	case f := <-r.free:
		return f
	default:
	}
	if len(r.fresh) == 0 {
		r.fresh = make([]Future, segmentCalls)
	}
	f := &r.fresh[0]
	r.fresh = r.fresh[1:]
	return f
}

// put takes a zero future back.
func (r *reuser) put(f *Future) {
	select {
	case r.free <- f:
	default:
	}
}

// deliverUnordered yields the results as they come.
func (m *mapping) deliverUnordered(yield func(i int64, data []byte, err error) bool) {
	defer m.leave()
	r, ended, abandoned := m.reuser, m.ended, m.abandoned
	var batch []*Future
	for {
		expired := whyEnded(m.ctx) // looked at first, so that nothing is left that came before
		batch = r.completed.take(batch)
		for _, f := range batch {
			i := r.numberOf(f)
			data, err := f.outcome()
			m.recycle(f, len(data))
			r.put(f)
			if err == ErrCancelled && m.ctx.Err() != nil { //nolint:errorlint // it is the very value
				continue // by the context's end
			}
			if !yield(i, data, err) {
				return
			}
			if err = m.counted(err); err != nil {
				m.leave()
				yield(-1, nil, err)
				return
			}
		}
		if expired != nil {
			m.leave() // before the caller does something else
			yield(-1, nil, expired)
			return
		}
		if len(batch) > 0 {
			continue
		}
		if ended == nil && m.delivered.Load() == m.fed.Load() {
			if err := m.end(); err != nil {
				yield(-1, nil, err)
			}
			return
		}
		if abandoned == nil && m.delivered.Load() == m.fed.Load() {
			m.leave()
			yield(-1, nil, ErrClosed)
			return
		}
		select {
		case <-r.completed.bell:
		case <-ended:
			ended = nil
		case <-abandoned:
			abandoned = nil
		case <-m.ctx.Done():
		}
	}
}
