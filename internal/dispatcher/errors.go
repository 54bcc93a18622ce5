package dispatcher

import (
	"errors"

	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/internal/wire"
)

// Errors of calls that no task has failed with. Callers know them as those of package executor.
var (
	// ErrClosed is the error of calls that come too late, and of those that the end has dropped.
	ErrClosed = errors.New("executor: closed")

	// ErrCancelled is the error of a call that was cancelled.
	ErrCancelled = errors.New("executor: the call was cancelled")

	// ErrNoWorkers is matched when every worker is lost.
	ErrNoWorkers = errors.New("executor: every worker is lost")

	// ErrWorkerLost is matched by what says that a worker is lost.
	ErrWorkerLost = errors.New("executor: the worker is lost")
)

// A Failure is what went wrong with a task.
type Failure struct {
	Task    string
	Kind    host.Kind
	Code    int
	Message string
	Stack   string
	Stderr  string
	Rank    int
	Host    string
	Attempt int
	Log     []string
	Usage   host.Usage
	NoStart bool // by cannotStart; in what a worker tells, whether the module did not start there
}

// failureOf returns the failure that a worker tells of.
func failureOf(c *Call, w *worker, body []byte) Failure {
	e := Failure{Task: c.task.name, Rank: w.rank, Host: w.host, Attempt: int(c.attempt)}
	var told wire.Failure
	if err := wire.Decode(wire.TypeResults, body, &told); err != nil {
		e.Kind, e.Message = host.KindHost, err.Error()
		return e
	}
	e.Kind, e.Code, e.Message = host.Kind(told.Kind), told.Code, told.Message
	e.Stack, e.Stderr, e.Log, e.NoStart = told.Stack, told.Stderr, told.Log, told.NoStart
	if told.Usage != nil {
		e.Usage = host.Usage(*told.Usage)
	}
	return e
}

// failures turn failures into the errors that callers see, and know those again.
type failures struct {
	Fail   func(Failure) error                   // called once for a failure
	KindOf func(error) (kind host.Kind, ok bool) // false for an error that Fail has not made
}
