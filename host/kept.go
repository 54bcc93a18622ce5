package host

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/wasmpool/wasmpool/internal/abi"
	"github.com/wasmpool/wasmpool/internal/compile"
)

// A Keep says whether a command is kept between calls, and how their arguments follow each other
// in its standard input.
//
// A kept command does not end with its call: when it has read the argument and reads on, what it
// wrote to its standard output since the last call is the result, and its read returns with the next
// call's argument. So it should be a loop that reads an argument, writes a result, flushes it, and reads
// again. What it does before the first argument comes, such as loading an interpreter's library, is done
// once for all calls that have the same shared inputs. One that ends by itself is started again for the next call.
//
// Under [IsolationReuse] the calls of one slot meet the same program. Under [IsolationReset] it is put back to where it
// waited for its first argument, so that each call meets the same; one that has its memory grow, or opens files, is
// started again. Under [IsolationFresh] each call has a program of its own, whose standard input ends behind the argument.
type Keep uint8

// The ways to keep a command.
const (
	// KeepNot starts a command for each call. Its standard input is the argument.
	KeepNot Keep = iota

	// KeepLine puts a newline behind each argument, which can have none itself.
	KeepLine

	// KeepFrame puts the length of each argument before it, as 4 bytes, the lowest first.
	KeepFrame

	// KeepCall does so, too, and takes the first byte that is written in a call for the status that a task returns (docs/abi.md):
	// 0 is success, and anything else a failure, whose message follows. So a command may fail a call and go on.
	KeepCall
)

// String returns not, line, frame or call.
func (k Keep) String() string {
	switch k {
	case KeepNot:
		return "not"
	case KeepLine:
		return "line"
	case KeepFrame:
		return "frame"
	case KeepCall:
		return "call"
	}
	return fmt.Sprintf("keep %d", uint8(k))
}

// parseKeep is the opposite of String. "" is KeepNot.
func parseKeep(word string) (Keep, error) {
	for k := KeepNot; k <= KeepCall; k++ {
		if word == k.String() || word == "" {
			return k, nil
		}
	}
	return KeepNot, errorf(KindBadModule, "it brings a command line along that has it kept in a way that is not known here, %q: was it made for a newer wasmpool?", word)
}

// stream returns what a command reads of an argument.
func (k Keep) stream(arg []byte) (stream, error) {
	switch k {
	case KeepLine:
		if bytes.IndexByte(arg, '\n') >= 0 {
			return nil, errorf(KindBadInput, "the call's argument has a newline, and the command is kept to read lines")
		}
		return newStream(arg, []byte{'\n'}), nil
	case KeepFrame, KeepCall:
		return newStream(binary.LittleEndian.AppendUint32(nil, uint32(len(arg))), arg), nil
	default:
		return newStream(arg), nil
	}
}

// A stream is bytes that are read in order: parts, none of which is empty. An argument is not copied for it, as that may be long.
type stream [][]byte

func newStream(parts ...[]byte) stream {
	return slices.DeleteFunc(parts, func(part []byte) bool { return len(part) == 0 })
}

// Read implements [io.Reader].
func (s *stream) Read(p []byte) (n int, err error) {
	for n < len(p) && len(*s) > 0 {
		part := &(*s)[0]
		m := copy(p[n:], *part)
		n += m
		if *part = (*part)[m:]; len(*part) == 0 {
			*part, *s = nil, (*s)[1:]
		}
	}
	if n == 0 && len(p) > 0 {
		err = io.EOF
	}
	return n, err
}

// kept is a command that goes on between calls, on a goroutine of its own. That and the one that
// runs the slot take turns: one runs, the other waits.
type kept struct {
	in       *instance   // nil while it is made
	function *function   // that it runs
	rest     stream      // of the argument, not read yet
	some     bool        // the read that the command is in has some bytes of it
	next     chan stream // the next argument; closed when no more come
	turns    chan turn   // the command waits for the next argument, or has ended
	ended    bool        // no turn comes any more

	// Under IsolationReset.
	engine *engineFields // nil otherwise, or where nobody can go back
	first  *reading      // the read that waited for the first argument
	back   bool          // the command is about to go back to it
	strays bool          // it waits in another way, from which it cannot go back
}

