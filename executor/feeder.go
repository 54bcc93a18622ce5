package executor

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/wasmpool/wasmpool/internal/dispatcher"
)

// A feeder reads an input and submits a call for each argument. Every map, stream and
// batch has one. They differ in how far it reads ahead (its look-ahead) and in where the
// calls come from (its source).
//
// The input runs on a goroutine of the feeder's own. It may block for ever, panic, or end
// that goroutine, and nothing can stop it. Therefore this goroutine holds busy at all times
// except while the input's own code runs: a goroutine that gets busy knows that no call is being
// submitted, and may end the feeder even if the input never returns. Arguments that the
// input yields after that are not submitted.
type feeder struct {
	ex       *Executor
	task     *dispatcher.Task
	kept     *MemoTask // nil where results are not kept
	origin   *dispatcher.Origin
	settings mapSettings // whose options name the origin as the one that the calls are of
	source   source
	ahead    lookahead
	queues   bool        // the calls wait for room in the executor's queue, as those of Submit do
	rows     blockSource // of blocks for calls with short arguments; nil where each call goes alone

	ctx    context.Context //nolint:containedctx // made of the caller's; it bounds the reading
	cancel context.CancelCauseFunc
	caller context.Context //nolint:containedctx // the caller's own, which says that it has ended a moment before ctx does

	_     [64]byte          // who takes the results reads what is before and behind, and the feeder's goroutine writes what is between
	busy  sync.Mutex        // held by the feeder's goroutine except while the input runs
	over  bool              // nothing more is submitted
	chunk [][]byte          // arguments that were read and not submitted
	open  *dispatcher.Block // that was submitted last, and to which calls may be added; nil without. Only the feeder's goroutine changes it, with busy held
	room  int               // for how many calls that is
	_     [64]byte

	size  int    // how many arguments are submitted at once
	atEnd func() // called with busy held when nothing more is submitted; may be nil

	ended    chan struct{} // closed when nothing more is submitted
	failure  error         // why the input did not come to its end; set before ended is closed
	panicked any           // what the input panicked with; set before ended is closed
}

// A source provides the calls of a feeder. Only the feeder's goroutine calls its
// methods, which do not block.
type source interface {
	// call returns the next call: a zero one, except for its waiter.
	call() *dispatcher.Call

	// submitted is told of a call that was submitted. It may have ended by then.
	submitted(c *dispatcher.Call)
}

// A blockSource provides the blocks of a feeder, and is their sink. Only the feeder's goroutine calls the methods of its own, which do not block.
type blockSource interface {
	dispatcher.BlockSink

	// block returns a block that nobody uses, and the number of the argument of its first call.
	block() (b *dispatcher.Block, first int64)

	// opened is told that the block was submitted.
	opened(b *dispatcher.Block)

	// closed is told that nothing is added to it any more, and how many calls it has.
	closed(calls int)
}

// setUp prepares a feeder. In a map the feeder itself decides how far it
// reads ahead. In a stream or a batch it reads the whole input, or as far as the
// buffer says, and its calls wait for room in the executor's queue. A feeder that was set up must be
// started or ended; with an error it can only be ended.
func (f *feeder) setUp(ctx context.Context, ex *Executor, task string, args iter.Seq2[[]byte, error], opts []MapOption, from source, isMap bool) error {
	set, err := mapSettingsOf(opts)
	t, lookupErr := ex.tasks.Lookup(task)
	if ex.kept != nil && err == nil && lookupErr == nil {
		f.kept, err = ex.kept.taskOf(t, &set.settings)
	}
	if args == nil {
		err = errors.Join(err, errNoInput)
	}
	if !isMap {
		err = errors.Join(err, set.mapOnly())
	}
	f.ex, f.task, f.origin, f.settings, f.source = ex, t, new(dispatcher.Origin), set, from
	f.caller = ctx
	f.ctx, f.cancel = context.WithCancelCause(ctx)
	f.ended = make(chan struct{})
	if isMap {
		f.size = f.ahead.ofMap(ex.dispatcher, ex.cfg.HeldBytes, &set)
	} else {
		f.size, f.queues = 1, true
		f.ahead.fixed(&set)
	}
	o := f.settings.rare()
	if o.Origin = f.origin; isMap {
		o.Results = f.ahead.held
	}
	if lookupErr == nil {
		err = errors.Join(err, f.settings.within(ex.pool, t))
	}
	return errors.Join(err, lookupErr)
}

