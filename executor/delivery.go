package executor

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/wasmpool/wasmpool/internal/dispatcher"
)

// A delivery is a feeder whose results are taken one by one: what maps and streams have in
// common. Its own methods are for one goroutine at a time, which "takes the results". The calls whose
// results were taken are used again, so that a call costs no memory besides its result.
type delivery struct {
	feeder
	line line
}

// A line passes the calls of a delivery from the feeder's goroutine, for which it is a source,
// to the goroutine that takes the results, which calls the other methods.
type line interface {
	source

	// next waits for the next call that has an outcome, and returns it: nil after the
	// last, or with ctx's error when that ends first. Until reuse it returns the same again.
	next(ctx context.Context, f *feeder) (*dispatcher.Call, error)

	// reuse takes back the call that next has returned, when it is a zero one again. It
	// returns the number of the call's argument, from 0, if the line knows it.
	reuse() int64
}

// next waits for the next call that has an outcome. See [line].
func (d *delivery) next(ctx context.Context) (*dispatcher.Call, error) {
	return d.line.next(ctx, &d.feeder)
}

// outcome takes the outcome of the call that next has returned, with the number of its argument. It
// sets info, unless that is nil.
func (d *delivery) outcome(c *dispatcher.Call, info *Info) (i int64, data []byte, err error) {
	data, err = c.Outcome()
	if info != nil {
		c.Describe((*dispatcher.Info)(info))
	}
	size, found := c.Size(), c.Found()
	*c = dispatcher.Call{}
	i = d.line.reuse()
	if found {
		d.ahead.tookFound(data)
	} else {
		d.ahead.took(size, data, err)
	}
	return i, data, err
}

const (
	firstLot = 4   // calls that are made at once at first
	mostLot  = 256 // and at most
)

// A segment is a run of calls that are made and reused together.
type segment struct {
	calls []dispatcher.Call
	next  atomic.Pointer[segment]
}

// inOrder is the line whose results come in the order of the arguments: a list of segments.
type inOrder struct {
	starving atomic.Bool   // no call is open, and the goroutine that takes the results waits for one
	more     chan struct{} // woken when one is submitted

	mu     sync.Mutex
	spares []*segment // whose calls may be used again

	// Only used by the feeder's goroutine.
	last *segment
	used int // calls of last

	_ [64]byte // the two goroutines do not write to the same cache line

	// Only used by the goroutine that takes the results.
	first *segment
	at    int   // in first
	taken int64 // results
	fed   int64 // calls that were submitted when it was last asked
}

func newInOrder() *inOrder {
	s := &segment{calls: make([]dispatcher.Call, firstLot)}
	return &inOrder{more: make(chan struct{}, 1), first: s, last: s}
}

// call implements source.
func (o *inOrder) call() *dispatcher.Call {
	if o.used == len(o.last.calls) {
		o.grow()
	}
	o.used++
	return &o.last.calls[o.used-1]
}

// grow adds a segment.
func (o *inOrder) grow() {
	s := o.spare()
	if s == nil {
		s = &segment{calls: make([]dispatcher.Call, min(2*len(o.last.calls), mostLot))}
	}
	o.last.next.Store(s)
	o.last, o.used = s, 0
}

// spare returns a segment that may be used again, or nil.
func (o *inOrder) spare() *segment {
	o.mu.Lock()
	defer o.mu.Unlock()
	last := len(o.spares) - 1
	if last < 0 {
		return nil
	}
	s := o.spares[last]
	o.spares = o.spares[:last]
	return s
}

// submitted implements source.
func (o *inOrder) submitted(*dispatcher.Call) {
	if o.starving.Load() {
		dispatcher.Wake(o.more)
	}
}

// next implements line.
func (o *inOrder) next(ctx context.Context, f *feeder) (*dispatcher.Call, error) {
	if o.taken == o.fed {
		if over, err := o.awaitCall(ctx, f); over || err != nil {
			return nil, err
		}
		o.fed = f.ahead.fed.Load()
	}
	if o.at == len(o.first.calls) {
		o.shrink()
	}
	c := &o.first.calls[o.at]
	if err := c.Wait(ctx); err != nil {
		return nil, err
	}
	return c, nil
}

