package host

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/sys"

	"github.com/wasmpool/wasmpool/internal/abi"
	"github.com/wasmpool/wasmpool/internal/compile"
)

// An instance is one running copy of a module, with its own memory. It belongs
// to one slot. Any error of a wazero call means that it is closed: a Go guest
// that trapped, for one, is corrupt, though it seems to go on.
//
// It is also the context of every call into the guest, and so reaches the
// imports that the guest calls without a map or a wrapped context.
type instance struct {
	slot *Slot
	code *program
	mod  api.Module
	used uint64 // when it last ran, counted by the slot

	mem    api.Memory // nil until it is first used, or when the module has none
	view   []byte     // all of mem
	door   []byte     // the part of view that is the door, nil without one
	doorAt uint32

	functions []*function // by task, nil until first run
	stack     [1]uint64   // parameters and results of a task's export

	call    *Call  // nil while the instance is made, and before a call has begun
	taken   bool   // ReadArg was called and its bytes went into guest memory
	takenAt uint32 // where they are there
	fetched bool   // ReadArg was called and its bytes are in arg
	arg     []byte // a long argument read piecewise

	linear   linear
	starved  uint64 // the limit on memory by which it was refused some as it started; 0 if it was not
	clock    clock
	seeds    seeds
	printed  printed
	block    seedBlock
	gauge    gauge
	image    *image          // what IsolationReset goes back to
	kept     *kept           // of a command that goes on between calls
	scratch  *scratch        // the files that a command has in memory; nil for others, and where it is granted all folders
	errno    uint64          // WASI's error of the function that runs, where the engine has no word for it; 0 if it has
	nameAt   uint64          // one more than where the name of a folder is written, which is to be "."; 0 otherwise
	calls    int             // how many it has run
	earlier  int             // how many it ran before these, as initializer
	files    int             // how many it has open
	roots    int             // how many of these are the folders that it started with
	altered  bool            // it has changed a descriptor that it started with, since its image was taken
	replaced bool            // one stands for something else, or nothing
	shares   bool            // it sees the folder of shared inputs
	started  [32]byte        // of a command that goes on: the sum of the shared inputs that it has
	parent   context.Context //nolint:containedctx // what wazero may find while the instance is made
}

// Deadline implements [context.Context]. There is none: wazero is not what
// ends a call.
func (in *instance) Deadline() (deadline time.Time, ok bool) { return time.Time{}, false }

// Done implements [context.Context].
func (in *instance) Done() <-chan struct{} { return nil }

// Err implements [context.Context].
func (in *instance) Err() error { return nil }

// Value implements [context.Context].
func (in *instance) Value(key any) any {
	if in.parent == nil {
		return nil
	}
	return in.parent.Value(key)
}

// newInstance makes an instance and lets it initialize itself. configure may
// add to what the instance is given.
func newInstance(s *Slot, c *program, configure func(*instance, wazero.ModuleConfig) wazero.ModuleConfig) (in *instance, err error) {
	if c.StartMemory > s.limits.Memory {
		return nil, errorf(KindMemory, "%s", compile.StartsAbove(c.StartMemory, s.limits.Memory))
	}
	if _, granted := c.grants.sees[SharedFolder]; granted && len(s.call.Shared) > 0 {
		return nil, errorf(KindHost, "a folder is granted as %s, where a call with shared inputs has these: grant it by another name", SharedFolder)
	}
	s.beat(true)
	in = &instance{slot: s, code: c, shares: len(s.call.Shared) > 0}
	in.linear = linear{slot: s, limit: s.host.cfg.MemoryLimit, most: s.limits.Memory}
	in.clock = clock{in: in, begin: resolution} // Go does not start at zero
	in.seeds.in, in.printed.in = in, in
	in.parent = experimental.WithMemoryAllocator(context.Background(), &in.linear)
	defer func() {
		if r := recover(); r != nil { // there is no other way to say that there is no memory
			refused, ok := r.(*abort)
			if !ok {
				refused = &abort{kind: KindMemory, message: fmt.Sprint(r)}
			}
			err = refused
		}
		if err != nil {
			e := in.fail(err)
			e.Message, e.NoStart = "making an instance: "+e.Message, true
			in, err = nil, e
		}
	}()
	cfg := configure(in, c.grants.configure(in, in.ownConfig()))
	if in.mod, err = c.Runtime.InstantiateModule(in, c.Compiled, cfg); err != nil {
		return in, err
	}
	in.parent = nil
	if in.mod.IsClosed() {
		return in, &abort{kind: KindExit, message: "the guest exited with code 0 while it was initialized"}
	}
	in.attach(in.mod)
	if in.gauge.fuel == nil {
		in.gauge.attach(in.mod)
	}
	return in, nil
}

