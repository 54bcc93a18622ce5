package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"sync"
	"time"

	"github.com/wasmpool/wasmpool/executor"
)

// results counts and writes the results of a map.
type results struct {
	mu     sync.Mutex // guards all fields while refresh runs
	out    *bufio.Writer
	file   func(i int64) string // of an input
	plan   *plan
	fresh  chan struct{} // holds a token when there is something to flush
	line   recordWriter
	ok     int64
	failed int64
	first  string // of the failures
	hidden bool   // a failure has more to tell than its line
	folder bool   // one looked for a file where there is no folder
}

func newResults(out io.Writer, file func(i int64) string, p *plan, verbose bool) *results {
	return &results{line: recordWriter{verbose: verbose}, out: bufio.NewWriterSize(out, 256<<10), file: file, plan: p, fresh: make(chan struct{}, 1)}
}

// collect writes each result as it is yielded. It returns an error when results
// cannot be written, or no more of them come. After a signal it leaves out what did
// not run, and writes what still ends.
func (r *results) collect(ctx context.Context, seq iter.Seq2[int64, executor.Outcome]) error {
	var interrupted error
	for call, o := range seq {
		var failed *executor.TaskError
		if errors.Is(o.Err, executor.ErrInterrupted) {
			interrupted = o.Err
			continue
		}
		if o.Err != nil && !errors.As(o.Err, &failed) {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return &exitError{exitCallFailed, fmt.Errorf("after %d calls: %w", r.done(), o.Err)}
		}
		if err := r.add(r.plan.input(call), o.Result, failed); err != nil {
			return fmt.Errorf("writing the results: %w", err)
		}
	}
	return interrupted
}

func (r *results) add(i int64, out []byte, failed *executor.TaskError) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var line []byte
	this := record{i, r.file(i), r.plan.sum(i)}
	if failed != nil {
		line = r.line.failure(this, failed)
		if r.failed++; r.failed == 1 {
			r.first = firstFailure(i, failed)
		}
		r.folder = r.folder || wantsFolder(failed)
		r.hidden = r.hidden || !r.line.verbose && tellsWhere(failed)
	} else {
		line = r.line.success(this, out)
		r.ok++
	}
	_, err := r.out.Write(line)
	select {
	case r.fresh <- struct{}{}:
	default:
	}
	return err
}

// firstFailure tells of one failure what may be the matter with all.
func firstFailure(i int64, e *executor.TaskError) string {
	const most = 200
	text := oneLine(errors.New(e.Message))
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return fmt.Sprintf("the first, of input %d (%s): %s", i, e.Kind, text)
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

const (
	// showEvery is how often the progress is shown.
	showEvery = 100 * time.Millisecond

	// flushEvery is how long a result may wait to be written, where many come.
	flushEvery = time.Millisecond
)

// refresh writes results soon after they came, so that a killed process loses
// little, and shows the progress, until the returned function is called.
func (r *results) refresh(p *progress) (stop func()) {
	quit, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(showEvery)
		defer tick.Stop()
		for {
			select {
			case <-r.fresh:
				r.flush() //nolint:errcheck // it sticks
				time.Sleep(flushEvery)
			case <-tick.C:
				p.show(r.plan.kept + r.done())
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
