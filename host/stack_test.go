package host

import (
	"fmt"
	"testing"

	"github.com/wasmpool/wasmpool/internal/guesttest"
)

// However deep the calls of a module's tasks go, an instance keeps the stack of no more
// than one of them, and those that are small.
func TestStacks(t *testing.T) {
	t.Parallel()
	const tasks, deep = 4, 50_000
	wat := `(module (func $deep (param i32) (result i32)
	  (if (result i32) (local.get 0)
	    (then (i32.add (i32.const 1) (call $deep (i32.sub (local.get 0) (i32.const 1)))))
	    (else (i32.const 0))))`
	for i := range tasks {
		wat += fmt.Sprintf(`(func (export "deep%d") (param i32) (result i32) (call $deep (local.get 0)))`, i)
	}
	h := newHost(t, Config{})
	mod := load(t, h, guesttest.Module(t, "deep", wat+")"))
	slot := newSlot(t, h)
	large := func(depth int) (n int) {
		for i := range tasks {
			run(t, slot, taskOf(t, mod, fmt.Sprint("deep", i)), fmt.Sprint(depth))
		}
		for _, f := range slot.instance.functions {
			if f != nil && f.deep() {
				n++
			}
		}
		return n
	}
	if n := large(10); n > 0 {
		t.Fatalf("%d tasks have a large stack before any has gone deep: is this another version of the engine?", n)
	}
	small := slot.instance.functions[0]
	if large(10); small == nil || slot.instance.functions[0] != small {
		t.Error("a small stack is not kept for the task's next call")
	}
	if n := large(deep); n != 1 {
		t.Errorf("%d tasks have a large stack after all went deep, want that which ran last", n)
	}
}

func BenchmarkOtherTask(b *testing.B) {
	h := newHost(b, Config{})
	mod := load(b, h, guesttest.Module(b, "two", `(module (func (export "a") (param i32)) (func (export "b") (param i32)))`))
	slot := newSlot(b, h)
	tasks := []*Task{taskOf(b, mod, "a"), taskOf(b, mod, "b")}
	call := &Call{Arg: []byte("1")}
	for i := 0; b.Loop(); i++ {
		if _, err := slot.Run(b.Context(), tasks[i%2], call); err != nil {
			b.Fatal(err)
		}
	}
}
