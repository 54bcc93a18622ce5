package wasmtasks

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// A Table finds tasks by name in several modules. The zero value is empty.
// Lookup is safe for concurrent use as long as nobody calls Add.
type Table struct {
	modules []*Module // sorted by name
}

// An entry is a task that was found.
type entry struct {
	module *Module
	task   string
}

func (e entry) fullName() string { return e.module.name + "." + e.task }

// Add adds a module's tasks. Adding the same module again is fine; other bytes
// under the same name are an error. The same bytes under another name are another
// module: what it is granted goes by its name, so a task of both is ambiguous.
func (t *Table) Add(m *Module) error {
	at, ok := slices.BinarySearchFunc(t.modules, m.name, func(m *Module, name string) int { return strings.Compare(m.name, name) })
	if !ok {
		t.modules = slices.Insert(t.modules, at, m)
		return nil
	}
	if t.modules[at].digest == m.digest {
		return nil
	}
	return fmt.Errorf("wasmtasks: there are two modules named %s: give one another name", m.name)
}

// Lookup finds a task by its full name, "module.task", or by the task's name
// alone where only one module has it. Otherwise the error is an
// [*UnknownTaskError] or an [*AmbiguousTaskError].
func (t *Table) Lookup(name string) (*Module, Task, error) {
	found := t.find(name)
	switch len(found) {
	case 0:
		return nil, Task{}, &UnknownTaskError{Name: name, Known: t.known()}
	case 1:
		task, _ := found[0].module.Task(found[0].task)
		return found[0].module, task, nil
	}
	names := make([]string, len(found))
	for i, e := range found {
		names[i] = e.fullName()
	}
	slices.Sort(names)
	return nil, Task{}, &AmbiguousTaskError{Name: name, Candidates: names}
}

// find returns the tasks that a name may mean.
func (t *Table) find(name string) (found []entry) {
	for _, m := range t.modules {
		if m.has(name) {
			found = append(found, entry{m, name})
		}
		if rest, ok := strings.CutPrefix(name, m.name); ok && strings.HasPrefix(rest, ".") && m.has(rest[1:]) {
			found = append(found, entry{m, rest[1:]})
		}
	}
	return found
}

// known returns the shortest name of each task, sorted.
func (t *Table) known() []string {
	var names []string
	for _, m := range t.modules {
		for _, name := range m.names() {
			if len(t.modules) > 1 && len(t.find(name)) > 1 {
				name = entry{m, name}.fullName()
			}
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// An UnknownTaskError says that no module has a task of this name.
type UnknownTaskError struct {
	Name  string
	Known []string // what there is, sorted
}

// maxKnown is how many known tasks the message lists.
const maxKnown = 20

// Error suggests the nearest task, and lists what there is.
func (e *UnknownTaskError) Error() string {
	if len(e.Known) == 0 {
		return fmt.Sprintf("unknown task %q (no module has any task)", e.Name)
	}
	var hint string
	if near := e.nearest(); near != "" {
		hint = fmt.Sprintf("did you mean %q? ", near)
	}
	known := strings.Join(e.Known[:min(len(e.Known), maxKnown)], ", ")
	if more := len(e.Known) - maxKnown; more > 0 {
		known += fmt.Sprintf(", and %d more", more)
	}
	return fmt.Sprintf("unknown task %q (%sknown: %s)", e.Name, hint, known)
}

// nearest returns the known task that is meant by the name, with or without
// the module's, if there is one.
func (e *UnknownTaskError) nearest() string {
	short := e.Name[strings.LastIndexByte(e.Name, '.')+1:]
	return cmp.Or(nearest(e.Name, e.Known), nearest(short, e.Known))
}

// An AmbiguousTaskError says that several modules have a task of this name.
type AmbiguousTaskError struct {
	Name       string
	Candidates []string // full names, sorted
}

// Error lists the full names.
func (e *AmbiguousTaskError) Error() string {
	return fmt.Sprintf("task %q is in several modules: write %s", e.Name, strings.Join(e.Candidates, " or "))
}

// nearest returns the candidate that a typing error would turn into name, or
// nothing when none is near.
func nearest(name string, candidates []string) string {
	best, bound := "", min(max(1, len(name)/3), len(name)-1)
	for _, c := range candidates {
		if d := distance(name, c, bound); d <= bound {
			best, bound = c, d-1
		}
	}
	return best
}

// distance counts the letters to add, drop, or change to get from a to b. It
// gives bound+1 where the lengths alone say that it is more than bound.
func distance(a, b string, bound int) int {
	if max(len(a)-len(b), len(b)-len(a)) > bound {
		return bound + 1
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, diagonal+1, row[j]+1)
		}
	}
	return row[len(b)]
}
