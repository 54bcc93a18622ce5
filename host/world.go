package host

import (
	"math/rand/v2"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/sys"

	"github.com/wasmpool/wasmpool/internal/abi"
)

const (
	// epoch is when a guest's clock starts: 2022-01-01 UTC, in nanoseconds.
	epoch = 1_640_995_200_000_000_000

	// reading is how much a guest's clock advances each time it is read.
	reading = 1_000_000
)

// A world is all that a guest sees of the world outside, by default nothing
// real: it makes the same call give the same bytes each time, on every rank.
//
// The clock advances a millisecond with each reading, and a guest that sleeps
// is woken at once with its clock put forward. The wall clock and the random
// numbers start anew with every call. The monotonic clock never goes back, as
// the guest's runtime relies on it.
type world struct {
	slot    *Slot
	wall    int64
	mono    int64
	random  *rand.ChaCha8
	printed printed // by the guest, to stdout and stderr
}

func (w *world) init(in *instance) {
	w.slot = in.slot
	w.printed.slot = in.slot
	w.random = rand.NewChaCha8([32]byte{})
	w.renew()
}

// renew makes the world as it is at the start of a call.
func (w *world) renew() {
	w.wall = epoch
	w.random.Seed([32]byte{})
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
		WithWalltime(w.walltime, sys.ClockResolution(reading)).
		WithNanotime(w.nanotime, sys.ClockResolution(reading)).
		WithNanosleep(w.nanosleep)
}

// Read implements [io.Reader] with random numbers that are always the same.
func (w *world) Read(p []byte) (int, error) {
	w.slot.dirty = true
	return w.random.Read(p)
}

func (w *world) walltime() (sec int64, nsec int32) {
	w.slot.dirty = true
	now := w.wall
	w.wall += reading
	return now / 1e9, int32(now % 1e9)
}

func (w *world) nanotime() int64 {
	now := w.mono
	w.mono += reading
	return now
}

func (w *world) nanosleep(ns int64) {
	if ns > 0 {
		w.slot.dirty = true
		w.wall += ns
		w.mono += ns
	}
}

// mostPrinted is how much of a guest's output is kept.
const mostPrinted = 16 << 10

// printed keeps the end of what a guest prints.
type printed struct {
	slot *Slot
	text []byte
}

// Write implements [io.Writer].
func (p *printed) Write(part []byte) (int, error) {
	p.slot.dirty = true
	n := len(part)
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
