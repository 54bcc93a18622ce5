package host

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/wasmpool/wasmpool/internal/guesttest"
)

// movesWAT is a task that calls an import with much to do, again and again, for ever.
func movesWAT(imported, params, call string) string {
	return fmt.Sprintf(`(module
	  (import "wasmpool" "input_len" (func (result i32)))
	  (import %s (func $f (param %s) (result i32)))
	  (memory (export "memory") 1024)
	  (func (export "f") (result i32) (loop (drop (call $f %s)) (br 0)) (i32.const 0)))`, imported, params, call)
}

// An argument that no program gives to WASI is a trap.
func TestImportsBound(t *testing.T) {
	t.Parallel()
	h := newHost(t, Config{})
	for _, tt := range []struct{ name, params, call, message string }{
		{"path_unlink_file", "i32 i32 i32", "(i32.const 3) (i32.const 0) (i32.const 4097)", "path of 4097 bytes"},
		{"path_symlink", "i32 i32 i32 i32 i32", "(i32.const 0) (i32.const 1) (i32.const 3) (i32.const 0) (i32.const 0x4000000)", "path of 67108864 bytes"},
		{"fd_write", "i32 i32 i32 i32", "(i32.const 2) (i32.const 0) (i32.const 1025) (i32.const 65536)", "list of 1025 entries"},
		{"poll_oneoff", "i32 i32 i32 i32", "(i32.const 0) (i32.const 0) (i32.const -1) (i32.const 0)", "list of 4294967295 entries"},
		{"fd_renumber", "i32 i32", "(i32.const 4) (i32.const 0x7fffffff)", "descriptor of 2147483647"},
		{"fd_readdir", "i32 i32 i32 i64 i32", "(i32.const 3) (i32.const 0) (i32.const 65537) (i64.const 0) (i32.const 0)", "buffer of 65537 bytes"},
	} {
		mod := load(t, h, guesttest.Module(t, "moves", movesWAT(`"wasi_snapshot_preview1" "`+tt.name+`"`, tt.params, tt.call)))
		_, err := newSlot(t, h).Run(t.Context(), taskOf(t, mod, "f"), &Call{Number: 1})
		if e := errorOf(t, err); e.Kind != KindTrap || !strings.Contains(e.Message, tt.name) || !strings.Contains(e.Message, tt.message) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// Each function of WASI has a shape, or is known to need none.
func TestWASIShapes(t *testing.T) {
	t.Parallel()
	all, err := offers()
	if err != nil {
		t.Fatal(err)
	}
	small := strings.Fields(`args_sizes_get clock_res_get clock_time_get environ_sizes_get fd_advise fd_datasync
		fd_fdstat_set_rights fd_prestat_dir_name fd_prestat_get fd_sync proc_exit proc_raise sched_yield sock_accept sock_shutdown`)
	known := map[string]bool{}
	for _, name := range small {
		known[name] = true
	}
	for name := range wasiShapes {
		known[name] = true
	}
	offered := all[wasi_snapshot_preview1.ModuleName]
	for name := range offered {
		if !known[name] {
			t.Errorf("%s has no shape", name)
		}
	}
	for name := range known {
		if offered[name] == "" {
			t.Errorf("%s is not offered", name)
		}
	}
}

// Where reset cannot put something back, the next call has a new instance.
func TestResetAlters(t *testing.T) {
	t.Parallel()
	for _, noMeter := range []bool{false, true} {
		h := newHost(t, Config{Isolation: IsolationReset, NoMeter: noMeter})
		for name, code := range map[string]string{
			"data.drop": `(memory.init $d (i32.const 0) (i32.const 0) (i32.const 1)) (data.drop $d)`,
			"elem.drop": `(table.init $t $e (i32.const 0) (i32.const 0) (i32.const 1)) (elem.drop $e)`,
			"table.set": `(call_indirect (i32.const 1)) (table.set $t (i32.const 1) (ref.null func))`,
		} {
			mod := load(t, h, guesttest.Module(t, name, `(module (import "wasmpool" "input_len" (func (result i32))) (memory (export "memory") 1)
			  (data $d "x") (table $t 2 funcref) (elem $e func $g) (elem (i32.const 1) func $g) (func $g)
			  (func (export "f") (result i32) `+code+` (i32.const 0)))`))
			slot := newSlot(t, h)
			for range 3 {
				if _, err := slot.Run(t.Context(), taskOf(t, mod, "f"), &Call{Number: 1}); err != nil {
					t.Errorf("%s, NoMeter %t: %v", name, noMeter, errors.Unwrap(err))
				}
			}
		}
	}
}

// After a reset nothing is left of what a call told the host, and none of what it read.
func TestResetForgets(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "f"), []byte("0123456789"), 0o600); err != nil {
		t.Fatal(err)
	}
	const imports = `(import "wasmpool" "output_write" (func $write (param i32 i32)))
	  (import "wasmpool" "door_open" (func $door (param i32 i32)))
	  (import "wasmpool" "seed_open" (func $seed (param i32)))
	  (import "wasi_snapshot_preview1" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
	  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
	  (memory (export "memory") 1) (data (i32.const 1000) "0123456789012345678901234567890123456789") (data (i32.const 8) "f") (data (i32.const 16) "\e8\03\00\00\02\00\00\00")
	  (func $f (drop (call $open (i32.const 3) (i32.const 0) (i32.const 8) (i32.const 1) (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 12))))`
	h := newHost(t, Config{Isolation: IsolationReset, Grants: map[string]Grants{EveryModule: {Folders: map[string]string{"/": folder}}}})
	for name, code := range map[string][2]string{
		"door":        {"", `(call $write (i32.const 1000) (i32.const 40)) (call $door (i32.const 1000) (i32.const 40))`},
		"second door": {`(call $door (i32.const 2000) (i32.const 40))`, `(call $write (i32.const 1000) (i32.const 40)) (call $door (i32.const 1000) (i32.const 40))`},
		"seed":        {"", `(call $write (i32.const 1000) (i32.const 40)) (call $seed (i32.const 1000))`},
		"second seed": {`(call $seed (i32.const 2000))`, `(call $write (i32.const 1000) (i32.const 40)) (call $seed (i32.const 1000))`},
		"kept seed":   {`(call $seed (i32.const 1020))`, `(call $write (i32.const 1040) (i32.const 4)) (i32.store (i32.const 1040) (i32.const 0)) (call $seed (i32.const 1020))`},
		"file":        {`(call $f)`, `(drop (call $read (i32.load (i32.const 12)) (i32.const 16) (i32.const 1) (i32.const 8))) (call $write (i32.const 1000) (i32.const 2))`},
	} {
		task := taskOf(t, load(t, h, guesttest.Module(t, name, `(module `+imports+`(func (export "_initialize") `+code[0]+`) (func (export "f") (result i32) `+code[1]+` (i32.const 0)))`)), "f")
		slot := newSlot(t, h)
		first := run(t, slot, task, "argument")
		for range 2 {
			if got := run(t, slot, task, "argument"); got != first || got == "" {
				t.Errorf("%s: %q, the first call gave %q", name, got, first)
			}
		}
	}
}
