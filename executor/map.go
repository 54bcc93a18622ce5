package executor

import (
	"context"
	"errors"
	"iter"
	"sync/atomic"
)

const (
	segmentCalls = 256       // futures made at once
	firstAhead   = 64        // how far Map reads ahead at first
	mostAhead    = 64 << 10  // and at most, when workers would starve otherwise
	aheadBytes   = 256 << 20 // and how many bytes of arguments it holds at most
)

// Map calls task once for each argument and yields the results in the order of
// the arguments. A call that fails yields its error and the iteration goes on.
//
// Map starts at once, whether or not the results are asked for: a goroutine of
// its own pulls the arguments, only as far ahead of the results taken as keeps
// the workers busy (at most 65,536 calls or 256 MiB) or as [Buffer] says, so they
// may be endless. Range over the results, or end ctx: otherwise that goroutine
// stays until the executor ends. Map groups small calls by itself.
//
// When ctx ends, or the task is unknown, the last thing yielded is that error.
// Stopping early withdraws the calls that were not sent yet; the arguments of the
// others may be read until those have ended. A panic of the arguments' iterator
// surfaces in the iteration, after the results of the
// arguments before it. The iterator may be used once.
//
// It costs no memory per call besides the result, and keeps no result that was
// yielded.
func (ex *Executor) Map(ctx context.Context, task string, args iter.Seq[[]byte], opts ...MapOption) iter.Seq2[[]byte, error] {
	return ex.mapping(ctx, task, sure(args), opts, false)
}

// MapFrom is [Executor.Map] for an input that may fail, such as the lines of a
// file: its error is yielded after the results of the arguments before it, and
// ends the iteration.
func (ex *Executor) MapFrom(ctx context.Context, task string, args iter.Seq2[[]byte, error], opts ...MapOption) iter.Seq2[[]byte, error] {
	return ex.mapping(ctx, task, args, opts, false)
}

// sure makes an input that does not fail one that might.
func sure(args iter.Seq[[]byte]) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		args(func(arg []byte) bool { return yield(arg, nil) })
	}
}

// errUsed is yielded when an iterator of Map is used a second time.
var errUsed = errors.New("executor: the results of Map can be gone through once")

// mapping starts a map and returns its results.
func (ex *Executor) mapping(ctx context.Context, task string, args iter.Seq2[[]byte, error], opts []MapOption, unordered bool) iter.Seq2[[]byte, error] {
	var r *reuser
	if unordered {
		r = newReuser(false)
	}
	m, err := ex.startMapping(ctx, task, args, opts, r)
	return func(yield func([]byte, error) bool) {
		switch {
		case err != nil:
			yield(nil, err)
		case m.used.Swap(true):
			yield(nil, errUsed)
		case unordered:
			m.deliverUnordered(ctx, func(_ int64, data []byte, err error) bool { return yield(data, err) })
		default:
			m.deliver(ctx, yield)
		}
	}
}

// startMapping starts to feed a map. With a reuser its results come as they are
// there.
func (ex *Executor) startMapping(ctx context.Context, task string, args iter.Seq2[[]byte, error], opts []MapOption, r *reuser) (*mapping, error) {
	set, err := mapSettingsOf(opts)
	t, lookupErr := ex.tasks.lookup(task)
	if err = errors.Join(err, lookupErr); err != nil {
		return nil, err
	}
	m := newMapping(ex, t, set)
	m.reuser = r
	go m.feed(ctx, args, m.first)
	return m, nil
}

// A segment is a run of futures that are made and reused together.
type segment struct {
	futures [segmentCalls]Future
	next    atomic.Pointer[segment]
}

// A mapping is one run of Map. Two goroutines share it: feed submits calls in
// a list of segments and counts them in fed; deliver takes their results from
// the list and counts them in delivered.
type mapping struct {
	ex       *Executor
	task     *task
	settings mapSettings
	reuser   *reuser     // nil when the results are yielded in order
	used     atomic.Bool // somebody goes through the results

	fed       atomic.Int64
	delivered atomic.Int64
	bytes     atomic.Int64 // arguments of the calls between the two
	starving  atomic.Bool  // deliver waits on more
	blocked   atomic.Bool  // feed waits on room,
	resume    atomic.Int64 // until so many are delivered

	spares  chan *segment // from deliver to feed, to be used again
	more    chan struct{} // rung when fed has grown
	room    chan struct{} // rung when delivered has grown
	stopped chan struct{} // closed by deliver when it leaves
	ended   chan struct{} // closed by feed when it leaves

	// Set by feed before ended is closed.
	failure  error // of submitting
	panicked any   // what the arguments' iterator panicked with

	// Only used by deliver.
	first  *segment
	at     int
	ending bool // futures are not reused any more
}

func newMapping(ex *Executor, t *task, s mapSettings) *mapping {
	return &mapping{
		ex: ex, task: t, settings: s, first: new(segment), spares: make(chan *segment, mostAhead/segmentCalls),
		more: make(chan struct{}, 1), room: make(chan struct{}, 1),
		stopped: make(chan struct{}), ended: make(chan struct{}),
	}
}

