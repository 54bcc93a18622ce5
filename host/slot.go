package host

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync/atomic"

	"github.com/tetratelabs/wazero"

	"github.com/wasmpool/wasmpool/wasmtasks"
)

const (
	// keepBuffer is the largest result buffer that is kept for the next call.
	keepBuffer = 1 << 20

	// keepInstances is how many modules a slot keeps warm.
	keepInstances = 32
)

// A Call is one run of a task. The slot reads it until Run returns.
type Call struct {
	Number  uint64 // unique in the pool, from 1
	Attempt int    // 1 for the first run
	Rank    int    // of this worker

	// Arg is the argument. It is not changed.
	Arg []byte

	// ReadArg is set for an argument that is not in this process yet: Arg is
	// nil then and ArgLen its length. It is called at most once, with a dst of
	// length ArgLen, which is guest memory when the guest reads the argument
	// whole. An error ends the call; an [*Error], such as that of [Slot.Err], with
	// its kind and message. It runs on the goroutine of Run.
	ReadArg func(dst []byte) error
	ArgLen  int64

	// Shared are the inputs that the guest may read besides the argument. Calls with and
	// without any run in instances of their own.
	Shared []Shared

	// Limits are the call's own, over those of the host; nil for none.
	Limits *Limits

	// Log takes the lines that the guest logs, with the levels of log/slog.
	// It may be nil.
	Log func(level int, msg string)

	// Heartbeat is called again and again while the call runs: at each tick, so
	// every few hundred microseconds while the guest computes, and, with blocking
	// set, before the call may do nothing for long, as it sleeps or its instance is
	// made. There is none under [Config.NoMeter], nor while the guest waits for a
	// file that it was granted. It runs on the goroutine of Run and should return
	// within microseconds. It may be nil.
	Heartbeat func(blocking bool)
}

// argLen returns the length of the argument, wherever it is.
func argLen(c *Call) int64 {
	if c.ReadArg != nil {
		return c.ArgLen
	}
	return int64(len(c.Arg))
}

// A Slot is a place where calls run, one at a time. It keeps an instance of
// each module it has run, up to 32, so that a call of a small task costs
// little more than the task itself. It is not safe for concurrent use, nor
// need it be on one thread; only [Slot.Stop] and [Slot.Ticks] may be called by other
// goroutines while it runs.
//
// The next call may find what a guest has kept in its globals, or may not: see [Isolation].
type Slot struct {
	host   *Host
	orders orders
	warm   map[warmKey]*instance
	clock  uint64 // counts changes of instance, to find the one unused for longest
	closed bool

	// The task that ran last, so that running it again takes no look-up.
	task     *Task
	instance *instance
	export   *function

	ticks atomic.Uint64 // of its guests

	renews bool // an instance may have to be replaced after any call
	timed  bool // the time of the call that runs is taken

	// Of the call that runs, or ran last.
	ctx     context.Context //nolint:containedctx // Run's: it ends the guest
	call    *Call
	stopped *abort // the order of Stop that ends it
	limits  *Limits
	own     Limits   // the call's, if it has some
	used    Usage    // of a call whose instance is closed
	logged  uint64   // bytes
	lines   []string // the last ones of its log
	streams []byte   // the line that the guest is printing; nil if that is not logged
	out     []byte   // the result, as far as it was written
	long    block    // the memory of a long result
	arg     block    // the argument, when that is long and not read by the guest
	errText []byte   // what the task said about an error
	numbers []uint64 // parameters and results of a raw export
	dirty   bool     // something of the call must be cleaned up before the next
	asked   bool     // the guest has asked which call it is; see Asked
}

// A warmKey tells the instances apart that a slot keeps.
type warmKey struct {
	code    *program
	shares  bool     // it sees the folder of shared inputs
	started [32]byte // of a command that goes on: the sum of the shared inputs that it has
}

// Run runs a task and returns its result, a view that is valid until the next
// Run or Close: it may point into guest memory. It blocks until the guest
// returns. The error is an [*Error]; it says nothing about the slot, on which
// the next call runs as if nothing had happened. When ctx ends, the guest is
// ended within milliseconds, whatever it does; so it is by [Slot.Stop], and
// where it goes past its limits.
func (s *Slot) Run(ctx context.Context, t *Task, c *Call) (result []byte, err error) {
	result, err = s.run(ctx, t, c)
	s.endLine()
	if s.timed {
		s.timed = false
		s.host.endTime()
	}
	return result, err
}