// ownConfig returns what an instance is made with before its grants: nothing that it sees of
// the world outside is real.
func (in *instance) ownConfig() wazero.ModuleConfig {
	return wazero.NewModuleConfig().
		WithName(""). // so that there can be many
		WithStartFunctions(abi.Initialize).
		WithStdout(&in.printed).
		WithStderr(&in.printed).
		WithRandSource(&in.seeds).
		WithWalltime(in.clock.walltime, sys.ClockResolution(resolution)).
		WithNanotime(in.clock.nanotime, sys.ClockResolution(resolution)).
		WithNanosleep(in.clock.nanosleep)
}

// renew makes clock, random numbers and output as they are at the start of a call.
func (in *instance) renew() {
	in.clock.renew()
	in.seeds.renew()
	in.printed.reset()
}

// fits reports whether the instance is as one that is made under that limit on memory, for
// calls that have shared inputs, or have none.
func (in *instance) fits(memory uint64, shares bool) bool {
	return in.shares == shares && in.linear.size <= memory && (in.starved == 0 || in.starved == memory)
}

// key is under what the slot keeps the instance.
func (in *instance) key() warmKey { return warmKey{in.code, in.shares, in.started} }

// close frees the instance. Views of its memory must not be used after it.
func (in *instance) close() error {
	if in.kept != nil {
		in.kept.end()
	}
	in.view, in.door, in.mem = nil, nil, nil
	var err error
	if in.mod != nil {
		err = in.mod.Close(context.Background())
	}
	in.scratch.empty()
	in.linear.Free()
	if in.image != nil {
		in.image.memory.free()
	}
	return err
}

// fail closes the instance after an error of wazero and explains the error.
func (in *instance) fail(err error) *Error {
	e := crashError(err, in.printed.String())
	in.linear.explain(e)
	e.Log, e.Usage = in.slot.logEnd(), in.usage()
	in.slot.used = e.Usage
	in.slot.host.crashed()
	if len(in.slot.errText) > 0 { // a guest may explain itself before it crashes
		e.Message += ": " + text(in.slot.errText)
	}
	if err := in.close(); err != nil {
		in.slot.host.cfg.Logger.Warn("closing an instance", "error", err)
	}
	return e
}

// usage returns what the call used that runs, or ran last.
func (in *instance) usage() Usage {
	return Usage{Instructions: in.gauge.count(), Memory: in.linear.peak}
}

// function returns the export of a task, nil where there is none.
func (in *instance) function(t *Task) *function {
	for t.index >= len(in.functions) {
		in.functions = append(in.functions, nil)
	}
	if in.functions[t.index] == nil {
		if f := in.mod.ExportedFunction(t.export); f != nil {
			in.functions[t.index] = newFunction(f)
		}
	}
	return in.functions[t.index]
}

// attach looks at the guest's memory for the first time.
func (in *instance) attach(mod api.Module) {
	if in.mem == nil && in.code.HasMemory {
		in.mem = mod.Memory()
		in.look()
	}
}

// look renews the views of the guest's memory, which grew and may have moved.
func (in *instance) look() {
	in.view, _ = in.mem.Read(0, in.mem.Size())
	if in.door != nil {
		in.door = in.view[in.doorAt:][:len(in.door)]
	}
}

// follow is look for memory that may have moved since the last call.
func (in *instance) follow() {
	if in.mem != nil && in.grown() {
		in.look()
	}
}

// grown reports whether look has work to do.
func (in *instance) grown() bool { return in.mem.Size() != uint32(len(in.view)) }

// memory returns a part of guest memory that an import was given. One outside
// it is a trap.
func (in *instance) memory(mod api.Module, name string, at, n uint32) []byte {
	if in.mem == nil {
		in.attach(mod)
	} else if in.grown() {
		in.look()
	}
	if uint64(at)+uint64(n) > uint64(len(in.view)) {
		raise(&abort{kind: KindTrap, message: fmt.Sprintf("import %s: %d bytes at %d are outside the guest's memory of %d bytes", name, n, at, len(in.view))})
	}
	return in.view[at:][:n:n]
}

// openDoor makes a part of guest memory, which was checked, the door.
func (in *instance) openDoor(at, n uint32) {
	in.doorAt, in.door = at, in.view[at:][:n:n]
	in.shutDoor()
}

// shutDoor says that no argument came through the door, and no result.
func (in *instance) shutDoor() {
	binary.LittleEndian.PutUint32(in.door[abi.DoorArgLen:], abi.DoorTooBig)
	binary.LittleEndian.PutUint32(in.door[abi.DoorResLen:], abi.DoorNone)
}

// begin makes c the call that runs, under the slot's limits. arg is its argument, if
// that is here.
func (in *instance) begin(c *Call, arg []byte) {
	in.call, in.taken, in.fetched = c, false, false
	in.calls++
	in.linear.most, in.linear.peak = in.slot.limits.Memory, 0
	in.linear.note()
	if !in.linear.fixed {
		in.follow()
	}
	if in.block.open {
		in.putSeeds(in.code.sum(arg))
	}
	if in.gauge.fuel != nil {
		in.gauge.begin(in.slot.limits)
	}
}

