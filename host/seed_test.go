package host

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/wasmpool/wasmpool/internal/guesttest"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// movingWAT has a door and a seed block, and tasks that grow its memory.
const movingWAT = `(module
  (import "wasmpool" "door_open" (func $door_open (param i32 i32)))
  (import "wasmpool" "seed_open" (func $seed_open (param i32)))
  (memory (export "memory") 1)
  (func (export "_initialize") (call $door_open (i32.const 1024) (i32.const 64)))
  (func (export "register") (result i32) (call $seed_open (i32.const 2048)) (i32.const 0))
  (func (export "raw") (param i32) (result i32) (memory.grow (local.get 0)))
  (func (export "fails") (result i32) (drop (memory.grow (i32.const 9))) (i32.const 1))
  (func (export "seeded") (result i32)
    (if (i64.ne (i64.load (i32.const 2080)) (i64.const 0)) (then unreachable))
    (memory.copy (i32.const 3000) (i32.const 2048) (i32.const 32))
    (i64.store (i32.const 2048) (i64.const 9))
    (i64.store (i32.const 2080) (i64.const 9))
    (i32.store (i32.const 1028) (i32.const 3000)) (i32.store (i32.const 1032) (i32.const 32)) (i32.const 0))
  (func (export "echo") (result i32)
    (i32.store (i32.const 1028) (i32.const 1040))
    (i32.store (i32.const 1032) (i32.load (i32.const 1024)))
    (i32.const 0)))`

// A call sees its argument and its seed in memory that has moved, also after a call that
// left no result to look for.
func TestMovedMemory(t *testing.T) {
	t.Parallel()
	h := newHost(t, Config{MemoryLimit: 16 << 20})
	h.moves = true
	mod := load(t, h, guesttest.Module(t, "moving", movingWAT))
	slot := newSlot(t, h)
	echo, seeded := taskOf(t, mod, "echo"), taskOf(t, mod, "seeded")
	grown := map[string]func(){
		"raw":   func() { run(t, slot, taskOf(t, mod, "raw"), "9") },
		"fails": func() { _ = runFailing(t, slot, taskOf(t, mod, "fails"), "") },
	}
	for name, grow := range grown {
		grow()
		if got := run(t, slot, echo, "hello"); got != "hello" {
			t.Errorf("after %s: echo is %q", name, got)
		}
	}
	run(t, slot, taskOf(t, mod, "register"), "")
	want := run(t, slot, seeded, "seed")
	for name, grow := range grown {
		grow()
		if got := run(t, slot, seeded, "seed"); got != want {
			t.Errorf("after %s: the seed is %q, and was %q", name, got, want)
		}
	}
}

// Where instances are reset, a call does not find what the one before did to its files, and to
// where it prints.
func TestResetFiles(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "file"), []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	h := newHost(t, Config{Isolation: IsolationReset, Grants: map[string]Grants{"files": {Folders: map[string]string{"/data": folder}}}})
	mod := load(t, h, guesttest.Module(t, "files", `(module
	  (import "wasi_snapshot_preview1" "path_open" (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
	  (import "wasi_snapshot_preview1" "fd_close" (func $fd_close (param i32) (result i32)))
	  (import "wasi_snapshot_preview1" "fd_renumber" (func $fd_renumber (param i32 i32) (result i32)))
	  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
	  (memory (export "memory") 1)
	  (data (i32.const 0) "file")
	  (func $open (result i32)
	    (drop (call $path_open (i32.const 3) (i32.const 1) (i32.const 0) (i32.const 4) (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 16)))
	    (i32.load (i32.const 16)))
	  ;; what it prints to, and the number of a file it opens
	  (func (export "look") (param i32) (result i32 i32 i32)
	    (call $fd_write (i32.const 2) (i32.const 64) (i32.const 0) (i32.const 72)) (call $open) (call $fd_close (i32.load (i32.const 16))))
	  (func (export "leave") (param i32) (result i32) (call $open))
	  (func (export "close") (param i32) (result i32) (call $fd_close (local.get 0)))
	  (func (export "move") (param i32) (result i32) (call $fd_renumber (call $open) (local.get 0))))`))
	slot := newSlot(t, h)
	look := taskOf(t, mod, "look")
	const want = "[0,4,0]"
	instance := func() *instance { run(t, slot, look, "0"); return slot.instance }
	for _, tt := range []struct{ task, arg string }{{"leave", "0"}, {"close", "2"}, {"close", "3"}, {"move", "2"}, {"move", "9"}} {
		run(t, slot, taskOf(t, mod, tt.task), tt.arg)
		if got := run(t, slot, look, "0"); got != want {
			t.Errorf("after %s(%s): %s, want %s", tt.task, tt.arg, got, want)
		}
	}
	if before := instance(); before != instance() {
		t.Error("an instance that closes its files is replaced")
	}
}