// run is Run, but for the end of taking the time.
func (s *Slot) run(ctx context.Context, t *Task, c *Call) (result []byte, err error) {
	s.ctx, s.call, s.stopped, s.limits = ctx, c, nil, &s.host.cfg.Limits
	if c.Limits != nil {
		s.own = c.Limits.Over(*s.limits).within(s.host.cfg.MemoryLimit)
		s.limits = &s.own
	}
	s.used, s.asked = Usage{}, false
	if s.instance != nil {
		s.instance.call = nil
	}
	if a := s.ended(); a != nil {
		return nil, a.failure()
	}
	if s.dirty || s.renews {
		s.clean(s.instance)
	}
	if len(c.Shared) > 0 {
		if err := checkShared(c.Shared); err != nil {
			return nil, err
		}
	}
	if t != s.task || s.instance != nil && !s.instance.fits(s.limits.Memory, len(c.Shared) > 0) {
		if err := s.prepare(t); err != nil {
			return nil, err
		}
	}
	if n := argLen(c); n < 0 || n > math.MaxUint32 {
		return nil, errorf(KindMemory, "an argument of %d bytes does not fit into a guest's memory", n)
	}
	switch t.kind {
	case wasmtasks.KindTask:
		return s.runTask(c)
	case wasmtasks.KindRaw:
		return s.runRaw(t, c)
	default:
		if s.keeps(t) {
			return s.runKept(t, c)
		}
		return s.runCommand(t, c)
	}
}

// runTask runs the prepared task, which takes and gives bytes.
func (s *Slot) runTask(c *Call) ([]byte, error) {
	in := s.instance
	in.enter(c)
	if err := s.export.CallWithStack(in, in.stack[:]); err != nil {
		return nil, s.crashed(err)
	}
	if status := int32(in.stack[0]); status != 0 {
		return nil, s.refused(int(status))
	}
	result, bad := in.leave()
	if bad != nil {
		return nil, s.crashed(bad)
	}
	return result, nil
}

// Ticks returns how often the slot's guests have ticked, since the slot was made. It grows
// every few hundred microseconds while a guest computes, and stands still while one waits in an
// import; without a meter it does not grow at all. It does not block, and is safe for
// concurrent use.
func (s *Slot) Ticks() uint64 { return s.ticks.Load() }

// Asked reports whether the guest of the call that ran last has asked for its number, its attempt or its rank: then
// another run of it may give something else.
func (s *Slot) Asked() bool { return s.asked }

// Usage says what the call used that ran last: nothing if it did not get as far as the
// guest.
func (s *Slot) Usage() Usage {
	if in := s.instance; in != nil && in.call == s.call {
		return in.usage()
	}
	return s.used
}

// crashed drops the instance that ran last and explains the error of wazero.
func (s *Slot) crashed(err error) error {
	in := s.instance
	delete(s.warm, in.key())
	s.forget()
	return in.fail(err)
}

// refused explains a status.
func (s *Slot) refused(status int) error {
	e := statusError(status, text(s.errText))
	s.instance.linear.explain(e)
	e.Stderr = s.instance.printed.String()
	e.Log, e.Usage = s.logEnd(), s.instance.usage()
	return e
}

// prepare makes t the task that runs next.
func (s *Slot) prepare(t *Task) error {
	if s.closed {
		return errorf(KindHost, "%w: the slot", ErrClosed)
	}
	s.forget()
	s.used, s.streams = Usage{}, nil
	if t.code.grants.Output {
		s.streams = make([]byte, 0, lastLine)
	}
	if t.kind == wasmtasks.KindCommand {
		s.task = t
		return nil
	}
	in, err := s.ready(t)
	if err != nil {
		return err
	}
	s.clock++
	in.used, in.call = s.clock, nil
	s.task, s.instance, s.export = t, in, in.function(t)
	if s.export == nil {
		s.forget()
		return errorf(KindUnknownTask, "the module has no export %q", t.export)
	}
	if s.dirty { // by the start of the instance
		s.clean(in)
	}
	return nil
}

// ready returns an instance for t, a warm one if there is.
func (s *Slot) ready(t *Task) (*instance, error) {
	key := warmKey{code: t.code, shares: len(s.call.Shared) > 0}
	in := s.warm[key]
	if in != nil && !in.fits(s.limits.Memory, key.shares) {
		s.retire(in)
		in = nil
	}
	if in != nil {
		return in, nil
	}
	in, err := newInstance(s, t.code, plain)
	if err != nil {
		return nil, err
	}
	if in.linear.refused {
		in.starved = s.limits.Memory
	}
	s.makeRoom()
	s.warm[key] = in
	if t.code.initializer != nil {
		if err := s.initialize(in, t.code.initializer); err != nil {
			return nil, err
		}
	}
	if s.host.cfg.Isolation == IsolationReset {
		in.save()
	}
	return in, nil
}