// groupCalls makes the feeder of a map submit calls with short arguments in blocks, if they may be in some.
func (f *feeder) groupCalls(rows blockSource) {
	if f.kept == nil && dispatcher.MayBlock(f.settings.options) {
		f.rows = rows
	}
}

// start begins to read the input. The feeder's stopper, if it has one, keeps the feeder until its goroutine
// and its calls have ended, and until tally.leave was called parts times besides.
func (f *feeder) start(args iter.Seq2[[]byte, error], parts int64) {
	f.settings.bind(f, 1+parts)
	go f.run(args)
	go f.guard()
}

// errInputExited is the error of an input whose goroutine was ended.
var errInputExited = errors.New("executor: the input ended its goroutine, by runtime.Goexit or a test's FailNow")

// errNoInput is the error of an input that is nil.
var errNoInput = errors.New("executor: the arguments are a nil iterator")

// run is the feeder's goroutine.
func (f *feeder) run(args iter.Seq2[[]byte, error]) {
	defer f.settings.tally.leave()
	f.ahead.watch()
	defer f.ahead.ignore()
	failure := errInputExited
	defer func() {
		v := recover()
		if v != nil {
			failure = inputPanic(v)
		}
		f.busy.Lock()
		defer f.busy.Unlock()
		f.finish(failure, v)
	}()
	failure = f.read(args)
}

// inputPanic is the error of an input that panicked.
func inputPanic(v any) error {
	if err, ok := v.(error); ok {
		return fmt.Errorf("executor: the input panicked: %w", err)
	}
	return fmt.Errorf("executor: the input panicked: %v", v)
}

// read goes through the input and returns why it did not come to its end. Before it asks for an
// argument it waits until there is room for one.
func (f *feeder) read(args iter.Seq2[[]byte, error]) (failure error) {
	if err := f.locked(func() error { return f.waitRoom(0, 0) }); err != nil {
		return err
	}
	whole := false
	defer func() {
		if !whole && failure == nil { // the input panicked or ended its goroutine: the arguments before that count
			f.locked(f.put) //nolint:errcheck // the error is the input's
		}
	}()
	for arg, err := range args {
		if failure = f.accept(arg, err); failure != nil {
			break
		}
	}
	whole = true
	if failure == nil {
		failure = f.locked(f.put)
	}
	if failure == nil { // it may have ended because of that
		failure = f.expired()
	}
	return failure
}

// locked calls do with busy held, unless the feeder is over.
func (f *feeder) locked(do func() error) error {
	f.busy.Lock()
	defer f.busy.Unlock()
	if f.over {
		return f.failure
	}
	return do()
}

// accept handles what the input has yielded, and waits until there is room for another
// argument. It returns why no more is wanted.
func (f *feeder) accept(arg []byte, err error) error {
	if b := f.open; b != nil && f.size == 1 && err == nil && len(arg) < dispatcher.BlockArg && f.expired() == nil {
		switch added, full := b.Add(arg); {
		case added && full:
			return f.locked(f.waitForBlock)
		case added:
			return nil
		}
	}
	f.busy.Lock()
	defer f.busy.Unlock()
	if f.over {
		return f.failure
	}
	if err != nil {
		return join(f.put(), err)
	}
	f.chunk = append(f.chunk, arg)
	if len(f.chunk) == f.size {
		if err := f.put(); err != nil {
			return err
		}
	}
	if f.open != nil {
		if n, _ := f.open.Len(); n < f.room {
			return nil // there is room in it, or was when it left
		}
	}
	return f.waitRoom(len(f.chunk), 0)
}

