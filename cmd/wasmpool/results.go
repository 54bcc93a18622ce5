package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"sync"
	"time"

	"github.com/wasmpool/wasmpool/executor"
)

// results counts and writes the results of a map.
type results struct {
	mu     sync.Mutex // guards all fields while refresh runs
	out    *bufio.Writer
	file   func(i int64) string // of an input
	line   recordWriter
	ok     int64
	failed int64
	unrun  int64 // inputs that a signal kept from running
}

func newResults(out io.Writer, file func(i int64) string) *results {
	return &results{out: bufio.NewWriterSize(out, 256<<10), file: file}
}

// collect writes each result, in order. It returns an error when results cannot
// be written, or no more of them come. After a signal it leaves out what did not
// run, and writes what still ends.
func (r *results) collect(ctx context.Context, seq iter.Seq2[[]byte, error]) error {
	var interrupted error
	for out, err := range seq {
		var failed *executor.TaskError
		if errors.Is(err, executor.ErrInterrupted) {
			interrupted = err
			r.skip()
			continue
		}
		if err != nil && !errors.As(err, &failed) {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return &exitError{exitCallFailed, fmt.Errorf("call %d: %w", r.done(), err)}
		}
		if err := r.add(out, failed); err != nil {
			return fmt.Errorf("writing the results: %w", err)
		}
	}
	return interrupted
}

func (r *results) skip() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.unrun++
}

func (r *results) add(out []byte, failed *executor.TaskError) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var line []byte
	i := r.ok + r.failed + r.unrun
	this := record{i, r.file(i)}
	if failed != nil {
		line = r.line.failure(this, failed)
		r.failed++
	} else {
		line = r.line.success(this, out)
		r.ok++
	}
	_, err := r.out.Write(line)
	return err
}

func (r *results) done() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ok + r.failed
}

// flush hands on what was written. An error sticks: it comes again with the
// next add.
func (r *results) flush() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.out.Flush()
}

// refreshEvery is how long a result may wait to be seen.
const refreshEvery = 100 * time.Millisecond

// refresh flushes now and then and shows the progress, until the returned
// function is called.
func (r *results) refresh(p *progress) (stop func()) {
	quit, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(refreshEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				r.flush() //nolint:errcheck // it sticks
				p.show(r.done())
			case <-quit:
				return
			}
		}
	}()
	return func() {
		close(quit)
		<-ended
		p.clear()
	}
}
