package host

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/wasmpool/wasmpool/internal/compile"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// A Module is a module that is ready to run. It is safe for concurrent use, and stays good until its Host is closed.
type Module struct {
	source *wasmtasks.Module
	code   *program

	mu    sync.Mutex
	tasks map[string]*Task // those that were asked for
}

// A Task is one task of a Module. It is immutable and safe for concurrent use.
type Task struct {
	code   *program
	export string
	kind   wasmtasks.Kind
	index  int // among the module's tasks
	params []numeric
	result []numeric
	key    [16]byte // of module and task, for seed blocks
}

// A program is the code of a module together with what it is granted.
type program struct {
	*compile.Code
	digest      wasmtasks.Digest
	draws       bool // a seed block is of use
	command     bool // its task is a command
	grants      *granted
	initializer *Task // runs once in each instance; may be nil
}

func newModule(m *wasmtasks.Module, c *program) *Module {
	return &Module{source: m, code: c, tasks: make(map[string]*Task)}
}

// isCommand reports whether a module is a command, which then is its only task.
func isCommand(m *wasmtasks.Module) bool {
	tasks := m.Tasks()
	return len(tasks) == 1 && tasks[0].Kind == wasmtasks.KindCommand
}

// Task returns the module's task with this name. The error, of kind
// [KindUnknownTask], lists those there are.
func (m *Module) Task(export string) (*Task, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if t := m.tasks[export]; t != nil {
		return t, nil
	}
	found, ok := m.source.Task(export)
	if !ok {
		return nil, m.noTask(export)
	}
	t := &Task{
		code: m.code, export: found.Name, kind: found.Kind, index: len(m.tasks),
		params: numerics(found.Params), result: numerics(found.Results), key: taskKey(m.code.digest, found.Name),
	}
	m.tasks[export] = t
	return t, nil
}

// noTask says which tasks there are instead, or the first of many.
func (m *Module) noTask(export string) error {
	const most = 20
	var names []string
	for _, t := range m.source.Tasks() {
		names = append(names, t.Name)
	}
	if len(names) == 0 {
		return errorf(KindUnknownTask, "module %s has no tasks, so no %q", m.source.Name(), export)
	}
	if n := len(names) - most; n > 0 {
		names = append(names[:most], fmt.Sprintf("and %d more", n))
	}
	return errorf(KindUnknownTask, "module %s has no task %q, it has %s", m.source.Name(), export, strings.Join(names, ", "))
}

// CheckFully is [Config.Check], and has the engine validate the module besides: what it takes is compiled. It blocks, for a module as large as an
// interpreter a second or two, and for one that is made to take long until that is done: ctx does not end it.
func (c Config) CheckFully(ctx context.Context, m *wasmtasks.Module) error {
	if err := c.Check(m); err != nil {
		return err
	}
	if err := compile.Validate(ctx, m.Bytes()); err != nil {
		return compileError(err)
	}
	return nil
}

// Check says why a host with these settings refuses the module, or nil, as far as that shows before the
// engine validates it: by its imports, memory and size, by proposals in its code
// that are off, and by the command line that it brings along. It runs and compiles nothing, and returns at once. The error is an
// [*Error] of [KindBadModule].
func (c Config) Check(m *wasmtasks.Module) error {
	rules, err := c.rules()
	if err != nil {
		return err
	}
	if err := compile.Check(m.Bytes(), rules); err != nil {
		return compileError(err)
	}
	if _, brings := m.CommandLine(); !brings {
		return nil
	}
	grants, err := c.GrantsOf(m)
	if err == nil {
		err = (&granted{Grants: grants}).check()
	}
	return err
}
