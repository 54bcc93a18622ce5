package executor_test

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/wasmpool/wasmpool/executor"
)

// An error prints one line, and with %+v all that is known of the guest's end.
func TestTaskErrorFormat(t *testing.T) {
	t.Parallel()
	err := &executor.TaskError{Task: "t", Kind: executor.ErrTrap, Message: "unreachable", Stack: "a()\nb()", Log: []string{"one"}, Stderr: "two\n", Rank: 3, Host: "node", Attempt: 2}
	const line = `executor: task "t" failed on rank 3 (trap): unreachable`
	for format, want := range map[string]string{
		"%v": line, "%s": line, "%q": fmt.Sprintf("%q", line), "%d": "%!d(*executor.TaskError=" + line + ")",
		"%+v": line + "\nhost node, attempt 2\nstack:\na()\nb()\nlog:\none\nprinted:\ntwo",
	} {
		if got := fmt.Sprintf(format, err); got != want {
			t.Errorf("%s: %q, want %q", format, got, want)
		}
	}
}

// A long message is cut between two characters, and says so.
func TestLongMessage(t *testing.T) {
	t.Parallel()
	var failed *executor.TaskError
	_, err := shape(t).Call(t.Context(), "fail", []byte(strings.Repeat("é", 9_000)))
	if !errors.As(err, &failed) {
		t.Fatal(err)
	}
	if !utf8.ValidString(failed.Message) || !strings.HasSuffix(failed.Message, "bytes more)") || len(failed.Message) < 4_000 {
		t.Errorf("%d bytes, valid: %t, ending in %q", len(failed.Message), utf8.ValidString(failed.Message), failed.Message[len(failed.Message)-30:])
	}
}

// A result that cannot be decoded names its task.
func TestDecodeErrorNamesTask(t *testing.T) {
	t.Parallel()
	square := executor.NewTyped[int, []string](shape(t), "square")
	_, called := square.Call(t.Context(), 3)
	var mapped error
	for _, err := range square.Map(t.Context(), func(yield func(int) bool) { yield(3) }) {
		mapped = err
	}
	for _, err := range []error{called, mapped} {
		if err == nil || !strings.Contains(err.Error(), `decoding a result of task "square"`) {
			t.Errorf("got %v, want the task's name", err)
		}
	}
}

// Log lines about a call, and its own, have the caller's words; that a call runs again is
// for who debugs.
func TestLogWords(t *testing.T) {
	t.Parallel()
	for level, runsAgain := range map[slog.Level]int{slog.LevelInfo: 0, slog.LevelDebug: 1} {
		var log strings.Builder
		ex := open(t, executor.Config{Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: level}))})
		ex.Call(t.Context(), "fail", []byte("x"), executor.Retries(executor.RetryPolicy{Attempts: 2, Backoff: time.Nanosecond}), executor.Tags("input 17")) //nolint:errcheck // it fails
		ex.Call(t.Context(), "say", []byte("hello"), executor.Tags("input 18"))                                                                             //nolint:errcheck // what it logs counts
		if err := ex.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		text := log.String()
		if n := strings.Count(text, "runs again"); n != runsAgain {
			t.Errorf("%v: %d lines say that a call runs again, want %d", level, n, runsAgain)
		}
		if runsAgain > 0 && !strings.Contains(text, `task=fail tags="[input 17]"`) {
			t.Errorf("no tags in %q", text)
		}
		if !strings.Contains(text, `task=say tags="[input 18]"`) {
			t.Errorf("no tags in %q", text)
		}
	}
}
