package host

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/tetratelabs/wazero/api"

	"github.com/wasmpool/wasmpool/internal/meter"
)

// slice is how many instructions a guest executes between two ticks: some
// 100 µs to 300 µs of work. A tick costs about 150 ns. See docs/limits.md.
const slice = 1 << 18

// A gauge counts what a guest executes. The rewritten module takes each
// instruction off a global, its fuel, and calls the import tick when that falls
// below zero.
type gauge struct {
	fuel    api.MutableGlobal // nil in a module that is not rewritten
	granted int64             // what fuel was last set to
	used    uint64            // instructions, before that
	budget  uint64

	limit    time.Duration // not positive: none
	deadline int64         // by the host's stopwatch; 0 before the first tick
}

// attach finds the fuel of an instance. What it executed before is not known.
func (g *gauge) attach(mod api.Module) {
	fuel, ok := mod.ExportedGlobal(meter.Fuel).(api.MutableGlobal)
	if ok {
		g.fuel, g.granted = fuel, int64(fuel.Get())
	}
}

// begin starts to count anew.
func (g *gauge) begin(l *Limits) {
	g.used, g.budget = 0, l.Instructions
	g.limit, g.deadline = l.Time, 0
	g.fuel.Set(uint64(g.grant()))
}

// grant returns what may be executed until the next tick. It never lets the
// budget be passed without one: so where a call ends does not depend on slices.
func (g *gauge) grant() int64 {
	g.granted = int64(min(slice, g.budget-g.used))
	return g.granted
}

// count returns how many instructions were executed since begin.
func (g *gauge) count() uint64 {
	if g.fuel == nil {
		return 0
	}
	return g.used + uint64(g.granted-int64(g.fuel.Get()))
}

// tick is called by the guest when its fuel is used up, from wherever it is. It
// ends a call that may not go on. It is also where a guest that computes lets
// Go stop the world, or run something else in its place.
func tick(ctx context.Context, mod api.Module, stack []uint64) {
	in := ctx.(*instance)
	in.fuel(mod)
	in.payUp()
	stack[0] = uint64(in.gauge.grant())
}

// payUp leaves the guest, whose fuel is used up, if its call may not go on.
func (in *instance) payUp() {
	in.slot.ticks.Add(1)
	g := &in.gauge
	g.used, g.granted = g.count(), int64(g.fuel.Get())
	if g.used > g.budget {
		raise(&abort{kind: KindBudget, message: fmt.Sprintf("it executed %d instructions, its budget", g.budget)})
	}
	in.check()
}

// fuel returns the fuel of the guest that runs, or starts; nil for a module that is not
// rewritten.
func (in *instance) fuel(mod api.Module) api.MutableGlobal {
	g := &in.gauge
	if g.fuel == nil && !in.slot.host.cfg.NoMeter {
		g.attach(mod)
		g.budget = math.MaxUint64
		g.limit = in.slot.startLimit()
	}
	return g.fuel
}

// check leaves the guest if its call is to end, for another reason than the
// budget.
func (in *instance) check() {
	in.slot.beat(false)
	if a := in.slot.ended(); a != nil {
		raise(a)
	}
	if in.remaining() <= 0 {
		raise(&abort{kind: KindTimeout, message: fmt.Sprintf("it ran for %v, its limit", in.gauge.limit)})
	}
}

// perInstruction is how many bytes that an import moves count as an instruction.
const perInstruction = 16

func instructionsFor(bytes uint64) uint64 { return bytes / perInstruction }

// pay takes what an import costs off the fuel. When that is used up it does what a tick
// does: the guest has none on its way from one import to the next.
func (in *instance) pay(mod api.Module, cost uint64) {
	if cost == 0 || in.fuel(mod) == nil {
		return
	}
	in.charge(cost)
	in.settle()
}

// settle leaves the guest if more was charged than its call may have.
func (in *instance) settle() {
	if fuel := in.gauge.fuel; fuel != nil && int64(fuel.Get()) < 0 {
		in.payUp()
		fuel.Set(uint64(in.gauge.grant()))
	}
}

// charge is pay for what an import finds out while it works.
func (in *instance) charge(cost uint64) {
	if fuel := in.gauge.fuel; fuel != nil {
		fuel.Set(fuel.Get() - cost)
	}
}

// piece is how many bytes are moved without a look whether the call is to end.
const piece = 1 << 20

// inPieces reads into p, as [io.Reader] does, until it is full or a read is short.
func (in *instance) inPieces(p []byte, read func([]byte) (int, error)) (n int, err error) {
	for {
		part := p[n:min(len(p), n+piece)]
		m, err := read(part)
		if n += m; err != nil || m < len(part) || n == len(p) {
			return n, err
		}
		in.check()
	}
}

// copy is the built-in, for memory of any length.
func (in *instance) copy(dst, src []byte) {
	for len(dst) > piece && len(src) > piece {
		copy(dst[:piece], src)
		dst, src = dst[piece:], src[piece:]
		in.check()
	}
	copy(dst, src)
}

// remaining returns how long the call may still run.
func (in *instance) remaining() time.Duration {
	g := &in.gauge
	if g.limit <= 0 {
		return math.MaxInt64
	}
	now := in.slot.now()
	if g.deadline == 0 {
		g.deadline = now + int64(min(g.limit, math.MaxInt64/2))
	}
	return time.Duration(g.deadline - now)
}

// startLimit returns how long an instance may take to start.
func (s *Slot) startLimit() time.Duration {
	if s.limits != nil && s.limits.Time > 0 {
		return s.limits.Time
	}
	return startTime
}
