package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wasmpool/wasmpool/executor"
)

// results counts and writes the results of a map.
type results struct {
	limit    failLimit
	cancel   func() // cancels the calls that have not begun
	failures *failedInputs
	dir      *outDir    // or nil
	raw      *rawWriter // or nil

	calls  atomic.Int64 // that were made
	ending atomic.Bool  // too many failed: no more are made

	ledger  *ledger
	plan    *plan
	file    func(i int64) string // of an input
	to      *output
	ordered bool

	mu     sync.Mutex // guards all that follows while refresh and the input run
	out    *bufio.Writer
	fresh  chan struct{} // holds a token when there is something to flush
	line   recordWriter
	ok     int64
	failed int64
	first  string // of the failures
	hidden bool   // a failure has more to tell than its line
	folder bool   // one looked for a file where there is no folder
	broken error  // why nothing more can be written

	taken   int64      // calls whose results came, when they come in order
	waiting []badEntry // inputs without a call, until the calls before them have ended
	moved   *sync.Cond // waiting became shorter, or over true
	over    bool       // nothing more is to be written
}

// A badEntry is an input that makes no argument.
type badEntry struct {
	record record
	text   []byte // what was read of it
	why    error
	before int64 // how many calls come before it
}

func newResults(to *output, file func(i int64) string, p *plan, line recordWriter, ordered bool) *results {
	r := &results{
		ledger: newLedger(), plan: p, file: file, to: to, ordered: ordered,
		line: line, out: bufio.NewWriterSize(to.w, 256<<10), fresh: make(chan struct{}, 1),
	}
	r.moved = sync.NewCond(&r.mu)
	return r
}

// arguments yields the arguments of the calls. An input that makes none becomes a failed
// result. It runs on the goroutine that reads the input.
func (r *results) arguments(items iter.Seq2[int64, item]) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		call := int64(0)
		for i, it := range items {
			var sum digest
			if it.arg != nil {
				sum = digestOf(it.arg)
			}
			if it.bad != nil {
				r.addBad(badEntry{record{i: i, arg: sum, file: r.file(i)}, it.arg, it.bad, call})
				if r.ending.Load() {
					return
				}
				continue
			}
			r.calls.Add(1) // before it looks whether this is over
			if r.ending.Load() {
				r.calls.Add(-1)
				return
			}
			e := entry{input: i, arg: sum}
			if r.failures != nil {
				e.text = it.arg
			}
			r.ledger.put(call, e)
			call++
			if !yield(it.arg) {
				return
			}
		}
	}
}

// collect writes each result as it is yielded. It returns an error when results
// cannot be written, or no more of them come. After a signal, or where too many calls
// have failed, it leaves out what did not run, and writes what still ends.
func (r *results) collect(ctx context.Context, seq iter.Seq2[int64, executor.Outcome]) error {
	var interrupted error
	came := int64(0)
	for call, o := range seq {
		var failed *executor.TaskError
		switch {
		case errors.Is(o.Err, executor.ErrInterrupted):
			interrupted = o.Err
		case errors.Is(o.Err, executor.ErrCancelled) && r.ending.Load():
		case o.Err != nil && !errors.As(o.Err, &failed):
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return &exitError{exitCallFailed, fmt.Errorf("after %d calls: %w", r.done(), o.Err)}
		default:
			if err := r.add(call, o, failed); err != nil {
				return fmt.Errorf("writing the results: %w", err)
			}
		}
		came++
		if r.ending.Load() && came == r.calls.Load() {
			break // the input may go on for ever
		}
	}
	if interrupted == nil && r.ending.Load() {
		return r.limit.tooManyFailed(r.counts())
	}
	return interrupted
}

