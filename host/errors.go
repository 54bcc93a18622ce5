package host

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/tetratelabs/wazero/sys"

	"github.com/wasmpool/wasmpool/internal/abi"
	"github.com/wasmpool/wasmpool/internal/compile"
	"github.com/wasmpool/wasmpool/internal/meter"
)

// ErrClosed is returned by [Host.Load] once [Host.Close] began, and by
// [Slot.Run] after [Slot.Close].
var ErrClosed = errors.New("host: closed")

// Kind tells how a call failed. It is an error itself, so that
// errors.Is(err, KindTrap) finds out whether a call failed in that way, also
// when the error crossed a wire.
type Kind uint8

// Error implements error with [Kind.String].
func (k Kind) Error() string { return k.String() }

// The kinds of failure.
const (
	KindApplication Kind = iota + 1 // the task returned an error of its own
	KindPanic                       // the guest panicked and caught it
	KindBadInput                    // the task says that its argument is wrong: a retry will not help
	KindBadResult                   // the guest returned a reserved status or a result outside its memory
	KindTrap                        // the guest crashed: unreachable, a bad pointer, a division by zero, stack overflow
	KindExit                        // the guest ended itself with an exit code
	KindMemory                      // the guest ran out of the memory it may have
	KindBudget                      // the guest executed all the instructions it may
	KindOutput                      // the result, or what the guest logs, is longer than it may be
	KindTimeout                     // the call ran for longer than it may
	KindCancelled                   // the call was cancelled
	KindKilled                      // somebody stopped the call, with the reason that the message gives
	KindLost                        // the worker died
	KindBadModule                   // the module cannot be loaded
	KindUnknownTask                 // the module has no such task
	KindInitializer                 // the initializer failed, so that no call of the module can run
	KindHost                        // the worker itself failed; the task is not to blame
	KindDiffered                    // two runs of the call differ: see Config.SpotCheck of package executor
)

var kindNames = [...]string{
	KindApplication: "application",
	KindPanic:       "panic",
	KindBadInput:    "bad_input",
	KindBadResult:   "bad_result",
	KindTrap:        "trap",
	KindExit:        "exit",
	KindMemory:      "memory",
	KindBudget:      "budget",
	KindOutput:      "output",
	KindTimeout:     "timeout",
	KindCancelled:   "cancelled",
	KindKilled:      "killed",
	KindLost:        "lost",
	KindBadModule:   "bad_module",
	KindUnknownTask: "unknown_task",
	KindInitializer: "initializer",
	KindHost:        "host",
	KindDiffered:    "differed",
}

// String returns the kind's word, as it stands in JSON output.
func (k Kind) String() string {
	if int(k) < len(kindNames) && kindNames[k] != "" {
		return kindNames[k]
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// MarshalText implements [encoding.TextMarshaler] with [Kind.String].
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler]: the inverse of
// [Kind.MarshalText].
func (k *Kind) UnmarshalText(text []byte) error {
	for i, name := range kindNames {
		if name != "" && name == string(text) {
			*k = Kind(i)
			return nil
		}
	}
	return fmt.Errorf("host: %q is no kind of failure", text)
}

// An Error tells why a call or the loading of a module failed. [Host.Load],
// [Module.Task] and [Slot.Run] return no other type.
type Error struct {
	Kind    Kind
	Code    int      // the status the task returned, or the exit code
	Message string   // for people; the task's own words where it gave some
	Stack   string   // the wasm stack, or the guest's own stack after a panic
	Stderr  string   // the last 16 KiB of what the guest printed during the call
	Log     []string // the last lines of the call's log, 8 at most
	Usage   Usage    // of the call
	NoStart bool     // it came while an instance of the module was made: the call had not begun

	err error // what Unwrap returns
}

// Error implements error.
func (e *Error) Error() string {
	return "host: " + e.Kind.String() + ": " + e.Message
}

// Unwrap returns the cause when there is a Go error behind the failure.
func (e *Error) Unwrap() error { return e.err }

// Is lets [errors.Is] match the error's [Kind], and [context.Canceled] and
// [context.DeadlineExceeded] for those two kinds.
func (e *Error) Is(target error) bool {
	switch target {
	case context.Canceled:
		return e.Kind == KindCancelled
	case context.DeadlineExceeded:
		return e.Kind == KindTimeout
	case e.Kind:
		return true
	}
	return false
}

// errorf returns an Error whose message is formatted. A %w in format becomes
// its cause.
func errorf(kind Kind, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Kind: kind, Message: err.Error(), err: errors.Unwrap(err)}
}

// compileError returns an error of package compile as an Error.
func compileError(err error) *Error {
	var bad *compile.BadModuleError
	switch {
	case errors.As(err, &bad):
		return &Error{Kind: KindBadModule, Message: bad.Message, err: bad.Unwrap()}
	case errors.Is(err, context.Canceled): // by Host.Close
		return errorf(KindHost, "%w", ErrClosed)
	default:
		return errorf(KindHost, "%w", err)
	}
}

