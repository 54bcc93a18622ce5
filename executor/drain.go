package executor

import (
	"context"

	"github.com/wasmpool/wasmpool/internal/dispatcher"
)

// ErrDrained is the error of calls that [Executor.Drain] kept from running. It matches
// [ErrInterrupted] and [ErrClosed].
var ErrDrained error = drainedError{}

type drainedError struct{}

// Error says what became of the pool.
func (drainedError) Error() string {
	return "executor: the pool was drained: no call is begun any more"
}

// Is matches the sentinels.
func (drainedError) Is(target error) bool { return target == ErrInterrupted || target == ErrClosed }

// Drain ends the pool's work in order, as a signal does, but without a bound on time: no call is begun any more,
// also of forks, and those that wait end with [ErrDrained], as do those that are submitted later. Calls that run come
// to their end. Then the context ends that [Run] gave to root, with ErrDrained as its cause, and Run returns that, beside
// another error of root. Drain does not block, and may be called more than once. A signal that comes meanwhile does what it always does.
func (ex *Executor) Drain() {
	if ex.drained.Swap(true) {
		return
	}
	drained := make(chan struct{})
	ex.dispatcher.Close(ErrDrained)
	ex.dispatcher.Request(func(l *dispatcher.Loop) { l.Drain(ErrDrained, drained) })
	go func() {
		select {
		case <-drained:
			ex.endRoot(ErrDrained)
		case <-ex.done:
		}
	}()
}

// rootContext returns root's context: a Drain ends it, too.
func (ex *Executor) rootContext(ctx context.Context) (context.Context, context.CancelCauseFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	ex.cancelRoot.Store(&cancel)
	return ctx, cancel
}

// endRoot ends root's context, if there is one.
func (ex *Executor) endRoot(cause error) {
	if cancel := ex.cancelRoot.Load(); cancel != nil {
		(*cancel)(cause)
	}
}
