package executor

import (
	"context"
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
// The arguments are pulled by a goroutine of Map's, only as far ahead as keeps
// the workers busy (at most 65,536 calls or 256 MiB), so they may be endless. Map
// groups small calls by itself. Results must be consumed for it to go on.
//
// When ctx ends, or the task is unknown, the last thing yielded is that error.
// Stopping early withdraws the calls that were not sent yet. A panic of the
// arguments' iterator surfaces in the iteration, after the results of the
// arguments before it. The iterator may be used once.
//
// It costs no memory per call besides the result.
func (ex *Executor) Map(ctx context.Context, task string, args iter.Seq[[]byte], opts ...CallOption) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		t, err := ex.tasks.lookup(task)
		if err != nil {
			yield(nil, err)
			return
		}
		set, err := settingsOf(opts)
		if err != nil {
			yield(nil, err)
			return
		}
		m := newMapping(ex, t, set)
		go m.feed(args, m.first)
		m.deliver(ctx, yield)
	}
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
	settings settings

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

func newMapping(ex *Executor, t *task, s settings) *mapping {
	return &mapping{
		ex: ex, task: t, settings: s, first: new(segment), spares: make(chan *segment, mostAhead/segmentCalls),
		more: make(chan struct{}, 1), room: make(chan struct{}, 1),
		stopped: make(chan struct{}), ended: make(chan struct{}),
	}
}

// feed submits a call for each argument, as far ahead as is useful.
func (m *mapping) feed(args iter.Seq[[]byte], s *segment) {
	defer close(m.ended)
	m.ex.loop.hunger.join(m.room)
	defer m.ex.loop.hunger.leave(m.room)
	defer func() { m.panicked = recover() }()
	ahead, at := int64(firstAhead), 0
	for arg := range args {
		if !m.waitRoom(&ahead, int64(len(arg))) {
			return
		}
		if at == segmentCalls {
			s, at = m.grow(s), 0
		}
		f := &s.futures[at]
		at++
		f.prepare(m.ex, m.task, arg, m.settings)
		m.bytes.Add(f.size)
		if m.failure = m.ex.tryAdmit(f); m.failure != nil {
			return
		}
		m.fed.Add(1)
		if m.starving.Load() {
			ring(m.more)
		}
	}
}

// waitRoom blocks until another call may be fed. It reads further ahead while
// workers have nothing to do. It reports false when nobody wants results.
func (m *mapping) waitRoom(ahead *int64, size int64) bool {
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
	if open >= *ahead && *ahead < mostAhead && m.ex.loop.hunger.still() {
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