// A turn says why a command has stopped.
type turn struct {
	ended bool
	err   error // of a command that has ended
}

// start lets the command run until it waits for an argument, or ends.
func (k *kept) start(f api.Function) turn {
	go func() {
		_, err := f.Call(k.in)
		k.turns <- turn{ended: true, err: err}
	}()
	return k.await()
}

// give lets the command go on with an argument, until it waits for the next one, or ends.
func (k *kept) give(arg stream) turn {
	k.next <- arg
	return k.await()
}

func (k *kept) await() turn {
	t := <-k.turns
	k.ended = t.ended
	return t
}

// end ends a command that waits.
func (k *kept) end() {
	if !k.ended {
		close(k.next)
		k.await()
	}
}

// Read implements [io.Reader]: it is the command's standard input. There is none for a module that reads while it
// initializes itself. Of a list of places to fill it fills those that the argument suffices for: what waits for the next one
// must have nothing of this.
func (k *kept) Read(p []byte) (int, error) {
	switch {
	case k.in == nil || len(k.rest) == 0 && k.some:
		return 0, io.EOF
	case len(p) == 0:
		return 0, nil
	case len(k.rest) == 0:
		k.strays = true
		k.wait()
	}
	k.some = true
	return k.in.inPieces(p, k.rest.Read)
}

// wait waits for the next argument.
func (k *kept) wait() {
	k.turns <- turn{}
	arg, more := <-k.next
	if !more {
		raise(&abort{kind: KindKilled, message: "the command is not wanted any more"})
	}
	k.rest = arg
}

// beforeRead is told of each read of a file, with its parameters.
func (k *kept) beforeRead(mod api.Module, params []uint64) {
	const noFile = 1<<32 - 1
	k.some = false
	if k.engine == nil || uint32(params[0]) != 0 || len(k.rest) > 0 || k.in.replaced || k.in.altered && k.first != nil {
		return
	}
	if vectorBytes(mod.Memory(), uint32(params[1]), uint32(params[2])) == 0 {
		return // it is for nothing, or its list is not in the memory: it does not wait
	}
	if k.first == nil {
		k.first = newReading(k.engine, params)
		k.wait()
		return
	}
	k.wait()
	params[0], k.back = noFile, true // this read does nothing
}

// afterRead is told of each read's end.
func (k *kept) afterRead(mod api.Module) {
	if k.back {
		k.back = false
		k.first.again(mod, k.in, k)
	}
}

// A readGuard tells a kept command of its reads, besides what the shape does.
type readGuard struct{ *wasiShape }

// Before implements [experimental.FunctionListener].
func (g readGuard) Before(ctx context.Context, mod api.Module, f api.FunctionDefinition, params []uint64, stack experimental.StackIterator) {
	g.wasiShape.Before(ctx, mod, f, params, stack)
	if k := ctx.(*instance).kept; k != nil {
		k.beforeRead(mod, params)
	}
}

// After implements [experimental.FunctionListener].
func (g readGuard) After(ctx context.Context, mod api.Module, _ api.FunctionDefinition, _ []uint64) {
	if k := ctx.(*instance).kept; k != nil {
		k.afterRead(mod)
	}
}

// keeps reports whether the command goes on between calls on this slot.
func (s *Slot) keeps(t *Task) bool {
	return t.code.grants.Keep != KeepNot && s.host.cfg.Isolation != IsolationFresh
}

