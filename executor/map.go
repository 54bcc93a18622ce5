package executor

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
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
// may be endless. While results of Config.ResultBytes wait to be taken it pulls none. Range over the results, or end ctx: otherwise that goroutine
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
	if args == nil {
		return nil
	}
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
			m.deliverUnordered(func(_ int64, data []byte, err error) bool { return yield(data, err) })
		default:
			m.deliver(yield)
		}
	}
}

// startMapping starts to feed a map. With a reuser its results come as they are
// there.
func (ex *Executor) startMapping(ctx context.Context, task string, args iter.Seq2[[]byte, error], opts []MapOption, r *reuser) (*mapping, error) {
	set, err := mapSettingsOf(opts)
	t, lookupErr := ex.tasks.lookup(task)
	if args == nil {
		err = errors.Join(err, errNoInput)
	}
	if err = errors.Join(err, lookupErr); err != nil {
		return nil, err
	}
	m := newMapping(ex, t, set)
	m.reuser = r
	m.ctx, m.cancel = context.WithCancelCause(ctx)
	m.settings.bind(m, 2)
	m.unwatch = context.AfterFunc(m.ctx, m.drop)
	go m.feed(args, m.first)
	go m.guard()
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
	settings mapSettings // whose options name the mapping as the one that the calls are of
	reuser   *reuser     // nil when the results are yielded in order
	used     atomic.Bool // somebody goes through the results

	ctx     context.Context //nolint:containedctx // the caller's, which a stopper may end, too; it bounds the map
	cancel  context.CancelCauseFunc
	unwatch func() bool // the context's end does not matter any more

	fed       atomic.Int64
	delivered atomic.Int64
	bytes     atomic.Int64 // arguments of the calls between the two
	starving  atomic.Bool  // deliver waits on more
	blocked   atomic.Bool  // feed waits on room,
	resume    atomic.Int64 // until so many are delivered
	dropped   atomic.Bool  // no further call is wanted
	quit      sync.Once    // the part in the bond of who takes the results

	spares  chan *segment // from deliver to feed, to be used again
	more    chan struct{} // rung when fed has grown
	room    chan struct{} // rung when delivered has grown
	stopped chan struct{} // closed by deliver when it leaves
	ended   chan struct{} // closed by feed when it leaves

	abandoned chan struct{} // closed when the executor has ended and the input blocks

	// Set by feed before ended is closed.
	failure  error // of the input or of submitting
	panicked any   // what the arguments' iterator panicked with

	// Only used by deliver.
	first  *segment
	at     int
	failed int // calls whose errors were yielded
	left   bool
}

func newMapping(ex *Executor, t *task, s mapSettings) *mapping {
	m := &mapping{
		ex: ex, task: t, settings: s, first: new(segment), spares: make(chan *segment, mostAhead/segmentCalls),
		more: make(chan struct{}, 1), room: make(chan struct{}, 1),
		stopped: make(chan struct{}), ended: make(chan struct{}), abandoned: make(chan struct{}),
	}
	var o callOptions
	if s.options != nil {
		o = *s.options
	}
	o.of, o.held = m, &holding{room: m.room}
	m.settings.options = &o
	return m
}

// owns reports whether f is a call of this map.
func (m *mapping) owns(f *Future) bool { return f.options != nil && f.options.of == m }

// drop ends the calls that have not begun, and all that are fed from here on. The map's
// context has ended. It is safe for concurrent use.
func (m *mapping) drop() {
	m.quit.Do(m.settings.bond().leave)
	m.dropped.Store(true) // before the request: what is fed after it was seen to finds it
	m.ex.in.request(func() { m.ex.loop.cancel(m.owns) })
}

// errInputExited is the error of an input whose goroutine was ended.
var errInputExited = errors.New("executor: the input ended its goroutine, by runtime.Goexit or a test's FailNow")

// feed submits a call for each argument, as far ahead as is useful.
func (m *mapping) feed(args iter.Seq2[[]byte, error], s *segment) {
	defer m.settings.bond().leave()
	defer close(m.ended)
	m.ex.loop.demand.notify(m.room)
	defer m.ex.loop.demand.ignore(m.room)
	m.failure = errInputExited
	defer func() { m.panicked = recover() }()
	m.failure = m.feedAll(args, m.futures(s))
}

