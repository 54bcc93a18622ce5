package host

import (
	"strings"

	"github.com/wasmpool/wasmpool/wasmtasks"
)

// A Module is a module that is ready to run. It is immutable and safe for
// concurrent use, and stays good until its Host is closed.
type Module struct {
	name  string
	code  *program
	tasks map[string]*Task
	names []string
}

// A Task is one task of a Module. It is immutable and safe for concurrent use.
type Task struct {
	code   *program
	export string
	kind   wasmtasks.Kind
	index  int // in the list of the module's tasks
	params []numeric
	result []numeric
}

// A program is the code of a module together with what it is granted.
type program struct {
	*code
	grants      *granted
	initializer *Task // runs once in each instance; may be nil
}

func newModule(m *wasmtasks.Module, c *program) *Module {
	mod := &Module{name: m.Name(), code: c, tasks: make(map[string]*Task)}
	for i, t := range m.Tasks() {
		mod.names = append(mod.names, t.Name)
		mod.tasks[t.Name] = &Task{
			code: c, export: t.Name, kind: t.Kind, index: i,
			params: numerics(t.Params), result: numerics(t.Results),
		}
	}
	return mod
}

// Task returns the module's task with this name. The error, of kind
// [KindUnknownTask], lists those there are.
func (m *Module) Task(export string) (*Task, error) {
	if t := m.tasks[export]; t != nil {
		return t, nil
	}
	if len(m.names) == 0 {
		return nil, errorf(KindUnknownTask, "module %s has no tasks, so no %q", m.name, export)
	}
	return nil, errorf(KindUnknownTask, "module %s has no task %q, it has %s", m.name, export, strings.Join(m.names, ", "))
}
