package wasmtasks

import (
	"slices"
	"strings"
	"testing"

	"github.com/wasmpool/wasmpool/internal/unittest"
)

// Whatever the bytes are, a module that loads has each task once, and finds it.
func FuzzLoad(f *testing.F) {
	wasm := unittest.Assemble(f, mixed)
	f.Add("mixed", wasm)
	f.Add("docs", appendSection(slices.Clone(wasm), "wasmpool.tasks", []byte(`[{"name":"task","doc":"Does it."}]`)))
	f.Add("greet", unittest.Assemble(f, `(module (memory (export "memory") 1) (func (export "_start")))`))
	f.Fuzz(func(t *testing.T, name string, wasm []byte) {
		m, err := Load(name, wasm)
		if err != nil {
			return
		}
		tasks := m.Tasks()
		if !slices.IsSortedFunc(tasks, func(a, b Task) int { return strings.Compare(a.Name, b.Name) }) {
			t.Errorf("tasks are not sorted: %v", tasks)
		}
		for i, task := range tasks {
			if i > 0 && tasks[i-1].Name == task.Name {
				t.Errorf("two tasks are named %q", task.Name)
			}
			if found, ok := m.Task(task.Name); !ok || found.Name != task.Name {
				t.Errorf("task %q is not found", task.Name)
			}
		}
		if d := m.Describe(); len(d.Tasks) != len(tasks) {
			t.Errorf("%d tasks described, %d there", len(d.Tasks), len(tasks))
		}
	})
}
