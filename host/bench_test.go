package host

import (
	"fmt"
	"testing"

	"github.com/wasmpool/wasmpool/internal/guesttest"
)

// doorWAT answers each call with its argument, through the door or, as echo,
// through imports.
const doorWAT = `(module
  (import "wasmpool" "door_open" (func $door_open (param i32 i32)))
  (import "wasmpool" "input_len" (func $input_len (result i32)))
  (import "wasmpool" "input_read" (func $input_read (param i32 i32 i32) (result i32)))
  (import "wasmpool" "output_write" (func $output_write (param i32 i32)))
  (memory (export "memory") 2)
  (func (export "_initialize") (call $door_open (i32.const 1024) (i32.const 8192)))
  (func (export "noop") (result i32)
    (i32.store (i32.const 1028) (i32.const 0))
    (i32.store (i32.const 1032) (i32.const 0))
    (i32.const 0))
  (func (export "echo") (result i32)
    (i32.store (i32.const 1028) (i32.const 1040))
    (i32.store (i32.const 1032) (i32.load (i32.const 1024)))
    (i32.const 0))
  (func (export "imports") (result i32)
    (call $output_write
      (i32.const 16384)
      (call $input_read (i32.const 16384) (i32.const 0) (call $input_len)))
    (i32.const 0)))`

// plainWAT has no door.
const plainWAT = `(module
  (import "wasmpool" "input_len" (func $input_len (result i32)))
  (memory (export "memory") 1)
  (func (export "noop") (result i32) (i32.const 0))
  (func (export "len") (result i32) (drop (call $input_len)) (i32.const 0)))`

func BenchmarkRun(b *testing.B) {
	h := newHost(b, Config{})
	guest := load(b, h, guesttest.Build(b, "testdata/guest"))
	door := load(b, h, guesttest.Module(b, "door", doorWAT))
	plain := load(b, h, guesttest.Module(b, "plain", plainWAT))
	for _, c := range []struct {
		guest string
		mod   *Module
		task  string
		size  int
	}{
		{"wat", plain, "noop", 8},
		{"wat", plain, "len", 8},
		{"wat-door", door, "noop", 8},
		{"wat-door", door, "echo", 100},
		{"wat-door", door, "imports", 100},
		{"go", guest, "noop", 8},
		{"go", guest, "echo", 100},
		{"go", guest, "echo", 1 << 10},
		{"go", guest, "echo", 1 << 20},
		{"go", guest, "double", 2},
	} {
		b.Run(fmt.Sprintf("guest=%s/task=%s/arg=%d", c.guest, c.task, c.size), func(b *testing.B) {
			task := taskOf(b, c.mod, c.task)
			slot := newSlot(b, h)
			call := &Call{Number: 1, Attempt: 1, Arg: make([]byte, c.size)}
			if c.task == "double" {
				call.Arg = []byte("21")
			}
			ctx := b.Context()
			run(b, slot, task, string(call.Arg))
			b.ReportAllocs()
			if c.size > 1024 {
				b.SetBytes(int64(c.size))
			}
			for b.Loop() {
				if _, err := slot.Run(ctx, task, call); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkRunTwoTasks switches between tasks and modules.
func BenchmarkRunTwoTasks(b *testing.B) {
	h := newHost(b, Config{})
	door := load(b, h, guesttest.Module(b, "door", doorWAT))
	plain := load(b, h, guesttest.Module(b, "plain", plainWAT))
	for name, tasks := range map[string][2]*Task{
		"modules=1": {taskOf(b, door, "noop"), taskOf(b, door, "echo")},
		"modules=2": {taskOf(b, door, "noop"), taskOf(b, plain, "noop")},
	} {
		b.Run(name, func(b *testing.B) {
			slot := newSlot(b, h)
			call := &Call{}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, err := slot.Run(b.Context(), tasks[i%2], call); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkReadArg reads a long argument straight into the memory of a guest,
// the copy included.
func BenchmarkReadArg(b *testing.B) {
	h := newHost(b, Config{})
	task := taskOf(b, load(b, h, guesttest.Build(b, "testdata/guest")), "echo")
	slot := newSlot(b, h)
	arg := make([]byte, 64<<20)
	call := &Call{ArgLen: int64(len(arg)), ReadArg: func(dst []byte) error {
		copy(dst, arg)
		return nil
	}}
	b.SetBytes(int64(len(arg)))
	for b.Loop() {
		if _, err := slot.Run(b.Context(), task, call); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRaw(b *testing.B) {
	h := newHost(b, Config{})
	add := taskOf(b, load(b, h, guesttest.Build(b, "testdata/guest")), "add")
	slot := newSlot(b, h)
	call := &Call{Arg: []byte("[1, 2]")}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := slot.Run(b.Context(), add, call); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkInstantiate makes a new instance each time.
func BenchmarkInstantiate(b *testing.B) {
	h := newHost(b, Config{})
	for name, mod := range map[string]*Module{
		"guest=go":  load(b, h, guesttest.Build(b, "testdata/guest")),
		"guest=wat": load(b, h, guesttest.Module(b, "door", doorWAT)),
	} {
		b.Run(name, func(b *testing.B) {
			task := taskOf(b, mod, "noop")
			for b.Loop() {
				slot := h.NewSlot()
				if _, err := slot.Run(b.Context(), task, &Call{}); err != nil {
					b.Fatal(err)
				}
				slot.Close()
			}
		})
	}
}

// BenchmarkLoad loads a Go module, from an empty and from a warm cache folder.
func BenchmarkLoad(b *testing.B) {
	m := guesttest.Build(b, "testdata/guest")
	warm := b.TempDir()
	load(b, newHost(b, Config{CacheDir: warm}), m)
	for _, cache := range []string{"cold", "warm"} {
		b.Run("cache="+cache, func(b *testing.B) {
			for b.Loop() {
				dir := warm
				if cache == "cold" {
					dir = b.TempDir()
				}
				h, err := New(Config{CacheDir: dir})
				if err != nil {
					b.Fatal(err)
				}
				if _, err := h.Load(b.Context(), m); err != nil {
					b.Fatal(err)
				}
				h.Close()
			}
		})
	}
}
