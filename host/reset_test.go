package host

import (
	"fmt"
	"testing"

	"github.com/wasmpool/wasmpool/internal/guesttest"
)

// A guest whose memory grew is put back, too: it finds as much memory as it had, and zeros where it grows again.
func TestResetGrown(t *testing.T) {
	t.Parallel()
	m := guesttest.Module(t, "grows", `(module
	  (memory (export "memory") 16 64)
	  (func $use (param $at i32) (result i32) (i32.load (local.get $at)) (i32.store (local.get $at) (i32.const 1)))
	  (func (export "f") (param i32) (result i32) (local $old i32)
	    (if (i32.eqz (local.get 0)) (then (return (memory.size))))
	    (local.set $old (memory.grow (local.get 0)))
	    (i32.add (local.get $old) (i32.add (call $use (i32.const 8))
	      (call $use (i32.sub (i32.shl (memory.size) (i32.const 16)) (i32.const 4))))))
	  (func (export "outside") (param i32) (result i32) (i32.load (i32.shl (local.get 0) (i32.const 16)))))`)
	for _, cfg := range []Config{{}, {MemoryLimit: 4 << 20}} {
		cfg.Isolation = IsolationReset
		h := newHost(t, cfg)
		slot := newSlot(t, h)
		mod := load(t, h, m)
		f, outside := taskOf(t, mod, "f"), taskOf(t, mod, "outside")
		var in *instance
		for i, pages := range []string{"1", "0", "3", "20", "1", "40"} {
			want := "16"
			if got := run(t, slot, f, pages); got != want {
				t.Errorf("call %d, %s pages: got %q, want %q", i, pages, got, want)
			}
			if i > 0 && slot.instance != in {
				t.Errorf("call %d has a new instance", i)
			}
			in = slot.instance
		}
		if e := runFailing(t, slot, outside, "16"); e.Kind != KindTrap {
			t.Errorf("reading behind the memory: %v", e)
		}
	}
}

// A kept command that changed the flags of its descriptors before it read, as Go's runtime does, is put back, not started again.
func TestKeptResetFlags(t *testing.T) {
	t.Parallel()
	const flags = `(module
	  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
	  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
	  (import "wasi_snapshot_preview1" "fd_fdstat_set_flags" (func $flags (param i32 i32) (result i32)))
	  (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
	  (memory (export "memory") 1)
	  (data (i32.const 0) "\40\00\00\00\10\00\00\00\30\00\00\00\01\00\00\00")
	  (data (i32.const 48) "0")
	  (func (export "_start")
	    (drop (memory.grow (i32.const 3)))
	    (drop (call $flags (i32.const 0) (i32.const 4)))
	    (drop (call %s))
	    (loop $again
	      (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 32)))
	      (if (i32.eqz (i32.load (i32.const 32))) (then return))
	      (drop (memory.grow (i32.const 1)))
	      (drop (call $fd_write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 32)))
	      (i32.store8 (i32.const 48) (i32.add (i32.load8_u (i32.const 48)) (i32.const 1)))
	      (br $again))))`
	for before, same := range map[string]bool{"$flags (i32.const 1) (i32.const 4)": true, "$close (i32.const 2)": false} {
		h := newHost(t, Config{Isolation: IsolationReset, Grants: map[string]Grants{EveryModule: {Keep: KeepLine}}})
		slot := newSlot(t, h)
		task := taskOf(t, load(t, h, guesttest.Module(t, "flags", fmt.Sprintf(flags, before))), "flags")
		var in *instance
		for i := range 4 {
			if got := run(t, slot, task, "a"); got != "0" {
				t.Errorf("%s: call %d finds what others left: %s", before, i, got)
			}
			if i > 0 && slot.instance != in == same {
				t.Errorf("%s: call %d has a new program: %t", before, i, !same)
			}
			in = slot.instance
		}
	}
}
