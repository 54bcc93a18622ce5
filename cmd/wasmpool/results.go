package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/internal/filelock"
)

// results counts and writes the results of a map.
type results struct {
	limit    failLimit
	cancel   func() // cancels the calls that have not begun
	quit     func() // ends what collect goes through
	failures *failedInputs
	dir      *outDir    // or nil
	raw      *rawWriter // or nil
	reducer  *reducer   // or nil
	streams  bool       // results go to the reducer as they come, and nowhere else
	staged   bool       // there is --then: what failed says in which task

	ending atomic.Bool // too many failed: no more are begun
	broke  atomic.Bool // something else has ended the map: fatal

	ledger  *ledger
	inputs  *callInputs // for those who look; nil without
	plan    *plan
	file    func(i int64) string // of an input
	to      *output
	ordered bool

	// Goroutines that write to these for each call share no cache line.
	_       [64]byte
	calls   atomic.Int64 // inputs whose calls were begun
	_       [64]byte
	without atomic.Int64 // of those, the ones whose calls have ended without a result
	ok      atomic.Int64 // inputs with a result; who writes holds mu, as for failed
	failed  atomic.Int64

	entries ledgerTaker // of the goroutine that collects
	out     blockWriter // its block is under mu

	mu     sync.Mutex // guards all that follows while refresh and the input run
	line   recordWriter
	first  string // of the failures
	hidden bool   // a failure has more to tell than its line
	folder bool   // one looked for a file where there is no folder

	fatal       error // what has ended the map
	interrupted error // the signal that came

	taken   int64           // inputs with a call that are done, when they come in order
	waiting []*earlyFailure // in order, until the inputs before them are done
	moved   *sync.Cond      // waiting became shorter, or nobody is to wait for that
	over    bool            // nothing more is to be written
}

// An earlyFailure is an input that has failed before its last call: it makes no argument, or a
// stage before the last failed.
type earlyFailure struct {
	record record
	text   []byte              // what was read of it
	bad    error               // why it makes no argument,
	failed *executor.TaskError // or how its call failed
	before int64               // how many inputs with a call come before it
	done   bool                // it was written
}

func newResults(to *output, file func(i int64) string, p *plan, line recordWriter, ordered bool) *results {
	r := &results{
		ledger: newLedger(), plan: p, file: file, to: to, ordered: ordered, line: line,
	}
	r.entries, r.out = r.ledger.taker(), newBlockWriter(to.w, &r.mu)
	r.moved = sync.NewCond(&r.mu)
	return r
}

// arguments yields the arguments of the calls. An input that makes none becomes a failed
// result. It runs on the goroutine that reads the input.
func (r *results) arguments(items iter.Seq2[int64, item]) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		call, keeps, digests := int64(0), r.failures.wantsText(), newDigester()
		for i, it := range items {
			var sum digest
			if it.arg != nil {
				sum = digests.of(it.arg)
			}
			if it.bad != nil {
				bad := &earlyFailure{record: record{i: i, arg: sum, file: r.file(i)}, bad: it.bad, before: call}
				if keeps {
					bad.text = it.arg
				}
				if err := r.addEarly(bad); err != nil || r.isOver() {
					return
				}
				continue
			}
			r.calls.Add(1) // before it looks whether this is over
			if r.ending.Load() {
				r.calls.Add(-1)
				return
			}
			var text []byte
			if keeps {
				text = it.arg
			}
			r.ledger.put(call, entry{i, sum}, text)
			r.inputs.put(call, i)
			call++
			if !yield(it.arg) {
				return
			}
		}
	}
}

// isOver reports whether no more calls are to be made.
func (r *results) isOver() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ending.Load() || r.broke.Load() || r.interrupted != nil
}

// collect writes each result as it is yielded. It returns an error when results
// cannot be written, or no more of them come. After a signal, or where too many calls
// have failed, it leaves out what did not run, and writes what still ends.
func (r *results) collect(ctx context.Context, seq iter.Seq2[int64, executor.Outcome]) error {
	for call, o := range seq {
		if !r.settle(ctx, call, &o, false) {
			break
		}
	}
	r.mu.Lock()
	fatal, interrupted := r.fatal, r.interrupted
	r.mu.Unlock()
	if fatal == nil && interrupted == nil && r.ending.Load() {
		return r.limit.tooManyFailed(r.counts())
	}
	return cmp.Or(fatal, interrupted)
}

