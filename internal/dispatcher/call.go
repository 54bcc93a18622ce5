package dispatcher

import (
	"context"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/internal/monotime"
	"github.com/wasmpool/wasmpool/internal/wire"
)

// A State is where a call is in its life.
type State uint32

// The states of a call. Those of others are the first six, by the same numbers.
const (
	Pending   State = iota // it waits on the root
	Sent                   // a worker has it, and it may have begun a moment ago
	Running                // it runs
	Finished               // it has a result or an error
	Cancelled              // it was cancelled in time
	Killed                 // it was killed

	// settling is held while a call gets its outcome, or its argument, or is queued again.
	settling

	// recalled is a call that was cancelled while a worker had it. Its outcome comes
	// when the worker has let it go.
	recalled
)

// A Call is one call of a task. It belongs to the goroutine that submits it until the intake has it, and to
// the dispatcher until it is resolved. It has 144 bytes. A zero one is made ready by Prepare.
type Call struct {
	owner   *Owner
	task    *Task
	data    []byte // the argument; the result once finished
	err     error  // the outcome's, nil for a success; set before state becomes finished, cancelled or killed. Before: a killReason, or nil
	number  uint64
	options *Options               // nil without
	waiters atomic.Pointer[Waiter] // nil without; resolved at the end
	state   atomic.Uint32          // a State

	// All below belongs to the goroutine that submits the call until the intake has it, then to the loop,
	// or to a goroutine that has moved the pending call to settling, until the call is resolved.
	ticket   uint32   // its index in scheduler.tickets while a worker has it
	next     *Call    // the one behind it in the list that it is in
	size     int64    // the length of the argument
	worker   *worker  // the one that it was sent to last; nil before
	stretch  *stretch // the stretch that it is the head of, or has left while a worker has it; nil for any other
	queued   int64    // how long it has waited, in nanoseconds; while it waits, less the time since when
	ran      int64    // how long its last run took, in nanoseconds
	estimate uint32   // how long it should take, in nanoseconds, as was thought when it was sent
	attempt  uint16   // 1 for the first run
	lost     uint8    // how many workers died with it; or beingKilled
	priority int8     // from MinPriority to MaxPriority
}

// Prepare makes a zero call ready to be submitted. set is nil without options.
func (c *Call) Prepare(o *Owner, t *Task, arg []byte, priority int8, set *Options) {
	c.owner, c.task, c.data, c.size, c.attempt = o, t, arg, int64(len(arg)), 1
	c.priority, c.options = priority, set
}

// Refuse makes a zero call one that has ended with err from the start.
func (c *Call) Refuse(o *Owner, err error) {
	c.owner, c.err = o, err
	c.state.Store(uint32(Finished))
	c.waiters.Store(resolved)
}

// Find makes a call that was prepared, and not handed in, one that has ended with a result which was found.
func (c *Call) Find(result []byte) {
	c.data, c.attempt = result, 0
	c.state.Store(uint32(Finished))
	if c.owner != nil {
		c.owner.Dispatcher.memo.found.Add(1)
	}
	c.settle()
}

// Found reports whether the result of a call that is resolved was found: it did not run.
func (c *Call) Found() bool { return c.attempt == 0 && c.err == nil }

// Owner returns whose call it is.
func (c *Call) Owner() *Owner { return c.owner }

// Task returns the task; nil for a call that was refused.
func (c *Call) Task() *Task { return c.task }

// TaskName returns the name of the task, as far as there is one.
func (c *Call) TaskName() string {
	if c.task == nil {
		return "?"
	}
	return c.task.name
}

// Worker returns the rank of the worker that has the call, or had it last, and that worker's host. The call was sent.
func (c *Call) Worker() (rank int, host string) { return c.worker.rank, c.worker.host }

// SharedKey tells apart what calls see of shared inputs: see [SharedInputs.Key]. It is for whoever
// submits the call, before that.
func (c *Call) SharedKey() string {
	if c.options == nil {
		return ""
	}
	return c.options.Shared.Key()
}

// Size returns the length of the argument.
func (c *Call) Size() int64 { return c.size }

// Argument returns the argument; once the call has succeeded, its result.
func (c *Call) Argument() []byte { return c.data }

// Number returns the call's number in the pool, from 1 in the order in which calls were submitted.
func (c *Call) Number() uint64 { return c.number }