// waitForBlock waits until there is room for another block, when one is full. busy is held.
func (f *feeder) waitForBlock() error {
	f.closeBlock()
	return f.waitRoom(0, 0)
}

// put submits the calls of the chunk. It returns why no more can be submitted. busy is held.
func (f *feeder) put() error {
	for _, arg := range f.chunk {
		if err := f.expired(); err != nil {
			return err
		}
		if err := f.submit(arg); err != nil {
			return err
		}
	}
	clear(f.chunk)
	f.chunk = f.chunk[:0]
	if f.size > 1 {
		f.closeBlock()
	}
	return nil
}

// expired returns why nothing more is wanted, once the caller's context or the feeder's has ended. An input that waits for the
// former may go on before the latter has heard of it.
func (f *feeder) expired() error {
	if err := whyEnded(f.ctx); err != nil {
		return err
	}
	return f.caller.Err()
}

// submit submits one call, once there is room for its argument. busy is held.
func (f *feeder) submit(arg []byte) error {
	if f.rows != nil && len(arg) < dispatcher.BlockArg {
		return f.submitInBlock(arg)
	}
	f.closeBlock()
	size := int64(len(arg))
	if f.ahead.overfull(size) {
		if err := f.waitRoom(0, size); err != nil {
			return err
		}
	}
	c := f.source.call()
	f.settings.prepare(c, f.ex, f.task, arg)
	f.settings.tally.enter()
	if f.kept != nil {
		switch found, err := f.lookUp(c, arg); {
		case err != nil:
			f.settings.tally.leave()
			return err
		case found:
			return nil
		}
	}
	if err := f.admit(c); err != nil {
		f.settings.tally.leave()
		return err
	}
	f.ahead.gave(size)
	f.source.submitted(c)
	return nil
}

// submitInBlock is submit for a call that is one of a block. busy is held.
func (f *feeder) submitInBlock(arg []byte) error {
	if f.open != nil {
		if added, _ := f.open.Add(arg); added {
			return nil
		}
	}
	f.closeBlock()
	if err := f.waitRoom(0, 0); err != nil {
		return err
	}
	if err := f.ex.enter(); err != nil {
		return err
	}
	b, first := f.rows.block()
	room := f.ahead.reserve(b.Room())
	s := &f.settings
	b.Prepare(&f.ex.owner, f.task, s.priority, s.options, f.rows, first, room)
	b.Add(arg)
	s.tally.enter()
	if err := f.ex.dispatcher.AddBlock(b); err != nil {
		f.ahead.unreserve(room)
		s.tally.leave()
		f.ex.leave()
		return err
	}
	f.open, f.room = b, room
	f.rows.opened(b)
	if f.ex.fork != nil && !f.ex.fork.takes() { // Shutdown may have come by before the block was there
		f.closeBlock()
	}
	return nil
}

// closeBlock is endBlock for the feeder's goroutine. busy is held.
func (f *feeder) closeBlock() {
	f.endBlock()
	f.open = nil
}

// endBlock ends that calls may be added to the block that was submitted last. busy is held.
func (f *feeder) endBlock() {
	if f.open == nil {
		return
	}
	n := f.open.Close()
	f.ahead.unreserve(f.room - n)
	f.rows.closed(n)
}

// lookUp looks whether the result of a call is kept: then the call is resolved with it, as one that was submitted.
func (f *feeder) lookUp(c *dispatcher.Call, arg []byte) (found bool, err error) {
	if found, err = f.ex.recall(f.ctx, c, f.kept, &f.settings.settings, arg, f.ahead.found); found {
		f.ahead.gave(0)
		f.source.submitted(c)
	}
	return found, err
}

// admit hands a call to the loop.
func (f *feeder) admit(c *dispatcher.Call) error {
	if err := f.ex.enter(); err != nil {
		return err
	}
	err := f.enqueue(c)
	if err != nil {
		f.ex.leave()
		if f.ctx.Err() != nil {
			err = whyEnded(f.ctx)
		}
	}
	return err
}

