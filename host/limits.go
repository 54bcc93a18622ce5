package host

import (
	"math"
	"time"
)

// Unlimited lifts a limit that is a number of bytes or instructions.
const Unlimited = math.MaxUint64

// Limits bound what one call may use. In the limits of a call, a zero field
// stands for the host's ([Config.Limits]); in those of a host, for the default.
// A call that goes past a limit fails, with the kind that is named here, and
// only it. The numbers of bytes and instructions are lifted with [Unlimited].
type Limits struct {
	// Time is how long the call may run on its slot. It is counted from the
	// first tick, so to less than a millisecond, and includes neither the
	// waiting for a slot nor the loading of the module, nor time in which the process
	// was stopped. [KindTimeout]. The default is no limit, as is a negative number.
	Time time.Duration `json:"time,omitempty"`

	// Memory is how large the guest's linear memory may become, in bytes. A
	// guest that asks for more is refused it; one that crashes, or fails, upon that
	// ends with [KindMemory]. It is the default, and never more than, the host's
	// [Config.MemoryLimit]. What the process cannot have in any case, by its node's
	// memory, control group or rlimits, ends the call at once, with that kind.
	Memory uint64 `json:"memory,omitempty"`

	// Output bounds the bytes of the result. [KindOutput]. Defaults to 256 MiB: the
	// results of many calls meet on one root.
	Output uint64 `json:"output,omitempty"`

	// Log bounds the bytes the guest logs and prints. A line of the log counts
	// 128 bytes more, also an empty one. [KindOutput]. Defaults to 16 MiB.
	Log uint64 `json:"log,omitempty"`

	// Instructions bounds what the guest executes, in instructions of the
	// module as it was before it was rewritten. The count is the same on every
	// run and every rank: see docs/limits.md. [KindBudget]. The default is no
	// limit.
	Instructions uint64 `json:"instructions,omitempty"`
}

const (
	defaultOutput = 256 << 20
	defaultLog    = 16 << 20

	// startTime bounds how long an instance may take to start where the call
	// that needs it has no limit.
	startTime = time.Minute
)

// forStart returns the limits of what runs for all the calls of an instance before the first of them, an initializer or a kept command's
// start: time, a minute or more where a call with these limits has more, but no instructions, which are counted for each call alike.
func (l Limits) forStart() Limits {
	return Limits{Time: max(l.Time, startTime), Instructions: Unlimited}
}

// withDefaults returns the limits of a host whose instances have at most
// memory bytes.
func (l Limits) withDefaults(memory uint64) Limits {
	return l.Over(Limits{Time: -1, Memory: memory, Output: defaultOutput, Log: defaultLog, Instructions: Unlimited}).within(memory)
}

// within returns l with no more memory than most.
func (l Limits) within(most uint64) Limits {
	l.Memory = min(l.Memory, most)
	return l
}

// Over returns l with its zero fields taken from base.
func (l Limits) Over(base Limits) Limits {
	if l.Time == 0 {
		l.Time = base.Time
	}
	for _, f := range []struct{ own, base *uint64 }{
		{&l.Memory, &base.Memory}, {&l.Output, &base.Output}, {&l.Log, &base.Log}, {&l.Instructions, &base.Instructions},
	} {
		if *f.own == 0 {
			*f.own = *f.base
		}
	}
	return l
}

// Usage says what one call used.
type Usage struct {
	Instructions uint64 `json:"instructions"` // executed; 0 where modules are not metered
	Memory       uint64 `json:"memory"`       // bytes of linear memory, at its peak
}