// early takes how a call has ended behind which no other stage comes, as it failed or did not run. It
// reports whether more is wanted. It is safe for concurrent use.
func (r *results) early(ctx context.Context, call int64, o executor.Outcome) bool {
	more := r.settle(ctx, call, &o, true)
	if !more {
		r.quit() // collect may wait for what does not come
	}
	return more
}

// settle takes how the calls of an input have ended, early where others would come behind the last of them. It
// reports whether more is wanted.
func (r *results) settle(ctx context.Context, call int64, o *executor.Outcome, early bool) bool {
	var err error
	switch {
	case r.complete():
		return false
	case o.Err == nil:
		err = r.succeed(ctx, call, o.Result, &o.Info)
	case errors.Is(o.Err, executor.ErrInterrupted):
		r.interrupt(o.Err)
	case errors.Is(o.Err, executor.ErrCancelled) && r.ending.Load():
	case call < 0 && errors.Is(o.Err, context.Canceled) && ctx.Err() == nil && r.ending.Load():
		return false // early has quit
	default:
		err = r.fail(ctx, call, o, early)
	}
	if err != nil {
		return r.end(err)
	}
	if o.Err != nil {
		r.without.Add(1)
	}
	return !r.complete()
}

// complete reports whether nothing more is wanted. The input may go on for ever.
func (r *results) complete() bool {
	return r.broke.Load() || r.ending.Load() && r.ok.Load()+r.without.Load() == r.calls.Load()
}

// end notes what has ended the map. It returns false.
func (r *results) end(why error) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fatal = cmp.Or(r.fatal, why)
	r.broke.Store(true)
	return false
}

// interrupt notes that a signal has come.
func (r *results) interrupt(why error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.interrupted = why
	r.moved.Broadcast()
}

// succeed writes the result of a call.
func (r *results) succeed(ctx context.Context, call int64, out []byte, info *executor.Info) error {
	e, _ := r.entries.take(call)
	this := record{i: e.input, arg: e.arg, file: r.file(e.input), run: runOf(info)}
	var stored storedFile
	if r.dir != nil {
		var err error
		if stored, err = r.dir.write(this, out); err != nil {
			return writing(err)
		}
	}
	if r.streams && !r.ending.Load() {
		if err := r.reducer.add(ctx, e.input, out); err != nil && !r.ending.Load() {
			return err
		}
	}
	r.mu.Lock()
	r.takes(call)
	r.out.put(r.success(r.out.block, &this, out, stored))
	r.ok.Add(1)
	r.endIfTooMany()
	r.takes(call + 1)
	return r.unlock()
}

// fail writes that a call has failed. It returns an error if it is none of a call: it ends the map.
func (r *results) fail(ctx context.Context, call int64, o *executor.Outcome, early bool) error {
	var failed *executor.TaskError
	switch {
	case errors.As(o.Err, &failed):
	case ctx.Err() != nil:
		return ctx.Err()
	default:
		return &exitError{exitCallFailed, fmt.Errorf("after %d %s: %w", r.done(), r.what(), o.Err)}
	}
	entries := &r.entries
	if early { // on another goroutine
		own := r.ledger.taker()
		entries = &own
	}
	e, text := entries.take(call)
	this := record{i: e.input, arg: e.arg, file: r.file(e.input), run: runOf(&o.Info)}
	if early {
		return r.addEarly(&earlyFailure{record: this, text: text, failed: failed, before: call})
	}
	r.mu.Lock()
	r.takes(call)
	r.addFailure(&this, failed)
	r.failures.add(text, this.file)
	r.takes(call + 1)
	return r.unlock()
}

// takes notes that the next result in order is that of a call, and writes what waits for that. mu is held.
func (r *results) takes(call int64) {
	r.taken = call
	if len(r.waiting) > 0 {
		r.addWaiting()
	}
}

// unlock unlocks mu, and writes the lines if they are many.
func (r *results) unlock() error {
	full, err := r.out.full(), r.out.err
	r.mu.Unlock()
	if full {
		err = r.out.flush()
	}
	return writing(err)
}

// writing says of an error, if there is one, that it kept results from being written.
func writing(err error) error {
	if err != nil {
		err = fmt.Errorf("writing the results: %w", err)
	}
	return err
}

// success appends what is written of a call with a result. mu is held.
func (r *results) success(dst []byte, this *record, out []byte, stored storedFile) []byte {
	switch {
	case r.streams:
		return dst
	case r.raw != nil:
		return appendRaw(dst, out)
	case r.dir != nil:
		return r.line.inFile(dst, this, stored)
	default:
		return r.line.success(dst, this, out)
	}
}

