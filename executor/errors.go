package executor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/internal/dispatcher"
	"github.com/wasmpool/wasmpool/internal/worker"
)

// Errors of this rank: the call did not come back from a task.
var (
	// ErrClosed is returned for calls made after Shutdown began, and for those
	// that Shutdown dropped.
	ErrClosed = dispatcher.ErrClosed

	// ErrCancelled is the error of a future whose Cancel returned true.
	ErrCancelled = dispatcher.ErrCancelled

	// ErrNoWorkers is matched when every worker is lost.
	ErrNoWorkers = dispatcher.ErrNoWorkers

	// ErrLaunch is matched by the error of [Run] when the launcher does not fit
	// the program. Every rank gets it.
	ErrLaunch = errors.New("executor: the launcher does not fit the program")

	// ErrRootLost is returned by [Run] on a worker whose root died or was cut off.
	ErrRootLost = worker.ErrRootLost

	// ErrNoStart is matched by the last thing that a map yields whose module cannot be
	// started on any worker.
	ErrNoStart = errors.New("executor: the module cannot be started")

	// ErrWorkerLost is matched by a [TaskError] of kind lost: the workers that
	// ran the call died.
	ErrWorkerLost = dispatcher.ErrWorkerLost
)

// Kind tells how a task failed. See the constants of package host. A Kind is an
// error itself: errors.Is(err, host.KindTrap) tells whether a task failed so.
type Kind = host.Kind

// The other kinds of failure, as errors to match a [TaskError] with.
const (
	ErrApplication = host.KindApplication // the task returned an error of its own
	ErrPanic       = host.KindPanic       // it panicked
	ErrBadInput    = host.KindBadInput    // it says that its argument is wrong: a retry will not help
	ErrBadResult   = host.KindBadResult   // it returned a reserved status, or a result outside its memory
	ErrTrap        = host.KindTrap        // the guest crashed
	ErrExit        = host.KindExit        // it ended itself
	ErrMemory      = host.KindMemory      // it ran out of memory
	ErrBudget      = host.KindBudget      // it executed all the instructions it may
	ErrOutput      = host.KindOutput      // its result, or its log, is too long
	ErrTimeout     = host.KindTimeout     // it ran for longer than it may; matches [context.DeadlineExceeded], too
	ErrKilled      = host.KindKilled      // somebody killed it
	ErrBadModule   = host.KindBadModule   // its module cannot be loaded
	ErrUnknownTask = host.KindUnknownTask // there is no task of that name, or several
	ErrInitializer = host.KindInitializer // Config.Sandbox.Initializer failed, which breaks the pool
	ErrHost        = host.KindHost        // the worker itself failed; the task is not to blame
	ErrDiffered    = host.KindDiffered    // two runs of it differ, as Config.SpotCheck found
)

// A TaskError says that a task failed; the job itself is healthy. Any other
// error of a call comes from this rank: the transport, or the caller.
//
// Its texts are the guest's, as it wrote them. Quote them, as %q and log/slog do, before
// a terminal shows them: they may hold what it obeys.
type TaskError struct {
	Task    string // as the caller named it
	Kind    Kind
	Code    int      // the status that the task returned, 64 and up of its own, or an exit code
	Message string   // what the task said, or what ended it
	Stack   string   // of the guest, when there is one
	Stderr  string   // the end of what the guest wrote there
	Rank    int      // of the worker; -1 where the call was killed before one had it
	Host    string   // of the worker
	Attempt int      // 1 for the first run; 0 where there was none
	Log     []string // the last lines that the task logged, 8 at most
	Usage   Usage    // what the call used of its limits
	NoStart bool     // no call of its module can run: it never has, and could not be started on any worker
}

// taskError makes the error of a failure.
func taskError(f dispatcher.Failure) error {
	e := TaskError(f)
	return &e
}

// kindOf returns the kind of an error that taskError has made. It reports false for others.
func kindOf(err error) (Kind, bool) {
	e, ok := err.(*TaskError) //nolint:errorlint // no other error wraps one on its way to a call
	if !ok {
		return 0, false
	}
	return e.Kind, true
}

// anyError is the code of an error that gives itself none.
const anyError = 1

// Error names the task, the kind of failure, a code of the task's own, and the rank.
func (e *TaskError) Error() string {
	msg := e.Message
	if msg == "" {
		msg = "no message"
	}
	kind := e.Kind.String()
	if e.Kind == host.KindApplication && e.Code != anyError {
		kind = fmt.Sprintf("%s, code %d", kind, e.Code)
	}
	where := ""
	if e.Rank >= 0 {
		where = fmt.Sprintf(" on rank %d", e.Rank)
	}
	return fmt.Sprintf("executor: task %q failed%s (%s): %s", e.Task, where, kind, msg)
}

// Format implements [fmt.Formatter]: %+v adds the guest's stack, its log and what it
// printed to what Error says.
func (e *TaskError) Format(s fmt.State, verb rune) {
	switch {
	case verb == 'q':
		fmt.Fprintf(s, "%q", e.Error())
	case verb != 'v' && verb != 's':
		fmt.Fprintf(s, "%%!%c(*executor.TaskError=%s)", verb, e.Error())
	default:
		io.WriteString(s, e.Error()) //nolint:errcheck // fmt has no errors
		if verb == 'v' && s.Flag('+') {
			e.formatMore(s)
		}
	}
}

// LogValue implements [slog.LogValuer]: a log line has what Error says.
func (e *TaskError) LogValue() slog.Value { return slog.StringValue(e.Error()) }

func (e *TaskError) formatMore(s io.Writer) {
	fmt.Fprintf(s, "\nhost %s, attempt %d", e.Host, e.Attempt)
	for _, part := range []struct{ name, text string }{
		{"stack", e.Stack}, {"log", strings.Join(e.Log, "\n")}, {"printed", e.Stderr},
	} {
		if part.text != "" {
			fmt.Fprintf(s, "\n%s:\n%s", part.name, strings.TrimSuffix(part.text, "\n"))
		}
	}
}

// Is matches the error's [Kind] and the sentinel of that kind, and the context
// errors.
func (e *TaskError) Is(target error) bool {
	switch target {
	case ErrWorkerLost:
		return e.Kind == host.KindLost
	case ErrCancelled, context.Canceled:
		return e.Kind == host.KindCancelled
	case context.DeadlineExceeded:
		return e.Kind == host.KindTimeout
	case e.Kind:
		return true
	}
	return false
}
