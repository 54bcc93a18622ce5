package main

import (
	"io"
	"sync"
)

// A blockWriter gathers lines in a block of memory, and writes it when somebody asks, or it is full. Who adds lines
// waits for nobody who writes, until the next block is full, too: so as much as two blocks waits for a slow reader.
type blockWriter struct {
	to    io.Writer
	fresh chan struct{} // holds a token when there is something to flush

	mu    *sync.Mutex // held by who adds lines; guards these two
	block []byte
	err   error // why nothing more can be written

	writing sync.Mutex // held while a block is written, so that they stay in order
	spare   []byte     // the other block, while none is written
}

// fullBlock is from how many bytes on a block is full, and mostBlock how long one may have become that is used again.
const (
	fullBlock = 256 << 10
	mostBlock = 4 << 20
)

func newBlockWriter(to io.Writer, mu *sync.Mutex) blockWriter {
	return blockWriter{to: to, fresh: make(chan struct{}, 1), mu: mu}
}

// put takes the block back, to which lines were added. mu is held.
func (w *blockWriter) put(block []byte) {
	if w.err != nil {
		return // nobody will write them
	}
	if len(w.block) == 0 && len(block) > 0 && len(w.fresh) == 0 { // nobody else puts a token there
		w.fresh <- struct{}{}
	}
	w.block = block
}

// full reports whether somebody should write the block. mu is held.
func (w *blockWriter) full() bool { return len(w.block) >= fullBlock }

// fail has nothing more be written. The first error sticks.
func (w *blockWriter) fail(err error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.err = err
	}
	return w.err
}

// flush writes what was added, in blocks before it. An error sticks.
func (w *blockWriter) flush() error {
	w.writing.Lock()
	defer w.writing.Unlock()
	w.mu.Lock()
	block, err := w.block, w.err
	w.block = w.spare
	w.mu.Unlock()
	w.spare = nil
	if err != nil {
		return err
	}
	if len(block) > 0 {
		_, err = w.to.Write(block)
	}
	if err != nil {
		return w.fail(err) // and the block may still be in use
	}
	if cap(block) <= mostBlock {
		w.spare = block[:0]
	}
	return nil
}
