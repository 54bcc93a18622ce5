package host

import (
	"errors"
	"os"
	"testing"

	"github.com/wasmpool/wasmpool/internal/memory"
	"github.com/wasmpool/wasmpool/internal/unittest"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

func TestMain(m *testing.M) { os.Exit(unittest.Main(m, &cacheDir)) }

// cacheDir is what the hosts of all tests share, unless they set another.
var cacheDir string

func newHost(t testing.TB, cfg Config) *Host {
	t.Helper()
	if cfg.CacheDir == "" {
		cfg.CacheDir = cacheDir
	}
	h, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
		if len(h.codes) > 0 {
			t.Errorf("%d modules are still loaded", len(h.codes))
		}
	})
	return h
}

// ownMemory gives h an account of its own: the process has one for all its hosts, whose figures other tests
// change meanwhile.
func ownMemory(h *Host) { h.memory = memory.NewAccount(memory.Of()) }

func newSlot(t testing.TB, h *Host) *Slot {
	t.Helper()
	s := h.NewSlot()
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func load(t testing.TB, h *Host, m *wasmtasks.Module) *Module {
	t.Helper()
	mod, err := h.Load(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	return mod
}

func taskOf(t testing.TB, m *Module, name string) *Task {
	t.Helper()
	task, err := m.Task(name)
	if err != nil {
		t.Fatal(err)
	}
	return task
}

func namesOf(m *Module) (names []string) {
	for _, t := range m.source.Tasks() {
		names = append(names, t.Name)
	}
	return names
}

// run runs a task that should succeed.
func run(t testing.TB, s *Slot, task *Task, arg string) string {
	t.Helper()
	result, err := s.Run(t.Context(), task, &Call{Number: 1, Attempt: 1, Arg: []byte(arg)})
	if err != nil {
		t.Fatalf("running %s: %v\n%s", task.export, err, errorOf(t, err).Stderr)
	}
	return string(result)
}

// runFailing runs a task that should fail.
func runFailing(t testing.TB, s *Slot, task *Task, arg string) *Error {
	t.Helper()
	result, err := s.Run(t.Context(), task, &Call{Number: 1, Attempt: 1, Arg: []byte(arg)})
	if err == nil {
		t.Fatalf("%s(%.40q) = %q, want an error", task.export, arg, result)
	}
	return errorOf(t, err)
}

func errorOf(t testing.TB, err error) *Error {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("%v is a %T, want an *Error", err, err)
	}
	return e
}