// A granted folder that the guest closes while it starts makes no room for a file that a
// call leaves open.
func TestResetFilesClosed(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "file"), []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	h := newHost(t, Config{Isolation: IsolationReset, Grants: map[string]Grants{"files": {Folders: map[string]string{"/a": folder, "/b": folder}}}})
	mod := load(t, h, guesttest.Module(t, "files", `(module
	  (import "wasi_snapshot_preview1" "path_open" (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
	  (import "wasi_snapshot_preview1" "fd_filestat_get" (func $fd_filestat_get (param i32 i32) (result i32)))
	  (import "wasi_snapshot_preview1" "fd_close" (func $fd_close (param i32) (result i32)))
	  (memory (export "memory") 1)
	  (data (i32.const 0) "file")
	  (func (export "_initialize") ;; the folder is opened when it is first used
	    (drop (call $fd_filestat_get (i32.const 3) (i32.const 64))) (drop (call $fd_close (i32.const 3))))
	  (func (export "leave") (param i32) (result i32)
	    (drop (call $path_open (i32.const 4) (i32.const 1) (i32.const 0) (i32.const 4) (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 16)))
	    (i32.load (i32.const 16))))`))
	slot := newSlot(t, h)
	for i := range 3 {
		if got := run(t, slot, taskOf(t, mod, "leave"), "0"); got != "3" {
			t.Errorf("call %d opens file %s, want 3", i, got)
		}
	}
}

// Where instances are reset, a call does not learn how many ran before it.
func TestResetRun(t *testing.T) {
	t.Parallel()
	for isolation, want := range map[Isolation]string{IsolationReuse: "1 2 3 ", IsolationReset: "1 1 1 ", IsolationFresh: "1 1 1 "} {
		h := newHost(t, Config{Isolation: isolation})
		mod := load(t, h, guesttest.Module(t, "run", `(module
		  (import "wasmpool" "call_meta" (func $call_meta (param i32) (result i64)))
		  (memory (export "memory") 1)
		  (func (export "run") (result i64) (call $call_meta (i32.const 3))))`))
		slot, got := newSlot(t, h), ""
		for range 3 {
			got += run(t, slot, taskOf(t, mod, "run"), "") + " "
		}
		if got != want {
			t.Errorf("%v: calls are run %s, want %s", isolation, got, want)
		}
	}
}

// Changes that a guest makes to its descriptors while it starts are in the image: the runtime
// of Go makes some, and its instances are put back, not replaced.
func TestResetKeepsInstance(t *testing.T) {
	t.Parallel()
	h := newHost(t, Config{Isolation: IsolationReset})
	for m, name := range map[*wasmtasks.Module]string{
		guesttest.Build(t, "testdata/guest"): "echo", chanceModule(t, "c"): "draw", chanceModule(t, "rust"): "draw",
	} {
		task := taskOf(t, load(t, h, m), name)
		slot := newSlot(t, h)
		run(t, slot, task, "1")
		before := slot.instance
		if run(t, slot, task, "2"); slot.instance != before {
			t.Errorf("%s.%s: each call has a new instance", m.Name(), name)
		}
	}
}
