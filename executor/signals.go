package executor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/wasmpool/wasmpool/internal/dispatcher"
)

// ErrInterrupted is matched by a [SignalError], and by [ErrDrained].
var ErrInterrupted = errors.New("executor: interrupted by a signal")

// A SignalError is what [Run] returns after a signal, and the error of the calls
// that the signal kept from running. It matches [ErrInterrupted] and [ErrClosed].
type SignalError struct{ Signal syscall.Signal }

// Error names the signal.
func (e *SignalError) Error() string {
	return fmt.Sprintf("executor: interrupted by a signal (%v)", e.Signal)
}

// Is matches the sentinels.
func (e *SignalError) Is(target error) bool { return target == ErrInterrupted || target == ErrClosed }

// ExitCode returns the exit code for what [Run] returned: 0 for nil, 128 and the
// signal's number after a signal, as shells have it (130 for SIGINT, 143 for
// SIGTERM, 138 for SIGUSR1, 129 for SIGHUP), 130 for [ErrDrained], else 1.
func ExitCode(err error) int {
	var s *SignalError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &s):
		return exitOf(s.Signal)
	case errors.Is(err, ErrDrained):
		return exitOf(syscall.SIGINT)
	default:
		return 1
	}
}

func exitOf(s syscall.Signal) int { return 128 + int(s) }

// untilSignal returns root's context, which a signal ends as watchSignals says, unless signals are
// left to the program. The returned function ends the context, and the watching, and returns
// the first signal's error if there was one.
func (ex *Executor) untilSignal(ctx context.Context) (context.Context, func() error) {
	if !ex.cfg.NoSignals {
		return ex.watchSignals(ctx)
	}
	ctx, cancel := ex.rootContext(ctx)
	return ctx, func() error {
		cancel(nil)
		return nil
	}
}

// watchSignals makes the executor stop in order after a signal: nothing is begun any
// more, calls that run may end within the grace, then they are killed and the
// returned context ends. A second signal ends the process at once, unless it is a
// SIGHUP. The returned
// function stops watching, and returns the first signal's error if there was one.
func (ex *Executor) watchSignals(ctx context.Context) (context.Context, func() error) {
	ctx, cancel := ex.rootContext(ctx)
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, stopSignals()...)
	signal.Notify(signals, reportSignals...)
	quit := make(chan struct{})
	var first *SignalError
	var work sync.WaitGroup
	work.Go(func() {
		for {
			select {
			case <-quit:
				return
			case s := <-signals:
				switch {
				case isReport(s):
					work.Go(func() { ex.logReport(ctx) })
				case first != nil && isHangup(s):
				case first != nil:
					os.Exit(exitOf(first.Signal))
				default:
					first = &SignalError{meant(s)}
					work.Go(func() { ex.drain(ctx, first, cancel) })
				}
			}
		}
	})
	return ctx, func() error {
		signal.Stop(signals)
		close(quit)
		cancel(nil)
		work.Wait()
		if first != nil {
			return first
		}
		return nil
	}
}

// meant returns what a signal stands for: to a root on another host wasmpool launch
// sends the one that launchers hand on as it is, whatever came.
func meant(s os.Signal) syscall.Signal {
	if told, ok := toldToStop(); ok {
		return told
	}
	return s.(syscall.Signal) //nolint:forcetypeassert // on every system that Go knows
}

// drain ends the executor's work after a signal.
func (ex *Executor) drain(ctx context.Context, cause *SignalError, cancel context.CancelCauseFunc) {
	defer cancel(cause)
	grace := max(ex.cfg.Grace, 0)
	ex.cfg.Logger.Warn("a signal came: no call is begun any more, those that run may end; a second one ends all at once", "signal", cause.Signal, "grace", grace)
	drained := make(chan struct{})
	ex.dispatcher.Close(cause)
	ex.dispatcher.Request(func(l *dispatcher.Loop) { l.Drain(cause, drained) })
	over := time.NewTimer(grace)
	defer over.Stop()
	select {
	case <-drained:
		return
	case <-ex.done:
		return
	case <-ctx.Done(): // root has returned
		return
	case <-over.C:
	}
	ex.dispatcher.Request(func(l *dispatcher.Loop) { l.KillWhere(everyCall, cause.Error()) })
	patience := time.NewTimer(killPatience)
	defer patience.Stop()
	select {
	case <-drained:
	case <-ex.done:
	case <-ctx.Done():
	case <-patience.C:
	}
}

// killPatience is for how long the end waits for workers to kill what they run.
const killPatience = 2 * time.Second

// logReport logs the Report.
func (ex *Executor) logReport(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 2*dispatcher.Patience)
	defer cancel()
	r, err := ex.Report(ctx)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		ex.cfg.Logger.Error("the executor does not report: its loop stands still", "error", err)
		return
	case err != nil: // it has ended
		return
	}
	ex.cfg.Logger.Warn("a report was asked for", "report", r.String())
}

// ignoreStop keeps a worker alive when all ranks of a job get a signal: the root
// decides when it is over. A second signal ends the process. The returned function
// undoes it.
func ignoreStop() func() {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, stopSignals()...)
	signal.Notify(signals, reportSignals...)
	quit, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for n := 0; ; {
			select {
			case <-quit:
				return
			case s := <-signals:
				if isReport(s) || isHangup(s) {
					continue
				}
				if n++; n > 1 {
					os.Exit(exitOf(s.(syscall.Signal))) //nolint:forcetypeassert // as in watchSignals
				}
			}
		}
	}()
	return func() {
		signal.Stop(signals)
		close(quit)
		<-ended
	}
}
