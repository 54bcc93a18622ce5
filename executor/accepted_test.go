package executor_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/host"
)

// Settings that make no sense are an error at once, which names the field.
func TestConfigRefused(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	granting := func(folder string) map[string]host.Grants {
		return map[string]host.Grants{"tasks": {Folders: map[string]string{"/data": folder}}}
	}
	for want, cfg := range map[string]executor.Config{
		"Config.MaxCallsPerInstance is -1":    {Sandbox: host.Config{MaxCallsPerInstance: -1}},
		"Config.Sandbox.Compiler must be nil": {Confine: true, Sandbox: host.Config{Compiler: new(host.Compiler)}},
		"Config.Isolation is 9":               {Sandbox: host.Config{Isolation: 9}},
		"Config.InitArg has 1 bytes":          {Sandbox: host.Config{InitArg: []byte("x")}},
		"module tasks: the folder for /data":  {Sandbox: host.Config{Grants: granting(file + "/none")}},
		"is no folder":                        {Sandbox: host.Config{Grants: granting(file)}},
	} {
		ex, err := executor.Local(cfg)
		if err == nil {
			ex.Shutdown(t.Context()) //nolint:errcheck // it should not be there
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
	if err := executor.Run(t.Context(), executor.Config{}, nil); err == nil || !strings.Contains(err.Error(), "no root function") {
		t.Errorf("Run without a root: %v", err)
	}
}

// Grants for a module that is never loaded are told of at the end: until then it might
// have been.
func TestGrantsOfNobody(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	ex := open(t, executor.Config{Logger: slog.New(slog.NewTextHandler(&log, nil)), Sandbox: host.Config{Grants: map[string]host.Grants{"task": {Clock: true}, "tasks": {}, host.EveryModule: {}}}})
	if err := ex.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if text := log.String(); strings.Count(text, "never loaded") != 1 || !strings.Contains(text, "module=task\n") {
		t.Errorf("the log says %q", text)
	}
}

// A nil iterator and an incomplete codec are errors of the call that was given them.
func TestNilInput(t *testing.T) {
	t.Parallel()
	ex := shape(t)
	const want = "nil iterator"
	said := map[string]error{}
	for _, err := range ex.Map(t.Context(), "echo", nil) {
		said["Map"] = err
	}
	for _, err := range ex.MapFrom(t.Context(), "echo", nil) {
		said["MapFrom"] = err
	}
	for _, err := range ex.MapUnordered(t.Context(), "echo", nil) {
		said["MapUnordered"] = err
	}
	_, said["Stream"] = ex.Stream(t.Context(), "echo", nil).Next(t.Context())
	_, said["SubmitBatch"] = ex.SubmitBatch(t.Context(), "echo", nil).Results(t.Context())
	for _, err := range executor.NewTyped[int, int](ex, "square").Map(t.Context(), nil) {
		said["Typed.Map"] = err
	}
	for _, err := range ex.Map(t.Context(), "sum", executor.Zip(numbers(1), nil)) {
		said["Zip"] = err
	}
	for _, name := range []string{"Map", "MapFrom", "MapUnordered", "Stream", "SubmitBatch", "Typed.Map", "Zip"} {
		if err := said[name]; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want an error with %q", name, err, want)
		}
	}
	half := executor.WithCodecs(ex, "echo", executor.Codec[int]{}, executor.JSON[int]())
	if _, err := half.Call(t.Context(), 1); err == nil || !strings.Contains(err.Error(), "has no Encode") {
		t.Errorf("a codec without Encode: %v", err)
	}
}

// So are nil options, futures and modules.
func TestNilGiven(t *testing.T) {
	t.Parallel()
	ex := shape(t)
	_, _, wait := executor.Wait(t.Context(), []*executor.Future{nil}, executor.AllDone)
	_, typed := executor.Collect(t.Context(), []*executor.TypedFuture[int]{nil})
	_, stream := ex.Stream(t.Context(), "echo", numbers(1), nil).Next(t.Context())
	for want, err := range map[string]error{
		"option 1 is nil": ex.Submit(t.Context(), "echo", nil, executor.Priority(1), nil).Err(t.Context()),
		"option 0 is nil": errors.Join(last(ex.Map(t.Context(), "echo", numbers(1), nil)), stream, ex.Submit(t.Context(), "echo", nil).Then("echo", nil).Err(t.Context())),
		"future 0 is nil": errors.Join(wait, typed, last(executor.AsCompleted(t.Context(), []*executor.Future{nil}))),
		"a nil module":    ex.Load(nil),
	} {
		if err == nil || strings.Count(err.Error(), want) != map[string]int{"option 0 is nil": 3, "future 0 is nil": 3}[want]+map[string]int{"option 1 is nil": 1, "a nil module": 1}[want] {
			t.Errorf("got %v, want errors with %q", err, want)
		}
	}
}

// A context that has ended submits nothing, however the calls are made.
func TestEndedContextSubmitsNothing(t *testing.T) {
	t.Parallel()
	ex := shape(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	f := ex.Submit(ctx, "echo", number(1))
	if err := f.Err(t.Context()); !errors.Is(err, context.Canceled) {
		t.Errorf("Submit: %v, want %v", err, context.Canceled)
	}
	if b := ex.SubmitBatch(ctx, "echo", numbers(3)); b.Submitted() > 0 {
		t.Errorf("SubmitBatch submitted %d calls", b.Submitted())
	}
	if _, err := ex.Stream(ctx, "echo", numbers(3)).Next(t.Context()); !errors.Is(err, context.Canceled) {
		t.Errorf("Stream: %v, want %v", err, context.Canceled)
	}
}

// errors.Is tells a task's time limit from the end of the caller's context.
func TestWhoseDeadline(t *testing.T) {
	t.Parallel()
	ex := shape(t)
	_, err := ex.Call(t.Context(), "forever", nil, executor.Timeout(1))
	if !errors.Is(err, executor.ErrTimeout) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a task's time limit: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 1)
	defer cancel()
	_, err = ex.Call(ctx, "forever", nil)
	if errors.Is(err, executor.ErrTimeout) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the caller's context: %v", err)
	}
}
