package dispatcher

import (
	"errors"
	"fmt"
	"sync"

	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// A module is a loaded module with its number in the pool.
type module struct {
	source *wasmtasks.Module
	index  uint32
	start
}

// A Task is a task that was called at least once, with its number in the pool.
type Task struct {
	name   string // as the caller named it
	export string
	module *module
	number uint32

	// Only used by the loop.
	nanos  float64 // estimated run time
	lately *spread // how long the last runs took; nil before the first, and where no call may have a duplicate
}

// Module returns the task's module.
func (t *Task) Module() *wasmtasks.Module { return t.module.source }

// Export returns the name of the function.
func (t *Task) Export() string { return t.export }

// A Table resolves names. It is safe for concurrent use.
type Table struct {
	known sync.Map // name → *Task

	mu      sync.Mutex
	table   wasmtasks.Table
	modules map[string]*module // by name: what one may see of the world depends on it
	tasks   map[taskKey]*Task
}

type taskKey struct {
	module *module
	export string
}

// Add makes a module's tasks known.
func (t *Table) Add(m *wasmtasks.Module) error {
	if m == nil {
		return errors.New("executor: Load was given a nil module")
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.table.Add(m); err != nil {
		return fmt.Errorf("executor: %w", err)
	}
	if t.modules == nil {
		t.modules, t.tasks = map[string]*module{}, map[taskKey]*Task{}
	}
	if t.modules[m.Name()] == nil {
		t.modules[m.Name()] = &module{source: m, index: uint32(len(t.modules))}
	}
	t.known.Clear() // a short name may have become ambiguous
	return nil
}

// Loaded reports whether there is a module of that name.
func (t *Table) Loaded(module string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.modules[module] != nil
}

// Has returns an error unless a module has a task of that name. Several may.
func (t *Table) Has(name string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, _, err := t.table.Lookup(name)
	if ambiguous := (*wasmtasks.AmbiguousTaskError)(nil); errors.As(err, &ambiguous) {
		return nil
	}
	return err
}

// A noTaskError is the error for a name that stands for no task. It matches
// [host.KindUnknownTask].
type noTaskError struct{ error }

func (e noTaskError) Unwrap() error        { return e.error }
func (e noTaskError) Is(target error) bool { return target == host.KindUnknownTask }

// Lookup returns the task of that name.
func (t *Table) Lookup(name string) (*Task, error) {
	if known, ok := t.known.Load(name); ok {
		return known.(*Task), nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	source, found, err := t.table.Lookup(name)
	if err != nil {
		return nil, noTaskError{fmt.Errorf("executor: %w", err)}
	}
	key := taskKey{t.modules[source.Name()], found.Name}
	known := t.tasks[key]
	if known == nil {
		known = &Task{name: name, export: found.Name, module: key.module, number: uint32(len(t.tasks))}
		t.tasks[key] = known
	}
	t.known.Store(name, known)
	return known, nil
}
