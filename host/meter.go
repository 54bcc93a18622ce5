package host

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/tetratelabs/wazero/api"
)

// slice is how many instructions a guest executes between two ticks: some
// 100 µs to 300 µs of work. A tick costs about 150 ns. See docs/limits.md.
const slice = 1 << 18

// A meter counts what a guest executes. The rewritten module takes each
// instruction off a global, its fuel, and calls the import tick when that falls
// below zero.
type meter struct {
	fuel    api.MutableGlobal // nil in a module that is not rewritten
	granted int64             // what fuel was last set to
	used    uint64            // instructions, before that
	budget  uint64

	limit    time.Duration // not positive: none
	deadline int64         // by nanotime; 0 before the first tick
}

// attach finds the fuel of an instance. What it executed before is not known.
func (m *meter) attach(mod api.Module) {
	fuel, ok := mod.ExportedGlobal(fuelGlobal).(api.MutableGlobal)
	if ok {
		m.fuel, m.granted = fuel, int64(fuel.Get())
	}
}

// begin starts to count anew.
func (m *meter) begin(l *Limits) {
	m.used, m.budget = 0, l.Instructions
	m.limit, m.deadline = l.Time, 0
	m.fuel.Set(uint64(m.grant()))
}

// grant returns what may be executed until the next tick. It never lets the
// budget be passed without one: so where a call ends does not depend on slices.
func (m *meter) grant() int64 {
	m.granted = int64(min(slice, m.budget-m.used))
	return m.granted
}

// count returns how many instructions were executed since begin.
func (m *meter) count() uint64 {
	if m.fuel == nil {
		return 0
	}
	return m.used + uint64(m.granted-int64(m.fuel.Get()))
}

// tick is called by the guest when its fuel is used up, from wherever it is. It
// ends a call that may not go on. It is also where a guest that computes lets
// Go stop the world, or run something else in its place.
func tick(ctx context.Context, mod api.Module, stack []uint64) {
	in := ctx.(*instance)
	m := &in.meter
	if m.fuel == nil {
		m.attach(mod)
		m.granted = 0 // no instruction of the start is counted
		m.budget = math.MaxUint64
		m.limit = in.slot.startLimit()
	}
	m.used, m.granted = m.count(), int64(m.fuel.Get())
	if m.used > m.budget {
		raise(&abort{kind: KindBudget, message: fmt.Sprintf("it executed %d instructions, its budget", m.budget)})
	}
	in.check()
	stack[0] = uint64(m.grant())
}

// check leaves the guest if its call is to end, for another reason than the
// budget.
func (in *instance) check() {
	if a := in.slot.ended(); a != nil {
		raise(a)
	}
	if in.meter.remaining() <= 0 {
		raise(&abort{kind: KindTimeout, message: fmt.Sprintf("it ran for %v, its limit", in.meter.limit)})
	}
}

// remaining returns how long the call may still run.
func (m *meter) remaining() time.Duration {
	if m.limit <= 0 {
		return math.MaxInt64
	}
	now := nanotime()
	if m.deadline == 0 {
		m.deadline = now + int64(min(m.limit, math.MaxInt64/2))
	}
	return time.Duration(m.deadline - now)
}

// startLimit returns how long an instance may take to start.
func (s *Slot) startLimit() time.Duration {
	if s.limits != nil && s.limits.Time > 0 {
		return s.limits.Time
	}
	return startTime
}

// tickImport is what rewritten modules import from [abi.Module].
const tickImport = "tick"

// fuelGlobal is the export of the rewritten module that holds its fuel.
const fuelGlobal = "wasmpool_fuel"
