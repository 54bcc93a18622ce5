package main

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/wasmpool/wasmpool/internal/unittest"
)

// A slowWriter takes a block each time it is let.
type slowWriter struct {
	let    chan error
	out    bytes.Buffer
	blocks atomic.Int64
}

func (w *slowWriter) Write(b []byte) (int, error) {
	w.blocks.Add(1)
	if err := <-w.let; err != nil {
		return 0, err
	}
	return w.out.Write(b)
}

// addLine adds a line as results does.
func (w *blockWriter) addLine(line string) (full bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.put(append(w.block, line...))
	return w.full()
}

// While a block is written another one takes lines, and they come in order.
func TestBlockWriter(t *testing.T) {
	t.Parallel()
	to := &slowWriter{let: make(chan error)}
	w := newBlockWriter(to, new(sync.Mutex))
	var want bytes.Buffer
	n := 0
	add := func() (full bool) {
		line := fmt.Sprintln(n)
		want.WriteString(line)
		n++
		return w.addLine(line)
	}
	add()
	if len(w.fresh) != 1 {
		t.Error("nobody is told of the first line")
	}
	flushed := make(chan error)
	flush := func() { flushed <- w.flush() }
	go flush()
	unittest.Until(t, "the first block is written", func() bool { return to.blocks.Load() == 1 })
	for !add() {
		continue
	}
	go flush()
	to.let <- nil // until here the first block was being written
	to.let <- nil
	add()
	go flush()
	to.let <- nil
	for range 3 {
		if err := <-flushed; err != nil {
			t.Error(err)
		}
	}
	if to.out.String() != want.String() || to.blocks.Load() > 3 {
		t.Errorf("%d bytes were written in %d blocks, of %d", to.out.Len(), to.blocks.Load(), want.Len())
	}
}

// An error sticks: nothing is written, or kept, after it.
func TestBlockWriterError(t *testing.T) {
	t.Parallel()
	full := errors.New("full")
	to := &slowWriter{let: make(chan error, 1)}
	w := newBlockWriter(to, new(sync.Mutex))
	w.addLine("a\n")
	to.let <- full
	for range 2 {
		if err := w.flush(); !errors.Is(err, full) {
			t.Errorf("flush: %v", err)
		}
		if w.addLine("b\n"); len(w.block) > 0 {
			t.Errorf("%q is kept", w.block)
		}
	}
	if err := w.fail(errors.New("another")); !errors.Is(err, full) || to.blocks.Load() != 1 {
		t.Errorf("%v, %d blocks, want the first error and one block", err, to.blocks.Load())
	}
}

// What a long line needed is not kept.
func TestBlockWriterLongLine(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	w := newBlockWriter(&out, new(sync.Mutex))
	for _, n := range []int{3 * mostBlock, 10, 20} {
		w.addLine(string(make([]byte, n)))
		if err := w.flush(); err != nil || cap(w.block) > mostBlock || cap(w.spare) > mostBlock {
			t.Errorf("after %d bytes: %v, blocks of %d and %d", n, err, cap(w.block), cap(w.spare))
		}
	}
	if out.Len() != 3*mostBlock+30 {
		t.Errorf("%d bytes", out.Len())
	}
}
