package executor

import (
	"context"

	"github.com/wasmpool/wasmpool/internal/dispatcher"
)

// A delivery is a feeder whose results are taken one by one: what maps and streams have in
// common. Its own methods are for one goroutine at a time, which "takes the results". The calls and blocks whose
// results were taken are used again, so that a call costs no memory besides its result.
type delivery struct {
	feeder
	line line
}

// A line passes the calls and blocks of a delivery from the feeder's goroutine, for which it is a source,
// to the goroutine that takes the results, which calls the other methods.
type line interface {
	source
	blockSource

	// next waits for the next calls that have an outcome, and returns them: none after the
	// last, or with ctx's error when that ends first. Until took it returns the same again.
	next(ctx context.Context, f *feeder) (ready, error)

	// took says that the outcomes of n of the calls that next has returned were taken, the first ones. The call, where it
	// was not one of a block, is a zero one again.
	took(r *ready, n int)
}

// ready are calls that have an outcome: one, or n of a block, from call i on. The zero one is none.
type ready struct {
	call  *dispatcher.Call
	block *dispatcher.Block
	i, n  int
	first int64 // the number of the first one's argument, from 0, if the line knows it
}

// outcome takes the outcome of the k-th of the calls. It sets info, unless that is nil.
func (d *delivery) outcome(r *ready, k int, info *Info) (data []byte, err error) {
	if r.block != nil {
		data, err = r.block.Take(r.i+k, (*dispatcher.Info)(info))
		d.ahead.let(data)
		return data, err
	}
	c := r.call
	data, err = c.Outcome()
	if info != nil {
		c.Describe((*dispatcher.Info)(info))
	}
	size, found := c.Size(), c.Found()
	*c = dispatcher.Call{}
	if found {
		d.ahead.letFound(data)
	} else {
		d.ahead.letCall(size, data, err)
	}
	return data, err
}

// took notes that n of the calls were taken, the first ones, whose outcomes were taken before.
func (d *delivery) took(r *ready, n int) {
	d.line.took(r, n)
	d.ahead.took(int64(n))
}

const (
	firstLot = 4   // calls that are made at once at first
	mostLot  = 256 // and at most
)

// blocks are blocks that may be used again, of one line. They are safe for concurrent use.
type blocks struct {
	informed bool
	size     int // of the block that was made last; only used by the feeder's goroutine
	spares   spares[*dispatcher.Block]
}

// mostSpareBlocks have room for as many calls as a map reads ahead.
const mostSpareBlocks = mostAhead / dispatcher.MaxBlock

// unused returns a block that nobody uses.
func (b *blocks) unused() *dispatcher.Block {
	if block, ok := b.spares.take(); ok {
		return block
	}
	b.size = min(max(2*b.size, firstLot), dispatcher.MaxBlock)
	return dispatcher.NewBlock(b.size, b.informed)
}

// giveBack takes back a block whose outcomes were all taken.
func (b *blocks) giveBack(block *dispatcher.Block) {
	if block.Room() == dispatcher.MaxBlock {
		b.spares.give(block, mostSpareBlocks)
	}
}