// add writes how a call has ended.
func (r *results) add(call int64, o executor.Outcome, failed *executor.TaskError) error {
	e := r.ledger.take(call)
	this := record{i: e.input, arg: e.arg, file: r.file(e.input), run: runOf(&o.Info)}
	var stored storedFile
	if r.dir != nil && failed == nil {
		var err error
		if stored, err = r.dir.write(this, o.Result); err != nil {
			return err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if failed != nil {
		r.addFailure(this, failed)
		r.failures.add(e.text, this.file)
	} else {
		r.write(r.success(this, o.Result, stored))
		r.ok++
	}
	r.taken++
	if len(r.waiting) > 0 {
		r.addWaiting()
	}
	return r.broken
}

// success returns what is written of a call with a result. mu is held.
func (r *results) success(this record, out []byte, stored storedFile) []byte {
	switch {
	case r.raw != nil:
		return r.raw.success(out)
	case r.dir != nil:
		return r.line.inFile(this, stored)
	default:
		return r.line.success(this, out)
	}
}

// addFailure writes that a call has failed. mu is held.
func (r *results) addFailure(this record, failed *executor.TaskError) {
	if r.raw != nil {
		r.raw.failure(this, failed.Kind.String(), failed.Message)
	} else {
		r.write(r.line.failure(this, failed))
	}
	r.fail(this.i, failed.Kind.String(), failed.Message)
	r.folder = r.folder || wantsFolder(failed)
	r.hidden = r.hidden || !r.line.verbose && tellsWhere(failed)
}

// mostWaiting bounds how many inputs wait for calls before them.
const mostWaiting = 4096

// addBad writes the result of an input that makes no argument, in order behind the calls
// before it. Where too many wait for that, it blocks: so the input is read no further.
func (r *results) addBad(b badEntry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.ordered && len(r.waiting) >= mostWaiting && !r.over {
		r.moved.Wait()
	}
	r.waiting = append(r.waiting, b)
	r.addWaiting()
}

// addWaiting writes the results of inputs without a call whose turn it is.
func (r *results) addWaiting() {
	n := 0
	for _, b := range r.waiting {
		if r.over || r.ordered && b.before > r.taken {
			break
		}
		if r.raw != nil {
			r.raw.failure(b.record, badInput, b.why.Error())
		} else {
			r.write(r.line.bad(b.record, b.why))
		}
		r.failures.add(b.text, b.record.file)
		r.fail(b.record.i, badInput, b.why.Error())
		n++
	}
	r.waiting = append(r.waiting[:0], r.waiting[n:]...)
	r.moved.Signal()
}

// write hands a line to the buffer. An error sticks. mu is held.
func (r *results) write(line []byte) {
	if _, err := r.out.Write(line); err != nil && r.broken == nil {
		r.broken = err
	}
	if len(r.fresh) == 0 { // nobody else puts a token there
		r.fresh <- struct{}{}
	}
}

// fail counts a failure, and remembers the first one, which tells what may be the matter
// with all. mu is held.
func (r *results) fail(i int64, kind, message string) {
	const most = 200
	r.failed++
	if r.limit.reached(r.ok+r.failed, r.failed) && !r.ending.Swap(true) {
		r.cancel()
	}
	if r.failed > 1 {
		return
	}
	text := oneLine(errors.New(message))
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	r.first = fmt.Sprintf("the first, of input %d (%s): %s", i, kind, text)
}

func (r *results) done() int64 {
	done, _ := r.counts()
	return done
}

// counts returns how many inputs are done, and how many of those failed.
func (r *results) counts() (done, failed int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ok + r.failed, r.failed
}

// flush hands on what was written. An error sticks: it comes again with the
// next add.
func (r *results) flush() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.out.Flush(); err != nil && r.broken == nil {
		r.broken = err
	}
	return r.broken
}

// sync is flush up to the disk. It does not hold up those who write: a disk takes its time.
func (r *results) sync() error {
	if err := r.flush(); err != nil {
		return err
	}
	err := errors.Join(r.to.sync(), r.dir.beat())
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil && r.broken == nil {
		r.broken = err
	}
	return r.broken
}

// finish writes what waits, and lets nothing more be written. In a map that was cut short these
// are bad inputs that come after calls which did not run.
func (r *results) finish() error {
	r.mu.Lock()
	r.ordered = false
	r.addWaiting()
	r.over = true
	r.moved.Broadcast()
	r.mu.Unlock()
	return errors.Join(r.dir.sync(), r.sync(), r.to.close(), r.dir.close())
}

// flushEvery is how long a result may wait to be written, where many come.
const flushEvery = time.Millisecond

// refresh writes results soon after they came, so that a killed process loses
// little, and shows the progress, until the returned function is called.
func (r *results) refresh(p *progress) (stop func()) {
	ctx, quit := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { p.run(ctx, r.counts) }) // apart: a terminal may be stopped
	running.Go(func() {
		for {
			select {
			case <-r.fresh:
				r.flush() //nolint:errcheck // it sticks
				time.Sleep(flushEvery)
			case <-ctx.Done():
				return
			}
		}
	})
	running.Go(func() {
		tick := time.NewTicker(beatEvery)
		defer tick.Stop()
		for { // what a machine's crash takes from the disk runs again
			select {
			case <-tick.C:
				r.sync() //nolint:errcheck // it sticks
			case <-ctx.Done():
				return
			}
		}
	})
	return func() {
		quit()
		running.Wait()
	}
}
