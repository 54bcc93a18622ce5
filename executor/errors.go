package executor

import (
	"context"
	"errors"
	"fmt"

	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/internal/wire"
)

// Errors of this rank: the call did not come back from a task.
var (
	// ErrClosed is returned for calls made after Shutdown began, and for those
	// that Shutdown dropped.
	ErrClosed = errors.New("executor: closed")

	// ErrCancelled is the error of a future whose Cancel returned true.
	ErrCancelled = errors.New("executor: the call was cancelled")

	// ErrNoWorkers is matched when every worker is lost.
	ErrNoWorkers = errors.New("executor: every worker is lost")

	// ErrLaunch is matched by the error of [Run] when the launcher does not fit
	// the program. Every rank gets it.
	ErrLaunch = errors.New("executor: the launcher does not fit the program")

	// ErrWorkerLost is matched by a [TaskError] of kind lost: the workers that
	// ran the call died.
	ErrWorkerLost = errors.New("executor: the worker is lost")
)

// Kind tells how a task failed. See the constants of package host.
type Kind = host.Kind

// A TaskError says that a task failed; the job itself is healthy. Any other
// error of a call comes from this rank: the transport, or the caller.
type TaskError struct {
	Task    string // as the caller named it
	Kind    Kind
	Code    int    // a status of 64 and up, or an exit code
	Message string // what the task said, or what ended it
	Stack   string // of the guest, when there is one
	Stderr  string // the end of what the guest wrote there
	Rank    int    // of the worker
	Host    string // of the worker
	Attempt int    // 1 for the first run
}

// Error names the task, the kind of failure and the rank.
func (e *TaskError) Error() string {
	msg := e.Message
	if msg == "" {
		msg = "no message"
	}
	return fmt.Sprintf("executor: task %q failed on rank %d (%s): %s", e.Task, e.Rank, e.Kind, msg)
}

// Is matches the sentinel of the error's kind, and the context errors.
func (e *TaskError) Is(target error) bool {
	switch target {
	case ErrWorkerLost:
		return e.Kind == host.KindLost
	case ErrCancelled, context.Canceled:
		return e.Kind == host.KindCancelled
	case context.DeadlineExceeded:
		return e.Kind == host.KindTimeout
	}
	return false
}

// taskError makes the error of a failed result.
func taskError(f *Future, w *worker, body []byte) *TaskError {
	e := &TaskError{Task: f.task.name, Rank: w.rank, Host: w.host, Attempt: int(f.attempt)}
	var failure wire.Failure
	if err := wire.Decode(wire.KindResults, body, &failure); err != nil {
		e.Kind, e.Message = host.KindHost, err.Error()
		return e
	}
	e.Kind, e.Code, e.Message = host.Kind(failure.Kind), failure.Code, failure.Message
	e.Stack, e.Stderr = failure.Stack, failure.Stderr
	return e
}
