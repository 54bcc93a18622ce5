package executor

import (
	"context"
	"sync/atomic"

	"github.com/wasmpool/wasmpool/internal/dispatcher"
)

// inOrder is the line whose results come in the order of the arguments: a list of segments.
type inOrder struct {
	starving atomic.Bool   // nothing is open, and the goroutine that takes the results waits for a call or a block
	more     chan struct{} // woken when one is submitted, or is done that is wanted
	entered  atomic.Int64  // calls and blocks that were submitted
	wanted   atomic.Int64  // the number of the argument, from 1, whose call of a block is waited for; 0 for none

	segments spares[*segment] // that may be used again
	blocks   blocks

	// Only used by the feeder's goroutine.
	last  *segment
	used  int   // entries of last
	given int64 // calls

	_ [64]byte // the two goroutines do not write to the same cache line

	// Only used by the goroutine that takes the results.
	first  *segment
	at     int   // in first
	inside int   // calls of the block there that were taken
	passed int64 // calls and blocks of which all outcomes were taken
	seen   int64 // what entered was when it was last looked at
	taken  int64 // results
}

// A segment is a run of entries that are made and reused together.
type segment struct {
	entries []entry
	next    atomic.Pointer[segment]
}

// An entry is a call, or a block.
type entry struct {
	call  dispatcher.Call
	block *dispatcher.Block // nil for a call
}

func newInOrder(informed bool) *inOrder {
	s := &segment{entries: make([]entry, firstLot)}
	return &inOrder{more: make(chan struct{}, 1), first: s, last: s, blocks: blocks{informed: informed}}
}

// call implements source.
func (o *inOrder) call() *dispatcher.Call { return &o.entry().call }

// entry returns the one that is submitted next.
func (o *inOrder) entry() *entry {
	if o.used == len(o.last.entries) {
		o.grow()
	}
	return &o.last.entries[o.used]
}

// grow adds a segment.
func (o *inOrder) grow() {
	s, ok := o.segments.take()
	if !ok {
		s = &segment{entries: make([]entry, min(2*len(o.last.entries), mostLot))}
	}
	o.last.next.Store(s)
	o.last, o.used = s, 0
}

// submitted implements source.
func (o *inOrder) submitted(*dispatcher.Call) {
	o.given++
	o.enter()
}

// enter counts the entry that was submitted.
func (o *inOrder) enter() {
	o.used++
	o.entered.Add(1)
	if o.starving.Load() {
		dispatcher.Wake(o.more)
	}
}

// block implements blockSource.
func (o *inOrder) block() (b *dispatcher.Block, first int64) {
	return o.blocks.unused(), o.given
}

// opened implements blockSource.
func (o *inOrder) opened(b *dispatcher.Block) {
	o.entry().block = b
	o.enter()
}

// closed implements blockSource.
func (o *inOrder) closed(calls int) { o.given += int64(calls) }

// Settled implements [dispatcher.BlockSink].
func (o *inOrder) Settled(_ *dispatcher.Block, _, n int, first int64) (woken bool) {
	w := o.wanted.Load()
	if w <= first || w > first+int64(n) || !o.wanted.CompareAndSwap(w, 0) {
		return false
	}
	dispatcher.Wake(o.more)
	return true
}

// next implements line.
func (o *inOrder) next(ctx context.Context, f *feeder) (ready, error) {
	for {
		if o.passed == o.seen {
			if over, err := o.awaitEntry(ctx, f); over || err != nil {
				return ready{}, err
			}
		}
		if o.at == len(o.first.entries) {
			o.shrink()
		}
		e := &o.first.entries[o.at]
		if e.block == nil {
			if err := e.call.Wait(ctx); err != nil {
				return ready{}, err
			}
			return ready{call: &e.call, n: 1, first: o.taken}, nil
		}
		if n := e.block.Ready(o.inside); n > 0 {
			return ready{block: e.block, i: o.inside, n: n, first: o.taken}, nil
		}
		// A block whose calls are all done has been sent, so that no more come.
		if n, _ := e.block.Len(); o.inside == n {
			o.leaveBlock(e)
			continue
		}
		if err := o.awaitCall(ctx, e.block); err != nil {
			return ready{}, err
		}
	}
}

// awaitCall waits until the next call of a block is done.
func (o *inOrder) awaitCall(ctx context.Context, b *dispatcher.Block) error {
	o.wanted.Store(o.taken + 1)
	defer o.wanted.Store(0)
	for b.Ready(o.inside) == 0 {
		select {
		case <-o.more:
			o.wanted.Store(o.taken + 1)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// awaitEntry waits until a call or a block is open. It returns true when none comes any more, and ctx's error
// when that ends first.
func (o *inOrder) awaitEntry(ctx context.Context, f *feeder) (over bool, err error) {
	if o.look() {
		return false, nil
	}
	o.starving.Store(true)
	defer o.starving.Store(false)
	for !o.look() {
		select {
		case <-f.ended:
			return !o.look(), nil
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

// look reports whether something is open.
func (o *inOrder) look() bool {
	o.seen = o.entered.Load()
	return o.seen > o.passed
}

// leaveBlock goes on behind a block whose outcomes were all taken.
func (o *inOrder) leaveBlock(e *entry) {
	b := e.block
	e.block = nil
	o.inside = 0
	o.leave()
	o.blocks.giveBack(b)
}

// leave goes on behind an entry.
func (o *inOrder) leave() {
	o.at++
	o.passed++
}

// shrink takes out the first segment, whose results were taken.
func (o *inOrder) shrink() {
	old := o.first
	o.first, o.at = old.next.Load(), 0
	old.next.Store(nil)
	if len(old.entries) == mostLot {
		o.segments.give(old, mostAhead/mostLot)
	}
}

// took implements line.
func (o *inOrder) took(r *ready, n int) {
	o.taken += int64(n)
	if r.block != nil {
		o.inside += n
		return
	}
	o.leave()
}
