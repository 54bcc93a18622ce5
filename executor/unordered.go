package executor

import (
	"context"
	"iter"
)

// MapUnordered is [Executor.Map] that yields the results as they come.
func (ex *Executor) MapUnordered(ctx context.Context, task string, args iter.Seq[[]byte], opts ...MapOption) iter.Seq2[[]byte, error] {
	return ex.mapping(ctx, task, sure(args), opts, true)
}

// A reuser hands delivered futures back to who feeds. All its futures have the
// same waiter, which takes note of them when they are resolved.
type reuser struct {
	arrived *arrivals
	waiter  *waiter
	free    chan *Future
	fresh   []Future // only used by feed
}

func newReuser() *reuser {
	a := newArrivals()
	return &reuser{arrived: a, waiter: &waiter{sink: a}, free: make(chan *Future, mostAhead)}
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
func (m *mapping) deliverUnordered(ctx context.Context, yield func([]byte, error) bool) {
	defer m.withdrawUnordered()
	defer close(m.stopped)
	r, ended := m.reuser, m.ended
	var batch []*Future
	for {
		batch = r.arrived.take(batch)
		for _, f := range batch {
			data, err := f.outcome()
			m.recycle(f)
			r.put(f)
			if !yield(data, err) {
				return
			}
		}
		if len(batch) > 0 {
			continue
		}
		if ended == nil && m.delivered.Load() == m.fed.Load() {
			if err := m.end(); err != nil {
				yield(nil, err)
			}
			return
		}
		select {
		case <-r.arrived.bell:
		case <-ended:
			ended = nil
		case <-ctx.Done():
			yield(nil, ctx.Err())
			return
		}
	}
}

// withdrawUnordered cancels the calls that were fed and not sent.
func (m *mapping) withdrawUnordered() {
	mine := m.reuser.waiter
	m.ex.in.request(func() {
		m.ex.loop.dropPending(func(f *Future) bool { return f.waiters.Load() == mine }, ErrCancelled)
	})
}