// initialize runs the initializer in a new instance.
func (s *Slot) initialize(in *instance, t *Task) error {
	call, limits := s.call, s.limits
	defer func() { s.call, s.limits = call, limits }()
	own := limits.forStart().Over(s.host.cfg.Limits)
	s.limits = &own
	s.call = &Call{Number: call.Number, Attempt: call.Attempt, Rank: call.Rank, Arg: s.host.cfg.InitArg, Log: call.Log, Heartbeat: call.Heartbeat}
	s.task, s.instance, s.export = t, in, in.function(t)
	run := func() ([]byte, error) { return s.runTask(s.call) }
	if t.kind == wasmtasks.KindRaw {
		run = func() ([]byte, error) { return s.runRaw(t, s.call) }
	}
	_, err := run()
	in.calls, in.earlier = 0, in.calls
	if err != nil && s.instance != nil {
		s.retire(in)
	}
	s.forget()
	var e *Error
	if !errors.As(err, &e) {
		return nil
	}
	if e.Kind != KindKilled && e.Kind != KindCancelled {
		e.Message = fmt.Sprintf("the initializer %s failed (%s): %s", t.export, e.Kind, e.Message)
		e.Kind = KindInitializer
	}
	return e
}

// plain gives an instance nothing.
func plain(_ *instance, cfg wazero.ModuleConfig) wazero.ModuleConfig { return cfg }

// forget makes the next Run look up its task.
func (s *Slot) forget() {
	if s.export != nil && s.export.deep() {
		s.instance.functions[s.task.index] = nil
	}
	s.task, s.instance, s.export = nil, nil, nil
}

// makeRoom closes the instance that was not used for longest if there are too
// many.
func (s *Slot) makeRoom() {
	if len(s.warm) < keepInstances {
		return
	}
	var oldest *instance
	for _, in := range s.warm {
		if oldest == nil || in.used < oldest.used {
			oldest = in
		}
	}
	s.retire(oldest)
}

// retire closes a warm instance.
func (s *Slot) retire(in *instance) {
	if s.instance == in {
		s.used = in.usage()
		s.forget()
	}
	delete(s.warm, in.key())
	if err := in.close(); err != nil {
		s.host.cfg.Logger.Warn("closing an instance", "error", err)
	}
}

// retireOthers closes the warm instances other than the one with that memory, since
// there is none left. It reports whether there were any.
func (s *Slot) retireOthers(l *linear) bool {
	found := false
	for _, in := range s.warm {
		if &in.linear != l {
			s.retire(in)
			found = true
		}
	}
	return found
}

// argMemory returns memory for an argument of n bytes, until the next call.
func (s *Slot) argMemory(n int64) ([]byte, error) {
	if n <= keepBuffer {
		return make([]byte, n), nil
	}
	s.dirty = true
	if err := s.arg.grow(uint64(n), uint64(n)); err != nil {
		return nil, fmt.Errorf("there is no memory for the argument: %w", err)
	}
	return s.arg.space[:n], nil
}

// clean removes what the last call left behind. in, which may be nil, is the
// instance that ran it.
func (s *Slot) clean(in *instance) {
	s.dirty = false
	s.out, s.errText = s.out[:0], s.errText[:0]
	s.logged, s.lines, s.streams = 0, s.lines[:0], s.streams[:0]
	if s.long.space != nil {
		s.out = nil
		s.long.free()
	}
	if s.arg.space != nil {
		s.arg.free()
	}
	if in != nil {
		in.arg, in.fetched = nil, false
		in.linear.refused, in.linear.above = false, false
		in.renew()
		if in.spent() {
			s.retire(in)
		}
	}
}

// Close frees the slot's instances. Calling it again is fine.
func (s *Slot) Close() error {
	if s.closed {
		return nil
	}
	s.closed = true
	s.forget()
	var errs []error
	for _, in := range s.warm {
		errs = append(errs, in.close())
	}
	clear(s.warm)
	s.out = nil
	s.long.free()
	s.arg.free()
	errs = append(errs, s.host.slotClosed())
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("host: closing a slot: %w", err)
	}
	return nil
}

// text returns what a guest wrote as valid UTF-8.
func text(b []byte) string { return strings.ToValidUTF8(string(b), "\uFFFD") }