func (f *feeder) enqueue(c *dispatcher.Call) error {
	if !f.queues {
		return f.ex.dispatcher.TryAdd(c)
	}
	if err := f.ex.dispatcher.Add(f.ctx, c); err != nil {
		return err
	}
	f.ex.dispatcher.Serve()
	return nil
}

// waitRoom blocks until the look-ahead has room for another call, with an argument of so many
// bytes, besides those that were read and not submitted. It returns why no more is wanted.
func (f *feeder) waitRoom(read int, size int64) error {
	for {
		if f.ctx.Err() != nil {
			return whyEnded(f.ctx)
		}
		if f.ahead.opens(read, size) {
			return nil
		}
		select {
		case <-f.ahead.room:
		case <-f.ctx.Done():
		case <-f.ex.owner.Gone:
			return f.ex.whyGone()
		case <-f.ex.done:
			return f.ex.whyGone()
		}
		f.ahead.blocked.Store(false)
	}
}

// whyGone returns why the executor takes no call any more.
func (ex *Executor) whyGone() error {
	if err := ex.dispatcher.Failure(); err != nil {
		return err
	}
	return ex.dispatcher.Closed()
}

// stop ends the feeder's context for a reason, nil for [context.Canceled], and with it the
// reading. Calls that fail from then on do not run again. It does not wait for the input.
func (f *feeder) stop(why error) {
	f.cancel(why)
	f.origin.Drop()
	f.end(whyEnded(f.ctx))
}

// end makes the feeder submit nothing more, for a reason. The first one counts. The feeder's context
// or its executor must have ended, or the feeder not have been started: then the feeder's
// goroutine waits for nothing but the input, and end does not block.
func (f *feeder) end(why error) {
	f.busy.Lock()
	defer f.busy.Unlock()
	f.finish(why, nil)
}

// finish is end for a goroutine that holds busy, with what the input panicked with.
func (f *feeder) finish(failure error, panicked any) {
	if f.over {
		return
	}
	f.endBlock()
	f.over, f.failure, f.panicked = true, failure, panicked
	close(f.ended)
	if f.atEnd != nil {
		f.atEnd()
	}
}

// guard ends the feeder, even if its input blocks, when its context ends, or some time after
// its executor.
func (f *feeder) guard() {
	if f.ex.outlived(f.ended, f.ctx.Done()) {
		f.end(f.ex.whyGone())
	} else {
		f.end(whyEnded(f.ctx)) // unless the input had ended
	}
}

// inputPatience is how long an input may go on after its executor has ended. One that does not
// return in that time is taken for one that blocks for ever.
const inputPatience = time.Second

// outlived waits until the executor has ended, and then as long as an input may go on. It
// returns false as soon as one of the two channels is closed: then the input is over.
func (ex *Executor) outlived(over, also <-chan struct{}) bool {
	select {
	case <-over:
		return false
	case <-also:
		return false
	case <-ex.owner.Gone:
	case <-ex.done:
	}
	patience := time.NewTimer(inputPatience)
	defer patience.Stop()
	select {
	case <-over:
		return false
	case <-also:
		return false
	case <-patience.C:
		return true
	}
}

// owns reports whether c is a call of this feeder.
func (f *feeder) owns(c *dispatcher.Call) bool { return c.From(f.origin) }

// cancelPending cancels the calls that were submitted and have not begun. It does not
// block: they are resolved soon after. The feeder must have ended.
func (f *feeder) cancelPending() {
	if f.ahead.idle() {
		return // nothing is left: the loop need not go through all that waits
	}
	f.ex.dispatcher.Request(func(l *dispatcher.Loop) { l.Cancel(f.owns) })
}

// halt ends the reading and cancels the calls that have not begun, for a [Stopper].
func (f *feeder) halt() {
	f.stop(ErrStopped)
	f.cancelPending()
}

// kill kills the calls, also those that have begun, for a [Stopper]. It does not block.
func (f *feeder) kill(reason string) {
	f.ex.dispatcher.Request(func(l *dispatcher.Loop) { l.KillWhere(f.owns, reason) })
}