// runKept runs a command that is kept.
func (s *Slot) runKept(t *Task, c *Call) ([]byte, error) {
	key := warmKey{t.code, len(c.Shared) > 0, sharedSum(c.Shared)}
	in := s.warm[key]
	if in != nil && !in.fits(s.limits.Memory, key.shares) {
		s.retire(in)
		in = nil
	}
	if in != s.instance || s.task == nil { // this call's task stays, also where the memory of the last instance is needed
		s.forget()
		s.task = t
	}
	if in == nil {
		started, last, err := s.startKept(t, c)
		if err != nil {
			return nil, err
		}
		if in = started; last.ended { // it has read no argument
			result, err := s.endedCommand(t, in, last.err)
			if e := (*Error)(nil); errors.As(err, &e) && (e.Kind == KindTimeout || e.Kind == KindBudget) {
				e.Message = "it has not read its argument: " + e.Message // and has the limits of a start
			}
			return result, err
		}
		in.started = key.started
		s.makeRoom()
		s.warm[key] = in
	}
	arg, err := s.wholeArg(c, compile.MaxMemory) // now: what is cleaned up behind a start is the argument's memory, too
	if err != nil {
		return nil, err
	}
	stream, err := t.code.grants.Keep.stream(arg)
	if err != nil {
		return nil, err
	}
	s.clock++
	in.used, s.instance = s.clock, in
	in.renew()
	in.beginRead(c, arg)
	if last := in.kept.give(stream); last.ended {
		delete(s.warm, key)
		s.forget()
		return s.endedCommand(t, in, last.err)
	}
	in.scratch.empty()
	result, err := s.commandResult(t, in)
	if err != nil && len(s.out) == 0 || in.kept.function.holds(keepKeptStack) { // in the first case it is out of step: what it writes in the next call is this one's
		s.retire(in)
	}
	return result, err
}

// commandResult returns the result of a command's call, from what it wrote to its standard output, or to a file.
func (s *Slot) commandResult(t *Task, in *instance) ([]byte, error) {
	if file := t.code.grants.ResultFile; file != "" {
		if e := in.scratch.resultOf(file); e != nil {
			e.Stderr, e.Log, e.Usage = in.printed.String(), s.logEnd(), in.usage()
			return nil, e
		}
		return s.out, nil
	}
	if t.code.grants.Keep != KeepCall {
		return s.out, nil
	}
	if len(s.out) == 0 {
		return nil, errorf(KindBadResult, "the command wrote no status before it read on or ended")
	}
	status, rest := int(s.out[0]), s.out[1:]
	if status == abi.StatusOK {
		return rest, nil
	}
	e := statusError(status, text(rest[:min(len(rest), mostErrorText)]))
	in.linear.explain(e)
	e.Stderr, e.Log, e.Usage = in.printed.String(), s.logEnd(), in.usage()
	return nil, e
}

// startKept starts a command, as an initializer starts, within the limits of forStart. What it writes before it waits for the first argument
// belongs to no call.
func (s *Slot) startKept(t *Task, c *Call) (*instance, turn, error) {
	k := &kept{next: make(chan stream), turns: make(chan turn)}
	in, err := newInstance(s, t.code, func(in *instance, cfg wazero.ModuleConfig) wazero.ModuleConfig {
		return cfg.WithArgs(append([]string{t.export}, t.code.grants.Args...)...).WithStdin(k).WithStdout(resultWriter{in})
	})
	if err != nil {
		return nil, turn{}, err
	}
	k.in, in.kept = in, k
	limits := s.limits
	defer func() { s.call, s.limits = c, limits }()
	own := limits.forStart().Over(*limits)
	s.limits = &own
	s.call = &Call{Number: c.Number, Attempt: c.Attempt, Rank: c.Rank, Shared: c.Shared, Log: c.Log, Heartbeat: c.Heartbeat}
	in.renew()
	in.begin(s.call, nil)
	in.call = nil // what it learnt of this call it would know in those of all others
	f := in.mod.ExportedFunction(abi.Start)
	k.function = newFunction(f)
	if s.host.cfg.Isolation == IsolationReset {
		k.engine = engineFieldsOf(f)
	}
	last := k.start(f)
	if last.ended {
		return in, last, nil
	}
	in.calls = 0
	in.scratch.empty()
	if in.linear.refused {
		in.starved = limits.Memory
	}
	s.endLine()
	s.clean(in)
	if k.first != nil {
		in.save()
	}
	return in, last, nil
}