// addFailure writes that a call has failed. mu is held.
func (r *results) addFailure(this *record, failed *executor.TaskError) {
	kind := failed.Kind.String()
	if r.staged {
		kind += " in " + failed.Task
	}
	if r.raw != nil {
		r.raw.failure(this, kind, failed.Message)
	} else {
		r.out.put(r.line.failure(r.out.block, this, failed))
	}
	r.countFailure(this.i, kind, failed.Message)
	r.folder = r.folder || wantsFolder(failed)
	r.hidden = r.hidden || !r.line.verbose && tellsWhere(failed)
}

// mostWaiting bounds how many failures wait for inputs before them.
const mostWaiting = 4096

// addEarly writes the result of an input that has failed before its last call, in order behind the
// inputs before it. Where too many wait for that, it blocks: so no more are begun. What the
// failure waits for is ahead of who calls it, and goes on meanwhile.
func (r *results) addEarly(f *earlyFailure) error {
	r.mu.Lock()
	at := len(r.waiting)
	for at > 0 && r.waiting[at-1].before > f.before { // of a later stage
		at--
	}
	r.waiting = slices.Insert(r.waiting, at, f)
	r.addWaiting()
	for len(r.waiting) >= mostWaiting && !f.done && !r.over && !r.ending.Load() && r.interrupted == nil {
		r.moved.Wait()
	}
	return r.unlock()
}

// addWaiting writes the failures whose turn it is. mu is held.
func (r *results) addWaiting() {
	n := 0
	for _, f := range r.waiting {
		if r.over || r.ordered && f.before > r.taken {
			break
		}
		r.writeEarly(f)
		n++
	}
	r.waiting = slices.Delete(r.waiting, 0, n)
	if n > 0 {
		r.moved.Broadcast()
	}
}

// writeEarly writes that an input has failed before its last call. mu is held.
func (r *results) writeEarly(f *earlyFailure) {
	f.done = true
	r.failures.add(f.text, f.record.file)
	if f.failed != nil {
		r.addFailure(&f.record, f.failed)
		r.taken = max(r.taken, f.before+1)
		return
	}
	if r.raw != nil {
		r.raw.failure(&f.record, badInput, f.bad.Error())
	} else {
		r.out.put(r.line.bad(r.out.block, &f.record, f.bad))
	}
	r.countFailure(f.record.i, badInput, f.bad.Error())
}

// countFailure counts a failure, and remembers the first one, which tells what may be the matter
// with all. mu is held.
func (r *results) countFailure(i int64, kind, message string) {
	const most = 200
	r.failed.Add(1)
	r.endIfTooMany()
	if r.failed.Load() > 1 {
		return
	}
	text := oneLine(errors.New(message))
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	r.first = fmt.Sprintf("the first, of input %d (%s): %s", i, kind, text)
}

// endIfTooMany has no more calls be begun where too many have failed. mu is held.
func (r *results) endIfTooMany() {
	if r.limit.reached(r.counts()) && !r.ending.Swap(true) {
		r.cancel()
		r.moved.Broadcast()
	}
}

// what names what is counted: with several stages an input has several calls.
func (r *results) what() string {
	if r.staged {
		return "inputs"
	}
	return "calls"
}

// behind returns the number in the pool of the call whose result is the next to be written, 0 where results are
// written as they come, or none is missing, or one is being written: that may block for long.
func (r *results) behind() uint64 {
	if !r.mu.TryLock() {
		return 0
	}
	defer r.mu.Unlock()
	if !r.ordered || r.taken >= r.calls.Load() {
		return 0
	}
	return uint64(r.taken) + 1
}

func (r *results) done() int64 {
	done, _ := r.counts()
	return done
}

// counts returns how many inputs are done, and how many of those failed.
func (r *results) counts() (done, failed int64) {
	failed = r.failed.Load()
	return r.ok.Load() + failed, failed
}

// flush hands on what was written. An error sticks: it comes again with the
// next result.
func (r *results) flush() error { return r.out.flush() }

// sync is flush up to the disk. It does not hold up those who write: a disk takes its time.
func (r *results) sync() error {
	err := r.flush()
	if err == nil {
		err = errors.Join(r.to.sync(), r.dir.beat())
	}
	if err != nil {
		return r.out.fail(err)
	}
	return nil
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
			case <-r.out.fresh:
				r.flush() //nolint:errcheck // it sticks
				time.Sleep(flushEvery)
			case <-ctx.Done():
				return
			}
		}
	})
	running.Go(func() {
		tick := time.NewTicker(filelock.BeatEvery())
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