// beginRead is begin for a task that does not ask for its argument, as a rule. Should
// it do so all the same, the argument, which was read already, is there.
func (in *instance) beginRead(c *Call, arg []byte) {
	in.begin(c, arg)
	in.arg, in.fetched = arg, c.ReadArg != nil
}

// enter hands a call to the guest, through the door when the argument fits.
func (in *instance) enter(c *Call) {
	in.begin(c, c.Arg)
	door := in.door
	if door == nil {
		return
	}
	if c.ReadArg != nil || len(c.Arg) > len(door)-abi.DoorHeader {
		in.shutDoor()
		return
	}
	binary.LittleEndian.PutUint32(door[abi.DoorArgLen:], uint32(len(c.Arg)))
	binary.LittleEndian.PutUint32(door[abi.DoorResLen:], abi.DoorNone)
	copy(door[abi.DoorHeader:], c.Arg)
}

// leave returns the result of a call that returned status 0. It is a view of
// guest memory, if the guest left it there, or what it wrote.
func (in *instance) leave() (result []byte, bad *abort) {
	if in.door == nil {
		return in.slot.out, nil
	}
	if in.grown() {
		in.look()
	}
	n := binary.LittleEndian.Uint32(in.door[abi.DoorResLen:])
	if n == abi.DoorNone {
		return in.slot.out, nil
	}
	at := binary.LittleEndian.Uint32(in.door[abi.DoorResPtr:])
	if uint64(n) > in.slot.limits.Output {
		return nil, in.tooLong()
	}
	if uint64(at)+uint64(n) > uint64(len(in.view)) {
		return nil, &abort{kind: KindBadResult, message: "the task's result lies outside its memory"}
	}
	return in.view[at:][:n:n], nil
}

// tooLong says that the result is.
func (in *instance) tooLong() *abort {
	return &abort{kind: KindOutput, message: fmt.Sprintf("the result is longer than the limit of %d bytes", in.slot.limits.Output)}
}

// write appends to the call's result.
func (in *instance) write(part []byte) {
	s := in.slot
	if uint64(len(s.out))+uint64(len(part)) > s.limits.Output {
		raise(in.tooLong())
	}
	s.dirty = true
	in.growResult(len(part))
	for len(part) > piece {
		s.out = append(s.out, part[:piece]...)
		part = part[piece:]
		in.check()
	}
	s.out = append(s.out, part...)
}

// growResult makes room for n more bytes of the call's result, which is a block when
// it is long.
func (in *instance) growResult(n int) {
	s := in.slot
	need := len(s.out) + n
	switch {
	case need <= cap(s.out):
		return
	case need <= keepBuffer:
		s.out = slices.Grow(s.out, n)
		return
	}
	short := s.out
	wanted := max(uint64(need), min(2*uint64(need), s.limits.Output))
	err := s.long.grow(wanted, wanted)
	if err != nil {
		s.retireOthers(&in.linear)
		err = s.long.grow(uint64(need), uint64(need))
	}
	if err != nil {
		raise(&abort{kind: KindMemory, message: "there is no memory for the result: " + err.Error(), err: err})
	}
	s.out = s.long.space[:len(short)]
	if cap(short) <= keepBuffer { // it was not in the block
		copy(s.out, short)
	}
}

// takeArg reads a long argument straight into guest memory, which is dst and at at.
func (in *instance) takeArg(dst []byte, at uint32) {
	if in.taken {
		raise(&abort{kind: KindTrap, message: "import " + abi.InputRead + ": a long argument can be read whole only once"})
	}
	in.taken, in.takenAt = true, at
	in.readArg(dst)
}

// fetchArg returns a long argument that the guest reads in pieces.
func (in *instance) fetchArg() []byte {
	if !in.fetched {
		if in.taken {
			raise(&abort{kind: KindTrap, message: "import " + abi.InputRead + ": a long argument that was read whole cannot be read again"})
		}
		arg, err := in.slot.argMemory(argLen(in.call))
		if err != nil {
			raise(&abort{kind: KindMemory, message: err.Error(), err: err})
		}
		in.readArg(arg)
		in.arg, in.fetched = arg, true
		in.slot.dirty = true
	}
	return in.arg
}

func (in *instance) readArg(dst []byte) {
	if err := in.call.ReadArg(dst); err != nil {
		if ended := (*Error)(nil); errors.As(err, &ended) {
			raise(&abort{kind: ended.Kind, message: ended.Message, err: ended.err})
		}
		raise(&abort{kind: endedKind(err), message: fmt.Sprintf("reading the argument: %v", err), err: err})
	}
	if in.block.open && in.code.draws {
		in.putSeeds(in.quickSum(dst))
	}
}