// From reports whether the call is of that origin.
func (c *Call) From(o *Origin) bool { return c.options != nil && c.options.Origin == o }

// Tagged reports whether the call has that tag.
func (c *Call) Tagged(tag string) bool {
	return c.options != nil && slices.Contains(c.options.Tags, tag)
}

// State returns where the call is, as others see it.
func (c *Call) State() State {
	switch s := State(c.state.Load()); s {
	case settling:
		return Pending
	case recalled:
		return Cancelled
	default:
		return s
	}
}

// Done returns a channel that is closed when the call is resolved.
func (c *Call) Done() <-chan struct{} { return c.waiter().done }

// Resolved reports whether the outcome may be read. Once it is true the dispatcher
// does not touch the call any more, so that a map can use it again.
func (c *Call) Resolved() bool { return c.waiters.Load() == resolved }

// Wait blocks until the call is resolved or ctx ends.
func (c *Call) Wait(ctx context.Context) error {
	if c.Resolved() {
		return nil
	}
	select {
	case <-c.Done():
		return nil
	case <-ctx.Done():
		if c.Resolved() {
			return nil
		}
		return ctx.Err()
	}
}

// Outcome returns the result or the error of a call that is resolved.
func (c *Call) Outcome() ([]byte, error) {
	if c.err != nil {
		return nil, c.err
	}
	return c.data, nil
}

// Err returns the error of a call that is resolved, nil after a success.
func (c *Call) Err() error { return c.err }

// An Info is what there is to know about a call that is resolved.
type Info struct {
	Task    string
	Rank    int    // of the worker that ran it last; -1 when none did
	Host    string // of that worker
	Attempt int    // how often it was sent to a worker
	Queued  time.Duration
	Ran     time.Duration
	Tags    []string
	Usage   host.Usage
	Found   bool // it did not run: its result was found
}

// Info tells where and how a call that is resolved ran.
func (c *Call) Info() Info {
	var i Info
	c.Describe(&i)
	return i
}

// Describe sets i to what Info returns, without a copy of it: maps do it for each call.
func (c *Call) Describe(i *Info) {
	*i = Info{Rank: -1, Attempt: int(c.attempt), Found: c.Found()}
	if c.task != nil {
		i.Task = c.task.name
	}
	if c.options != nil {
		i.Tags, i.Usage = slices.Clone(c.options.Tags), c.options.usage
	}
	if s := c.State(); (s == Finished || s == Killed) && c.worker != nil { // whose rank and host never change
		i.Rank, i.Host = c.worker.rank, c.worker.host
		i.Queued, i.Ran = time.Duration(max(c.queued, 0)), time.Duration(c.ran)
	}
}

// Cancel withdraws a call that has not begun, and reports whether it is cancelled, also by
// another Cancel: false for one that runs or is done. It does not block.
func (c *Call) Cancel() bool {
	for ; ; runtime.Gosched() {
		switch s := State(c.state.Load()); s {
		case Pending:
			if c.giveUp(always(ErrCancelled)) {
				return true
			}
		case Sent:
			if c.state.CompareAndSwap(uint32(Sent), uint32(recalled)) {
				c.owner.Dispatcher.in.recall(c)
				return true
			}
		case settling: // for some instructions
		default:
			return s == Cancelled || s == recalled
		}
	}
}

// Kill ends a call, wherever it is, and reports false for one that is done. It does not block.
func (c *Call) Kill(reason string) bool {
	if c.owner == nil { // a zero one: there is nobody to make the error of a call that is killed
		return c.Cancel()
	}
	if c.giveUp(killed(reason)) {
		return true
	}
	if c.Resolved() {
		return false
	}
	c.owner.Dispatcher.in.request(func(l *Loop) { l.kill([]*Call{c}, reason) })
	return true
}

// Withdraw resolves a pending call with an error, without a worker. It reports false
// for any other.
func (c *Call) Withdraw(err error) bool { return c.withdraw(always(err)) }

// giveUp resolves a call that waits on the root with an error.
func (c *Call) giveUp(err func(*Call) error) bool {
	if !c.withdraw(err) {
		return false
	}
	if c.owner == nil {
		return true
	}
	d := c.owner.Dispatcher
	d.withdrawn.Add(1)
	if d.in.crowded() {
		d.Wake()
	}
	if c.attempt > 0 { // it has run before, so it may have rested
		d.in.request(func(l *Loop) { l.resting.forget(c) })
	}
	return true
}

