package main

import (
	"sync"
	"sync/atomic"
)

// A ledger remembers of which input each call of a map is, from when the input is read
// until the result is written. One goroutine calls put, for each call in turn, and others
// take, once per call and in any order.
//
// Calls are kept in blocks, each of which is used again when all its results were taken:
// one slow call keeps its block, however many run meanwhile. Only who goes from one block to
// another needs the lock.
type ledger struct {
	last *callBlock // used by put

	_      [64]byte // put and take do not write to the same cache line
	mu     sync.Mutex
	blocks map[int64]*callBlock
	spares []*callBlock // of calls whose results were taken
}

const blockCalls = 64

type callBlock struct {
	// The executor hands a call from the goroutine that puts its entry to the one that takes it.
	entries [blockCalls]entry
	texts   atomic.Pointer[[blockCalls][]byte] // the arguments, where they may be wanted; nil before the first of the block
	taken   atomic.Int32
}

// An entry is the input of a call.
type entry struct {
	input int64
	arg   digest
}

func newLedger() *ledger { return &ledger{blocks: map[int64]*callBlock{}} }

// put notes the input of a call, and the argument, where that may be wanted.
func (l *ledger) put(call int64, e entry, text []byte) {
	at := call % blockCalls
	if at == 0 {
		l.last = l.begin(call / blockCalls)
	}
	l.last.entries[at] = e
	if text == nil {
		return
	}
	texts := l.last.texts.Load()
	if texts == nil {
		texts = new([blockCalls][]byte)
		l.last.texts.Store(texts) // earlier calls of the block may be taken meanwhile
	}
	texts[at] = text
}

// begin returns a block that is not in use, which becomes that of a number.
func (l *ledger) begin(number int64) *callBlock {
	l.mu.Lock()
	defer l.mu.Unlock()
	last := len(l.spares) - 1
	if last < 0 {
		l.spares, last = append(l.spares, new(callBlock)), 0
	}
	b := l.spares[last]
	l.spares, l.blocks[number] = l.spares[:last], b
	return b
}

// A ledgerTaker takes entries out of a ledger. It is for one goroutine.
type ledgerTaker struct {
	ledger *ledger
	block  *callBlock // where the last one was, as what follows
	number int64      // of the block
}

// taker returns a taker of the ledger.
func (l *ledger) taker() ledgerTaker { return ledgerTaker{ledger: l, number: -1} }

// take returns the input of a call, and forgets it. text is the argument, where it was kept.
func (t *ledgerTaker) take(call int64) (e entry, text []byte) {
	if number := call / blockCalls; number != t.number {
		t.block, t.number = t.ledger.find(number), number
	}
	b, at := t.block, call%blockCalls
	e = b.entries[at]
	if texts := b.texts.Load(); texts != nil {
		text, texts[at] = texts[at], nil
	}
	if b.taken.Add(1) == blockCalls {
		t.ledger.end(t.number, b)
		t.block, t.number = nil, -1
	}
	return e, text
}

// find returns the block of a number.
func (l *ledger) find(number int64) *callBlock {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.blocks[number]
}

// end gives up a block whose calls were all taken.
func (l *ledger) end(number int64, b *callBlock) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.blocks, number)
	b.taken.Store(0)
	l.spares = append(l.spares, b)
}
