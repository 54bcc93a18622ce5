package executor

import (
	"context"
	"sync"

	"github.com/wasmpool/wasmpool/internal/dispatcher"
)

// anyOrder is the line whose results come as soon as they are there.
type anyOrder struct {
	arrivals arrivals
	waiter   *dispatcher.Waiter // of all its calls
	blocks   blocks

	// Only used by the feeder's goroutine.
	fresh []dispatcher.Call  // never used
	lot   int                // calls that were made last
	free  []*dispatcher.Call // zero ones that were used before
	given int64              // calls that were submitted

	_ [64]byte // the two goroutines do not write to the same cache line

	// Only used by the goroutine that takes the results.
	batch []ready            // that have come
	at    int                // the next one of batch
	back  []*dispatcher.Call // zero ones, to become spares

	mu      sync.Mutex
	spares  []*dispatcher.Call         // zero ones, to become free
	numbers map[*dispatcher.Call]int64 // of the arguments of calls under way; nil when nobody asks
}

// spareLot is how many calls become spares at once.
const spareLot = 64

// newAnyOrder returns a line that knows the numbers of the arguments, and where the calls of blocks ran, or not.
func newAnyOrder(informed bool) *anyOrder {
	o := &anyOrder{arrivals: arrivals{more: make(chan struct{}, 1)}, blocks: blocks{informed: informed}}
	o.waiter = dispatcher.NewSink(&o.arrivals)
	if informed {
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
func (o *anyOrder) submitted(*dispatcher.Call) { o.given++ }

// block implements blockSource.
func (o *anyOrder) block() (b *dispatcher.Block, first int64) { return o.blocks.unused(), o.given }

// opened implements blockSource.
func (o *anyOrder) opened(*dispatcher.Block) {}

// closed implements blockSource.
func (o *anyOrder) closed(calls int) { o.given += int64(calls) }

// Settled implements [dispatcher.BlockSink].
func (o *anyOrder) Settled(b *dispatcher.Block, i, n int, first int64) (woken bool) {
	o.arrivals.add(ready{block: b, i: i, n: n, first: first})
	return true
}

// next implements line.
func (o *anyOrder) next(ctx context.Context, f *feeder) (ready, error) {
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
		o.batch, o.at = o.arrivals.take(o.batch), 0
		o.number(o.batch)
		switch {
		case len(o.batch) > 0:
			return o.batch[0], nil
		case over:
			return ready{}, nil
		case expired != nil:
			return ready{}, expired
		}
		select {
		case <-o.arrivals.more:
		case <-ended:
		case <-ctx.Done():
		}
	}
	return o.batch[o.at], nil
}

// took implements line.
func (o *anyOrder) took(_ *ready, n int) {
	r := &o.batch[o.at]
	if r.block != nil {
		if r.block.Spent() {
			o.blocks.giveBack(r.block)
		}
		if r.i, r.n, r.first = r.i+n, r.n-n, r.first+int64(n); r.n > 0 {
			return
		}
	} else if o.back = append(o.back, r.call); len(o.back) == spareLot {
		o.returnSpares()
	}
	*r = ready{}
	o.at++
}

// returnSpares adds the calls whose results were taken to the spares. Those that are more than a
// map reads ahead are dropped: a stream may have had very many at once.
func (o *anyOrder) returnSpares() {
	if len(o.back) == 0 {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.spares = append(o.spares, o.back[:min(len(o.back), mostAhead-len(o.spares))]...)
	clear(o.back)
	o.back = o.back[:0]
}

// number adds the numbers of the arguments of calls, if somebody asks, and forgets them.
func (o *anyOrder) number(batch []ready) {
	if o.numbers == nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range batch {
		if r := &batch[i]; r.call != nil {
			r.first = o.numbers[r.call]
			delete(o.numbers, r.call)
		}
	}
}

// arrivals collect calls and parts of blocks in the order in which they were resolved, for one goroutine that takes them.
type arrivals struct {
	more chan struct{} // holds a token when the list may have grown

	mu   sync.Mutex
	list []ready
}

// Resolved implements dispatcher.Listener.
func (a *arrivals) Resolved(c *dispatcher.Call) { a.add(ready{call: c, n: 1}) }

func (a *arrivals) add(r ready) {
	a.mu.Lock()
	a.list = append(a.list, r)
	first := len(a.list) == 1
	a.mu.Unlock()
	if first {
		dispatcher.Wake(a.more)
	}
}

// take returns what has come since the last take, and forgets it. The next list uses the memory of into.
func (a *arrivals) take(into []ready) []ready {
	clear(into)
	a.mu.Lock()
	defer a.mu.Unlock()
	list := a.list
	a.list = into[:0]
	return list
}