// awaitCall waits until a call is open. It returns true when none comes any more, and ctx's error
// when that ends first.
func (o *inOrder) awaitCall(ctx context.Context, f *feeder) (over bool, err error) {
	if !f.ahead.idle() {
		return false, nil
	}
	o.starving.Store(true)
	defer o.starving.Store(false)
	for f.ahead.idle() {
		select {
		case <-f.ended:
			return f.ahead.idle(), nil
		default:
		}
		select {
		case <-o.more:
		case <-f.ended:
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
	return false, nil
}

// shrink takes out the first segment, whose results were taken.
func (o *inOrder) shrink() {
	old := o.first
	o.first, o.at = old.next.Load(), 0
	old.next.Store(nil)
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(old.calls) == mostLot && len(o.spares) < mostAhead/mostLot {
		o.spares = append(o.spares, old)
	}
}

// reuse implements line.
func (o *inOrder) reuse() int64 {
	o.at++
	o.taken++
	return o.taken - 1
}

// anyOrder is the line whose results come as soon as they are there. All its calls have the same
// waiter, which adds them to completed when they are resolved.
type anyOrder struct {
	completed *completions
	waiter    *dispatcher.Waiter

	// Only used by the feeder's goroutine.
	fresh []dispatcher.Call  // never used
	lot   int                // calls that were made last
	free  []*dispatcher.Call // zero ones that were used before
	given int64              // calls that were given out; counted for their numbers

	_ [64]byte // the two goroutines do not write to the same cache line

	// Only used by the goroutine that takes the results.
	batch []*dispatcher.Call // whose outcomes have come
	at    int                // the next one of batch
	back  int                // how many of batch are among the spares

	mu      sync.Mutex
	spares  []*dispatcher.Call         // zero ones, to become free
	numbers map[*dispatcher.Call]int64 // of the arguments of calls under way; nil when nobody asks
}

// spareLot is how many calls become spares at once.
const spareLot = 64

// newAnyOrder returns a line that knows the numbers of the arguments, or not.
func newAnyOrder(numbered bool) *anyOrder {
	a := newCompletions()
	o := &anyOrder{completed: a, waiter: dispatcher.NewSink(a)}
	if numbered {
		o.numbers = make(map[*dispatcher.Call]int64)
	}
	return o
}

// call implements source.
func (o *anyOrder) call() *dispatcher.Call {
	c := o.unused()
	c.Sink(o.waiter)
	if o.numbers != nil {
		o.mu.Lock()
		o.numbers[c] = o.given
		o.mu.Unlock()
		o.given++
	}
	return c
}

// unused returns a zero call.
func (o *anyOrder) unused() *dispatcher.Call {
	if len(o.free) == 0 {
		o.mu.Lock()
		o.free, o.spares = o.spares, o.free
		o.mu.Unlock()
	}
	if last := len(o.free) - 1; last >= 0 {
		c := o.free[last]
		o.free = o.free[:last]
		return c
	}
	if len(o.fresh) == 0 {
		o.lot = min(max(2*o.lot, firstLot), mostLot)
		o.fresh = make([]dispatcher.Call, o.lot)
	}
	c := &o.fresh[0]
	o.fresh = o.fresh[1:]
	return c
}

// submitted implements source.
func (o *anyOrder) submitted(*dispatcher.Call) {}

// next implements line.
func (o *anyOrder) next(ctx context.Context, f *feeder) (*dispatcher.Call, error) {
	for o.at == len(o.batch) {
		// What ends the results is looked at first, so that nothing is left that came before it.
		ended, expired := f.ended, ctx.Err()
		select {
		case <-ended:
			ended = nil
		default:
		}
		over := ended == nil && f.ahead.idle()
		o.returnSpares()
		o.batch, o.at, o.back = o.completed.take(o.batch), 0, 0
		switch {
		case len(o.batch) > 0:
			return o.batch[0], nil
		case over:
			return nil, nil
		case expired != nil:
			return nil, expired
		}
		select {
		case <-o.completed.more:
		case <-ended:
		case <-ctx.Done():
		}
	}
	return o.batch[o.at], nil
}

// reuse implements line.
func (o *anyOrder) reuse() int64 {
	i := o.numberOf(o.batch[o.at])
	o.at++
	if o.at-o.back == spareLot {
		o.returnSpares()
	}
	return i
}

// numberOf returns the number of c's argument, and forgets it.
func (o *anyOrder) numberOf(c *dispatcher.Call) int64 {
	if o.numbers == nil {
		return 0
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	i := o.numbers[c]
	delete(o.numbers, c)
	return i
}

// returnSpares adds the calls whose results were taken to the spares. Those that are more than a
// map reads ahead are dropped: a stream may have had very many at once.
func (o *anyOrder) returnSpares() {
	if o.back == o.at {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	taken := o.batch[o.back:o.at]
	o.spares = append(o.spares, taken[:min(len(taken), mostAhead-len(o.spares))]...)
	clear(taken)
	o.back = o.at
}
