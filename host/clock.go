package host

import "math"

const (
	// epoch is when a guest's clock starts: 2022-01-01 UTC, in nanoseconds.
	epoch = 1_640_995_200_000_000_000

	// resolution is the step in which a guest's clock moves, in nanoseconds.
	resolution = 1_000_000

	// readings is how often a guest must read its clock for it to move by a
	// step.
	readings = 1000
)

// A clock is what a guest knows of time, by default nothing real: it makes the same call
// give the same bytes each time, on every rank.
//
// A guest that sleeps is woken at once with its clock put forward. Else the
// clock stands still, unless it is read so often that the guest seems to wait
// for it to move: a few readings more or less, by the guest's runtime, do not
// show. The wall clock starts anew with every call. The monotonic clock never goes back in
// the life of an instance: a guest's runtime may hold timers that a call left behind. Where an
// instance is put back to its image, so is that clock.
type clock struct {
	in    *instance
	begin int64 // monotonic time when the call began
	slept int64 // since
	read  int64 // times, since
}

// renew makes the clock as it is at the start of a call.
func (c *clock) renew() {
	c.begin = min(c.begin+c.elapsed(), endOfTime)
	c.slept, c.read = 0, 0
}

// elapsed returns how long the call took, as the guest sees it.
func (c *clock) elapsed() int64 { return c.slept + c.read/readings*resolution }

// look reads the clock.
func (c *clock) look() int64 {
	c.in.slot.dirty = true
	c.read++
	return c.elapsed()
}

func (c *clock) walltime() (sec int64, nsec int32) {
	now := epoch + c.look()
	return now / 1e9, int32(now % 1e9)
}

func (c *clock) nanotime() int64 { return c.begin + c.look() }

func (c *clock) nanosleep(ns int64) {
	c.in.slot.dirty = true
	c.slept += min(max(ns, 0), endOfTime-c.slept)
}

// endOfTime bounds the clock of a guest that only sleeps: some 140 years.
const endOfTime = math.MaxInt64 / 2

// exhausted reports whether the clock is so far ahead that it could not go on.
func (c *clock) exhausted() bool { return c.begin > endOfTime-math.MaxInt64/8 }