// guard gives up an input that blocks when the executor has ended.
func (m *mapping) guard() {
	if m.ex.outlived(m.ended, m.ctx.Done()) {
		close(m.abandoned)
	}
}

// futures returns a source of zero futures, the first ones in s.
func (m *mapping) futures(s *segment) func() *Future {
	if m.reuser != nil {
		return m.reuser.get
	}
	at := 0
	return func() *Future {
		if at == segmentCalls {
			s, at = m.grow(s), 0
		}
		at++
		return &s.futures[at-1]
	}
}

// feedAll goes through the arguments, and returns why it did not come to their end.
// It waits for room before it asks for the next one.
func (m *mapping) feedAll(args iter.Seq2[[]byte, error], next func() *Future) error {
	size := max(m.settings.chunk, 1)
	size = min(size, mostAhead)
	ahead := int64(max(firstAhead, size))
	if n := m.settings.buffer; n > 0 {
		ahead, size = int64(n), min(size, n)
	}
	chunk := make([][]byte, 0, size) // read and not fed
	put := func() error {
		for _, arg := range chunk {
			if err := m.put(next(), arg, &ahead); err != nil {
				return err
			}
		}
		clear(chunk)
		chunk = chunk[:0]
		return nil
	}
	if err := m.waitRoom(&ahead, 0, 0); err != nil {
		return err
	}
	torn, failure := true, error(nil)
	defer func() {
		if torn && failure == nil { // by the input, which panicked or ended its goroutine: what it gave before counts
			put() //nolint:errcheck // what the input did is told
		}
	}()
	for arg, err := range args {
		if err != nil {
			failure = join(put(), err)
			break
		}
		chunk = append(chunk, arg)
		if len(chunk) == size {
			failure = put()
		}
		if failure == nil {
			failure = m.waitRoom(&ahead, len(chunk), 0)
		}
		if failure != nil {
			break
		}
	}
	torn = false
	if failure != nil {
		return failure
	}
	return put()
}

// put submits a call, when there is room for its argument. It returns why no more
// can be.
func (m *mapping) put(f *Future, arg []byte, ahead *int64) error {
	if size := int64(len(arg)); m.bytes.Load()+size > aheadBytes {
		if err := m.waitRoom(ahead, 0, size); err != nil {
			return err
		}
	}
	f.prepare(m.ex, m.task, arg, m.settings.settings)
	if m.reuser != nil {
		f.waiters.Store(m.reuser.waiter)
		m.reuser.number(f, m.fed.Load())
	}
	m.bytes.Add(f.size)
	m.settings.bond().enter()
	if err := m.ex.tryAdmit(f); err != nil {
		m.settings.bond().leave()
		return err
	}
	m.fed.Add(1)
	if m.starving.Load() {
		ring(m.more)
	}
	if m.dropped.Load() {
		m.drop()
		return whyEnded(m.ctx)
	}
	return nil
}

// waitRoom blocks until a call with an argument of so many bytes may be fed, besides
// those that were read already. It reads further ahead while workers have nothing to
// do. It returns why no more is wanted.
func (m *mapping) waitRoom(ahead *int64, read int, size int64) error {
	for {
		switch {
		case m.ctx.Err() != nil:
			return whyEnded(m.ctx)
		case m.hasRoom(ahead, read, size):
			return nil
		}
		// Once the limit is reached a good part of it must be delivered, so that
		// the two goroutines do not wake each other for each call; but not more than
		// was fed, however much was read besides.
		fed := m.fed.Load()
		m.resume.Store(min(fed, fed+int64(read)-*ahead*3/4))
		m.blocked.Store(true)
		if m.hasRoom(ahead, read, size) {
			m.blocked.Store(false)
			return nil
		}
		select {
		case <-m.room:
		case <-m.stopped:
		case <-m.ctx.Done():
		case <-m.ex.gone():
			return ErrClosed
		case <-m.ex.done:
			return ErrClosed
		}
		m.blocked.Store(false)
	}
}

