package host

import (
	"math"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/sys"

	"github.com/wasmpool/wasmpool/internal/abi"
)

const (
	// epoch is when a guest's clock starts: 2022-01-01 UTC, in nanoseconds.
	epoch = 1_640_995_200_000_000_000

	// resolution is the step in which a guest's clock moves, in nanoseconds.
	resolution = 1_000_000

	// readings is how often a guest must read its clock for it to move by a
	// step.
	readings = 1000
)

// A world is all that a guest sees of the world outside, by default nothing
// real: it makes the same call give the same bytes each time, on every rank.
//
// A guest that sleeps is woken at once with its clock put forward. Else the
// clock stands still, unless it is read so often that the guest seems to wait
// for it to move: a few readings more or less, by the guest's runtime, do not
// show. The wall clock starts anew with every call, and so do the random numbers,
// which are made from the call. The monotonic clock never goes back in the life of
// an instance: a guest's runtime may hold timers that a call left behind. Where an
// instance is put back to its image, so is that clock.
type world struct {
	in      *instance
	begin   int64 // monotonic time when the call began
	slept   int64 // since
	read    int64 // times, since
	seeds   seeds
	printed printed // by the guest, to stdout and stderr
}

func (w *world) init(in *instance) {
	w.in = in
	w.begin = resolution // Go does not start at zero
	w.printed.in = in
}

// renew makes the world as it is at the start of a call.
func (w *world) renew() {
	w.begin = min(w.begin+w.elapsed(), endOfTime)
	w.slept, w.read = 0, 0
	w.seeds.renew()
	w.printed.reset()
}

// config returns what an instance is made with.
func (w *world) config() wazero.ModuleConfig {
	return wazero.NewModuleConfig().
		WithName(""). // so that there can be many
		WithStartFunctions(abi.Initialize).
		WithStdout(&w.printed).
		WithStderr(&w.printed).
		WithRandSource(w).
		WithWalltime(w.walltime, sys.ClockResolution(resolution)).
		WithNanotime(w.nanotime, sys.ClockResolution(resolution)).
		WithNanosleep(w.nanosleep)
}

// elapsed returns how long the call took, as the guest sees it.
func (w *world) elapsed() int64 { return w.slept + w.read/readings*resolution }

// look reads the clock.
func (w *world) look() int64 {
	w.in.slot.dirty = true
	w.read++
	return w.elapsed()
}

func (w *world) walltime() (sec int64, nsec int32) {
	now := epoch + w.look()
	return now / 1e9, int32(now % 1e9)
}

func (w *world) nanotime() int64 { return w.begin + w.look() }

func (w *world) nanosleep(ns int64) {
	w.in.slot.dirty = true
	w.slept += min(max(ns, 0), endOfTime-w.slept)
}

// endOfTime bounds the clock of a guest that only sleeps: some 140 years.
const endOfTime = math.MaxInt64 / 2

// exhausted reports whether the clock is so far ahead that it could not go on.
func (w *world) exhausted() bool { return w.begin > endOfTime-math.MaxInt64/8 }

// mostPrinted is how much of a guest's output is kept.
const mostPrinted = 16 << 10

// printed keeps the end of what a guest prints.
type printed struct {
	in   *instance
	text []byte
}

// Write implements [io.Writer].
func (p *printed) Write(part []byte) (int, error) {
	n := len(part)
	p.in.slot.addLog(n)
	p.in.stream(part)
	part = part[max(0, n-mostPrinted):]
	if len(p.text)+len(part) > 2*mostPrinted {
		p.text = append(p.text[:0], p.text[len(p.text)-mostPrinted:]...)
	}
	p.text = append(p.text, part...)
	return n, nil
}

// String returns the last 16 KiB.
func (p *printed) String() string {
	return text(p.text[max(0, len(p.text)-mostPrinted):])
}

func (p *printed) reset() { p.text = p.text[:0] }
