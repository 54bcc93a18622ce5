package executor

import (
	"context"

	"github.com/wasmpool/wasmpool/internal/dispatcher"
)

// A ShutdownOption changes what Shutdown does.
type ShutdownOption struct{ cancel, noWait bool }

// CancelPending makes Shutdown resolve the calls that have not begun with [ErrCancelled]
// instead of running them, those too that rest before another run; and none runs
// again.
func CancelPending() ShutdownOption { return ShutdownOption{cancel: true} }

// NoWait makes Shutdown return at once. What was submitted still runs,
// unless [CancelPending] is given too.
func NoWait() ShutdownOption { return ShutdownOption{noWait: true} }

// Shutdown refuses new calls, waits until all that were submitted are resolved,
// stops the workers and waits for the local ones; on a fork it leaves the
// workers alone. When ctx ends first, the remaining calls are resolved with
// [ErrClosed] (on a fork, those that a worker has are killed, also before they have
// begun); then Shutdown does not wait
// longer and returns ctx's error. Calling it again waits again. It returns the
// error that broke the pool, if one did. Then it waits until the
// callbacks of those calls have run, as [Run] does, but not where a callback calls it.
//
// Arguments of a map, batch or stream that were not read yet are not submitted any more: it ends
// with [ErrClosed] after the calls that were. To have all of them run, wait for
// it first, or use package pool, whose Join waits for inputs.
func (ex *Executor) Shutdown(ctx context.Context, opts ...ShutdownOption) error {
	var all ShutdownOption
	for _, o := range opts {
		all.cancel = all.cancel || o.cancel
		all.noWait = all.noWait || o.noWait
	}
	if ex.fork != nil {
		ex.fork.close()
		ex.dispatcher.Seal()
	} else {
		ex.closing.Do(func() { ex.dispatcher.Close(ErrClosed) })
	}
	if all.cancel {
		ex.owner.End(ErrCancelled)
		ex.CancelAll()
	}
	if ex.fork == nil {
		ex.dispatcher.Request(func(l *dispatcher.Loop) { l.Stop(all.cancel) })
	}
	if all.noWait {
		return nil
	}
	if ex.fork != nil {
		return ex.awaitFork(ctx)
	}
	if !await(ctx, ex.done) {
		ex.abandon()
		return ctx.Err()
	}
	return join(ex.err, ex.calls.through(ctx))
}

// await waits for c. It returns false when ctx ends first: not when both are there.
func await(ctx context.Context, c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
	}
	select {
	case <-c:
		return true
	case <-ctx.Done():
		return false
	}
}

// awaitFork waits for a fork as Shutdown does.
func (ex *Executor) awaitFork(ctx context.Context) error {
	if !await(ctx, ex.fork.ended()) {
		ex.owner.End(ErrClosed) // for a Submit that is on its way
		ex.dispatcher.Request(func(l *dispatcher.Loop) {
			l.DropPending(ex.owns, ErrClosed)
			l.KillWhere(ex.owns, "the executor was shut down")
		})
		return ctx.Err()
	}
	return join(ex.dispatcher.Failure(), ex.calls.through(ctx))
}

// Idle reports whether the pool has nothing to do: no call waits, rests or
// runs. It waits for the loop, as Stats does.
func (ex *Executor) Idle(ctx context.Context) (bool, error) {
	st, err := ex.Stats(ctx)
	return err == nil && st.Queued == 0 && st.InFlight == 0 && st.Resting == 0, err
}

// Closed reports whether the executor takes no calls any more.
func (ex *Executor) Closed() bool {
	return !ex.dispatcher.Takes() || ex.fork != nil && !ex.fork.takes()
}