// withdraw is Withdraw with an error that may depend on the call.
func (c *Call) withdraw(err func(*Call) error) bool {
	if !c.hold() {
		return false
	}
	if atomic.LoadUint64(&c.number) > 0 && c.owner != nil { // who has joined it by a key may withdraw it while it is submitted
		c.owner.Dispatcher.cancelled.Add(int64(c.calls()))
	}
	c.data, c.err = nil, err(c)
	c.attempt-- // the one that did not come
	if queuedAgain := c.worker != nil && c.queued < 0; queuedAgain {
		c.queued += monotime.Now()
	}
	c.state.Store(uint32(c.end()))
	c.settle()
	return true
}

// hold moves a pending call to settling. The loop reads data only of calls that it has
// claimed, so a goroutine that moves a pending call elsewhere owns it. It reports false for any other.
func (c *Call) hold() bool {
	return c.state.CompareAndSwap(uint32(Pending), uint32(settling))
}

// claim moves a pending call to sent. It reports false for a call that was
// cancelled.
func (c *Call) claim() bool {
	return c.state.CompareAndSwap(uint32(Pending), uint32(Sent))
}

// begun notes that a call which a worker has runs.
func (c *Call) begun() { c.state.CompareAndSwap(uint32(Sent), uint32(Running)) }

// leave moves a call that a worker had to another state. It reports false for one
// that was cancelled meanwhile.
func (c *Call) leave(to State) bool {
	return c.state.CompareAndSwap(uint32(Sent), uint32(to)) || c.state.CompareAndSwap(uint32(Running), uint32(to))
}

// finish resolves a call that a worker had, as cancelled if it was, counts it, and
// reports whether somebody waited for it.
func (c *Call) finish(data []byte, err error, n *counts) (woken bool) {
	c.data, c.err = data, err // nobody else looks at them before it has left
	if !c.leave(c.end()) {
		if o := c.options; err == nil && o != nil && o.Results != nil {
			o.Results.Drop(int64(len(data)), c.size)
		}
		c.data, c.err = nil, ErrCancelled
		c.state.Store(uint32(Cancelled))
	}
	n.add(c)
	return c.settle()
}

// end is the state of a call that has an outcome.
func (c *Call) end() State {
	if c.err == nil {
		return Finished
	}
	if c.err == ErrCancelled { //nolint:errorlint // it is the very value
		return Cancelled
	}
	if kind, _ := c.failure(); kind == host.KindKilled {
		return Killed
	}
	return Finished
}

// failure returns the kind of the failure that the call has ended with. It reports false for another
// outcome.
func (c *Call) failure() (kind host.Kind, failed bool) {
	if c.err == nil || c.owner == nil {
		return 0, false
	}
	return c.owner.Dispatcher.failures.KindOf(c.err)
}

// settle wakes those that wait, when the state is that of the outcome. After the swap somebody
// else may use the call again, unless a waiter was told of it.
func (c *Call) settle() (woken bool) {
	if p := c.head(); p != nil {
		return p.settleRest(c.err)
	}
	if w := c.waiters.Load(); w != nil && w.member { // its block counts
		c.waiters.Store(resolved)
		return w.wake(c)
	}
	owner := c.owner
	var left func()
	if o := c.options; o != nil {
		if left = o.Left; o.Settling != nil {
			o.Settling(c)
		}
	}
	woken = c.waiters.Swap(resolved).wake(c)
	if left != nil {
		left()
	}
	if owner != nil && owner.Left != nil {
		owner.Left() // last: a goroutine that waits for the owner's end finds every call done
	}
	return woken
}

// words are how the caller knows the call, for logs.
func (c *Call) words() []any {
	words := []any{"task", c.TaskName()}
	if c.options != nil && len(c.options.Tags) > 0 {
		words = append(words, "tags", c.options.Tags)
	}
	return words
}

// measured keeps what a run has used, which is known of calls with limits of their
// own.
func (c *Call) measured(u *wire.Usage) {
	if u == nil || c.options == nil {
		return
	}
	own := *c.options
	own.usage = host.Usage(*u)
	c.options = &own
}
