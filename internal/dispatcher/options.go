package dispatcher

import (
	"cmp"
	"sync/atomic"

	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/internal/wire"
)

// Options are what calls are told besides their arguments. They are shared by the calls of
// one map and never change. A zero field says nothing.
type Options struct {
	Limits   *host.Limits
	Retry    *RetryPolicy
	Tags     []string
	Shared   *SharedInputs
	Attached any         // the caller's own
	Origin   *Origin     // of the feeder that has submitted the call
	Results  Results     // of the map that the call is of
	Settling func(*Call) // called when the call is about to be resolved
	Left     func()      // called when the call has its outcome
	Keeper   Keeper      // told of the call's result; nil without

	Duplicate bool    // the call may run on two workers at once
	SpotCheck float64 // the share of calls that run again to compare their results, from 0 to 1

	Find  Finder     // of a call whose argument is another's result; nil without
	usage host.Usage // of a run that has ended; set on a copy that is the call's own
}

// A Keeper is told of the result of a call before the call is resolved.
type Keeper interface {
	// Keep takes note of a result, which it copies as far as it needs it. asked says whether the guest has asked which call it is. It
	// runs on the loop.
	Keep(c *Call, result []byte, asked bool)
}

// A Finder looks for the result of a call whose argument is known by now. It may block, and sets the options that the call is to run with
// where it finds none.
type Finder func(arg []byte) (result []byte, found bool, options *Options)

// An Origin stands for a feeder in its calls. One call may be kept for long: it must
// not keep the feeder, and with it a batch and its results.
type Origin struct {
	dropped atomic.Bool // no call is to run again; the loop reads it, so it is not beside what changes all the time
}

// Drop makes the calls run no more: those that are taken in from now on, and those that would run again.
func (o *Origin) Drop() { o.dropped.Store(true) }

// Dropped reports whether Drop was called.
func (o *Origin) Dropped() bool { return o.dropped.Load() }

// Results count the results of a map that were not taken.
type Results interface {
	// Hold notes a result of n bytes before its call is resolved, and that the argument, of so many
	// bytes, is not needed any more. Where the call has failed both are 0. It runs on the loop.
	Hold(n, arg int64)

	// HoldShort is Hold for so many results shorter than BlockArg, of arguments that are.
	HoldShort(results int)

	// Drop undoes Hold for a call that was cancelled meanwhile: nobody will take its result.
	Drop(n, arg int64)
}

// wireLimits returns the limits for a calls frame, nil for those of the pool.
func (o *Options) wireLimits() *wire.Limits {
	if o.Limits == nil {
		return nil
	}
	l := o.Limits
	return &wire.Limits{Time: int64(l.Time), Memory: l.Memory, Output: l.Output, Log: l.Log, Instructions: l.Instructions}
}

// more returns the options for the run after a failure.
func (o *Options) more(kind host.Kind) *Options {
	p := o.Retry
	if o.Limits == nil || kind != host.KindMemory && kind != host.KindTimeout {
		return o
	}
	next, limits := *o, *o.Limits
	if kind == host.KindMemory {
		limits.Memory = times(limits.Memory, p.MoreMemory)
	} else {
		limits.Time = times(limits.Time, p.MoreTime)
	}
	next.Limits = &limits
	return &next
}

// times returns a number of bytes or time, times a factor where there is one. It stays a limit.
func times[T ~int64 | ~uint64](n T, factor float64) T {
	const most = 1 << 62
	return T(min(float64(n)*cmp.Or(factor, 1), most))
}