// endedError says that ctx ended the call.
func endedError(ctx context.Context) *Error {
	return &Error{Kind: endedKind(ctx.Err()), Message: context.Cause(ctx).Error(), err: context.Cause(ctx)}
}

// endedKind returns the kind for an error that may come from a context.
func endedKind(err error) Kind {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return KindTimeout
	case errors.Is(err, context.Canceled):
		return KindCancelled
	}
	return KindHost
}

// An abort ends a call from inside an import. The import is left with raise,
// wazero recovers it and returns it as the call's error.
type abort struct {
	kind    Kind
	message string
	err     error
}

func (a *abort) Error() string { return a.message }

// failure returns the abort as the error of a call that ran no instruction.
func (a *abort) failure() *Error { return &Error{Kind: a.kind, Message: a.message, err: a.err} }

// raise leaves an import, and the guest that called it.
func raise(a *abort) {
	panic(a) //nolint:forbidigo // wazero has no other way out of an import
}

// statusError explains a status other than 0. text is what the guest wrote
// with error_write.
func statusError(status int, text string) *Error {
	e := &Error{Kind: KindApplication, Code: status, Message: strings.TrimSpace(text)}
	switch {
	case status == abi.StatusPanic:
		e.Kind = KindPanic
		e.Message, e.Stack = cutStack(e.Message)
	case status == abi.StatusBadInput:
		e.Kind = KindBadInput
	case status >= abi.StatusReserved && status < abi.StatusUser:
		e.Kind = KindBadResult
		e.Message = strings.TrimSuffix(fmt.Sprintf("the task returned the reserved status %d: %s", status, e.Message), ": ")
	}
	if e.Message == "" {
		e.Message = fmt.Sprintf("the task returned status %d and no message", status)
	}
	return e
}

// cutStack splits a panic's text into its message and its stack.
func cutStack(text string) (message, stack string) {
	for _, mark := range []string{"\n\n", "\ngoroutine "} {
		if at := strings.Index(text, mark); at >= 0 {
			return strings.TrimSpace(text[:at]), strings.TrimSpace(text[at:])
		}
	}
	return text, ""
}

// crashError explains an error of a wazero call.
func crashError(err error, stderr string) *Error {
	e := &Error{Stderr: stderr}
	var exit *sys.ExitError
	var ended *abort
	switch {
	case errors.As(err, &exit):
		e.Kind, e.Code = KindExit, int(int32(exit.ExitCode()))
		e.Message = exitMessage(e.Code)
	case errors.As(err, &ended):
		e.Kind, e.Message, e.err = ended.kind, ended.message, ended.err
		_, e.Stack = splitTrap(err)
	default:
		e.Kind = KindTrap
		e.Message, e.Stack = splitTrap(err)
		e.Message = withCrashLine(e.Message, stderr)
		if saysOutOfMemory(stderr) {
			e.Kind = KindMemory
		}
	}
	return e
}

// tickFrame is the innermost frame of a guest that is ended while it computes.
const tickFrame = abi.Module + "." + meter.Tick + "() i64\n"

// splitTrap splits wazero's error text into a message and the wasm stack.
func splitTrap(err error) (message, stack string) {
	message, stack, _ = strings.Cut(err.Error(), "\nwasm stack trace:\n\t")
	stack, _, _ = strings.Cut(stack, "\n\nGo runtime stack trace:")
	if _, after, ok := strings.Cut(message, "wasm error: "); ok {
		message = after
	}
	message = strings.TrimSuffix(message, " (recovered by wazero)")
	stack = strings.ReplaceAll(stack, "\n\t", "\n")
	return message, strings.TrimPrefix(stack, tickFrame)
}

// isCrashLine matches the line in which a guest says why it crashes: in Go, in Rust, and a failed assert of C.
var isCrashLine = regexp.MustCompile(`^(?:panic: |fatal error: |thread .* panicked at |Assertion failed: )`)

// withCrashLine adds that line, or where there is none the last that the guest has printed, unless that is long. Newer
// Rusts say where in one line, and why in the next.
func withCrashLine(message, stderr string) string {
	lines := strings.Split(strings.TrimSpace(stderr), "\n")
	i := slices.IndexFunc(lines, isCrashLine.MatchString)
	found := i >= 0
	if !found {
		i = len(lines) - 1
	}
	line := strings.TrimSpace(lines[i])
	if found && strings.HasSuffix(line, ":") && i+1 < len(lines) {
		line += " " + strings.TrimSpace(lines[i+1])
	}
	const most = 200
	if line == "" || !found && len(line) > most {
		return message
	}
	return message + " (" + line + ")"
}

// saysOutOfMemory recognizes the last words of the Go and the Rust runtime.
func saysOutOfMemory(stderr string) bool {
	return strings.Contains(stderr, "out of memory") || strings.Contains(stderr, "memory allocation of ")
}

func exitMessage(code int) string { return fmt.Sprintf("the guest exited with code %d", code) }