// hasRoom reports whether another call may be fed. When workers have nothing to
// do, it moves the limit.
func (m *mapping) hasRoom(ahead *int64, read int, size int64) bool {
	open := m.fed.Load() - m.delivered.Load()
	if open > 0 && m.bytes.Load()+size > aheadBytes {
		return false
	}
	if !m.settings.options.held.fits(open, m.ex.loop.room.most, m.ex.loop.sched.width.Load(), m.settings.buffer > 0) {
		m.settings.options.held.waits.Store(true) // the caller looks again after it
		return false
	}
	open += int64(read)
	if m.settings.buffer == 0 && open >= *ahead && *ahead < mostAhead && m.ex.loop.demand.take() {
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
func (m *mapping) deliver(yield func([]byte, error) bool) {
	defer m.leave()
	for {
		f, err := m.next()
		switch {
		case err != nil:
		case f == nil:
			return
		case f.wait(m.ctx) != nil:
			err = whyEnded(m.ctx)
		case f.err == ErrCancelled: //nolint:errorlint // it is the very value
			err = whyEnded(m.ctx) // by which it was cancelled
		}
		if err != nil {
			m.leave() // before the caller does something else
			yield(nil, err)
			return
		}
		data, err := f.outcome()
		m.recycle(f, len(data))
		if !yield(data, err) {
			return
		}
		if err = m.counted(err); err != nil {
			m.leave()
			yield(nil, err)
			return
		}
	}
}

// counted counts the failures that were yielded, and returns an error when they are as
// many as there may be.
func (m *mapping) counted(err error) error {
	if err == nil || err == ErrCancelled || m.settings.failures == 0 { //nolint:errorlint // it is the very value
		return nil
	}
	if m.failed++; m.failed < m.settings.failures {
		return nil
	}
	return fmt.Errorf("%w: %d", ErrFailures, m.failed)
}

// next returns the next future in order, nil after the last.
func (m *mapping) next() (*Future, error) {
	for m.delivered.Load() == m.fed.Load() {
		m.starving.Store(true)
		if m.delivered.Load() != m.fed.Load() {
			break // it was fed before it could see that
		}
		select {
		case <-m.more:
		case <-m.ctx.Done():
			return nil, whyEnded(m.ctx)
		case <-m.ended:
			if m.delivered.Load() == m.fed.Load() {
				return nil, m.end()
			}
		case <-m.abandoned:
			if m.delivered.Load() == m.fed.Load() {
				return nil, ErrClosed
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
		old.next.Store(nil)
		select {
		case m.spares <- old:
		default:
		}
	}
	f := &m.first.futures[m.at]
	m.at++
	return f
}

// end reports how feeding ended: with a panic, which goes on here, an error, the end of
// the context, or well.
func (m *mapping) end() error {
	if m.panicked != nil {
		panic(m.panicked) //nolint:forbidigo // it is the caller's own panic, from the goroutine that ran its iterator
	}
	if m.failure != nil {
		return m.failure
	}
	return whyEnded(m.ctx) // an input may have ended because of it
}

// recycle makes a future, whose result of n bytes was taken, ready for another call.
func (m *mapping) recycle(f *Future, n int) {
	m.settings.options.held.letGo(n)
	m.bytes.Add(-f.size)
	*f = Future{}
	m.delivered.Add(1)
	if m.blocked.Load() && m.delivered.Load() >= m.resume.Load() {
		ring(m.room)
	}
}

// leave drops what was fed and not delivered, when deliver ends in whatever way.
func (m *mapping) leave() {
	if m.left {
		return
	}
	m.left = true
	m.unwatch()
	m.cancel(nil)
	close(m.stopped)
	m.quit.Do(m.settings.bond().leave)
	select {
	case <-m.ended:
		if m.delivered.Load() == m.fed.Load() { // nothing is left
			return
		}
	default:
	}
	m.drop()
}

// halt implements stoppable.
func (m *mapping) halt() { m.cancel(ErrStopped) }

// kill implements stoppable.
func (m *mapping) kill(reason string) {
	m.drop()
	m.ex.in.request(func() { m.ex.loop.killWhere(m.owns, reason) })
}

func ring(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