// feed submits a call for each argument, as far ahead as is useful.
func (m *mapping) feed(ctx context.Context, args iter.Seq2[[]byte, error], s *segment) {
	defer close(m.ended)
	m.ex.loop.hunger.join(m.room)
	defer m.ex.loop.hunger.leave(m.room)
	defer func() { m.panicked = recover() }()
	ahead, at := int64(firstAhead), 0
	if m.settings.buffer > 0 {
		ahead = int64(m.settings.buffer)
	}
	next := func() *Future {
		if m.reuser != nil {
			return m.reuser.get()
		}
		if at == segmentCalls {
			s, at = m.grow(s), 0
		}
		at++
		return &s.futures[at-1]
	}
	var chunk [][]byte // read and not fed
	for arg, err := range args {
		if err != nil {
			m.failure = err
			break
		}
		if m.settings.chunk > 1 {
			if chunk = append(chunk, arg); len(chunk) < m.settings.chunk {
				continue
			}
			for i, arg := range chunk {
				if !m.put(ctx, next, arg, &ahead, i == 0) {
					return
				}
			}
			clear(chunk)
			chunk = chunk[:0]
		} else if !m.put(ctx, next, arg, &ahead, true) {
			return
		}
	}
	for _, arg := range chunk {
		if !m.put(ctx, next, arg, &ahead, true) {
			return
		}
	}
}

// put submits a call, when there is room for it where that is asked for. It
// reports false when no more can be.
func (m *mapping) put(ctx context.Context, next func() *Future, arg []byte, ahead *int64, wait bool) bool {
	if wait && !m.waitRoom(ctx, ahead, int64(len(arg))) {
		return false
	}
	f := next()
	f.prepare(m.ex, m.task, arg, m.settings.settings)
	if m.reuser != nil {
		f.waiters.Store(m.reuser.waiter)
		m.reuser.number(f, m.fed.Load())
	}
	m.bytes.Add(f.size)
	if err := m.ex.tryAdmit(f); err != nil {
		m.failure = err
		return false
	}
	m.fed.Add(1)
	if m.starving.Load() {
		ring(m.more)
	}
	return true
}

// waitRoom blocks until another call may be fed. It reads further ahead while
// workers have nothing to do. It reports false when nobody wants results.
func (m *mapping) waitRoom(ctx context.Context, ahead *int64, size int64) bool {
	for {
		select {
		case <-m.stopped:
			return false
		default:
		}
		if m.hasRoom(ahead, size) {
			return true
		}
		// Once the limit is reached a good part of it must be delivered, so that
		// the two goroutines do not wake each other for each call.
		m.resume.Store(m.fed.Load() - *ahead*3/4)
		m.blocked.Store(true)
		if m.hasRoom(ahead, size) {
			m.blocked.Store(false)
			return true
		}
		select {
		case <-m.room:
		case <-m.stopped:
		case <-ctx.Done():
			m.failure = ctx.Err()
			return false
		case <-m.ex.gone():
			m.failure = ErrClosed
			return false
		}
		m.blocked.Store(false)
	}
}

// hasRoom reports whether another call may be fed. When workers have nothing to
// do, it moves the limit.
func (m *mapping) hasRoom(ahead *int64, size int64) bool {
	open := m.fed.Load() - m.delivered.Load()
	if open > 0 && m.bytes.Load()+size > aheadBytes {
		return false
	}
	if m.settings.buffer == 0 && open >= *ahead && *ahead < mostAhead && m.ex.loop.hunger.still() {
		*ahead *= 2
	}
	return open < *ahead
}

// grow returns the segment after s.
func (m *mapping) grow(s *segment) *segment {
	var next *segment
	select {
	case next = <-m.spares:
	default:
		next = new(segment)
	}
	s.next.Store(next)
	return next
}

// deliver yields the results in order.
func (m *mapping) deliver(ctx context.Context, yield func([]byte, error) bool) {
	defer m.withdraw()
	defer close(m.stopped)
	for {
		f, err := m.next(ctx)
		if err == nil && f == nil {
			return
		}
		if err == nil {
			err = f.wait(ctx)
		}
		if err != nil {
			yield(nil, err)
			return
		}
		data, err := f.outcome()
		m.recycle(f)
		if !yield(data, err) {
			return
		}
	}
}

// next returns the next future in order, nil after the last.
func (m *mapping) next(ctx context.Context) (*Future, error) {
	for m.delivered.Load() == m.fed.Load() {
		m.starving.Store(true)
		if m.delivered.Load() != m.fed.Load() {
			break // it was fed before it could see that
		}
		select {
		case <-m.more:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-m.ended:
			if m.delivered.Load() == m.fed.Load() {
				return nil, m.end()
			}
		}
		m.starving.Store(false)
	}
	return m.advance(), nil
}

// advance returns the future after the last one. It must have been fed.
func (m *mapping) advance() *Future {
	if m.at == segmentCalls {
		old := m.first
		m.first, m.at = old.next.Load(), 0
		if !m.ending {
			old.next.Store(nil)
			select {
			case m.spares <- old:
			default:
			}
		}
	}
	f := &m.first.futures[m.at]
	m.at++
	return f
}

// end reports how feeding ended: with a panic, which goes on here, an error, or
// well.
func (m *mapping) end() error {
	if m.panicked != nil {
		panic(m.panicked) //nolint:forbidigo // it is the caller's own panic, from the goroutine that ran its iterator
	}
	return m.failure
}

// recycle makes a delivered future ready for another call.
func (m *mapping) recycle(f *Future) {
	m.bytes.Add(-f.size)
	*f = Future{}
	m.delivered.Add(1)
	if m.blocked.Load() && m.delivered.Load() >= m.resume.Load() {
		ring(m.room)
	}
}

// withdraw cancels the calls that were fed and not sent. Cancelled futures stay
// in the loop's queue for a while, so none is reused from here on.
func (m *mapping) withdraw() {
	m.ending = true
	for ; m.delivered.Load() < m.fed.Load(); m.delivered.Add(1) {
		m.advance().Cancel()
	}
}

func ring(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
