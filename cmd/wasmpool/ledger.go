package main

import "sync"

// A ledger remembers of which input each call of a map is, from when the input is read
// until the result is written. One goroutine calls put, for each call in turn, and others
// take, once per call and in any order.
//
// Calls are kept in blocks, each of which is used again when all its results were taken:
// one slow call keeps its block, however many run meanwhile.
type ledger struct {
	mu     sync.Mutex
	blocks map[int64]*callBlock
	spares []*callBlock // of calls whose results were taken

	last    *callBlock // used by put
	found   *callBlock // used by take, as what follows
	foundAt int64
}

const blockCalls = 64

type callBlock struct {
	// The executor hands a call from the goroutine that puts its entry to the one that takes it.
	entries [blockCalls]entry
	taken   int // used by take
}

// An entry is the input of a call.
type entry struct {
	input int64
	arg   digest
	text  []byte // the argument, where it may be wanted
}

func newLedger() *ledger { return &ledger{blocks: map[int64]*callBlock{}, foundAt: -1} }

// put notes the input of a call.
func (l *ledger) put(call int64, e entry) {
	at := call % blockCalls
	if at == 0 {
		l.last = l.begin(call / blockCalls)
	}
	l.last.entries[at] = e
}

// begin returns an empty block, which becomes that of a number.
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

// take returns the input of a call, and forgets it.
func (l *ledger) take(call int64) entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	if at := call / blockCalls; at != l.foundAt {
		l.found, l.foundAt = l.blocks[at], at
	}
	e := l.found.entries[call%blockCalls]
	if l.found.taken++; l.found.taken == blockCalls {
		l.end()
	}
	return e
}

// end gives up the block that was found last. mu is held.
func (l *ledger) end() {
	delete(l.blocks, l.foundAt)
	*l.found = callBlock{}
	l.spares = append(l.spares, l.found)
	l.found, l.foundAt = nil, -1
}
