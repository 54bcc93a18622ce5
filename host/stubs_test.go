package host

import (
	"strings"
	"testing"

	"github.com/wasmpool/wasmpool/internal/guesttest"
)

// A module that imports what nobody offers runs where that is allowed, until it calls it.
func TestStubImports(t *testing.T) {
	t.Parallel()
	m := guesttest.Module(t, "m", `(module
		(import "env" "f" (func $f (param i64 f32) (result f64)))
		(import "wasmpool" "output_write" (func $output (param i32 i32)))
		(import "wasi_snapshot_preview1" "sock_open" (func $open (result i32)))
		(import "env" "f" (func $g))
		(memory (export "memory") 1)
		(func (export "fine") (result i32) (call $output (i32.const 0) (i32.const 2)) (i32.const 0))
		(func (export "f") (result i32) (i32.trunc_f64_s (call $f (i64.const 1) (f32.const 2))))
		(func (export "open") (result i32) (call $open))
		(func (export "g") (result i32) (call $g) (i32.const 0)))`)
	if err := (Config{}).Check(m); err == nil || !strings.Contains(err.Error(), "sockets") {
		t.Errorf("without stubs: %v", err)
	}
	cfg := Config{StubImports: true, CacheDir: t.TempDir()}
	if err := cfg.Check(m); err != nil {
		t.Errorf("with stubs: %v", err)
	}
	refuses := newHost(t, Config{})
	if _, err := refuses.Load(t.Context(), m); err == nil {
		t.Error("it loads without stubs")
	}
	c, err := StartCompiler(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	confined := cfg
	confined.Compiler = c
	for _, cfg := range []Config{confined, cfg} {
		h := newHost(t, cfg)
		mod, slot := load(t, h, m), newSlot(t, h)
		for range 2 {
			if got := run(t, slot, taskOf(t, mod, "fine"), ""); got != "\x00\x00" {
				t.Errorf("got %q", got)
			}
			for task, name := range map[string]string{"f": "env.f", "g": "env.f", "open": "wasi_snapshot_preview1.sock_open"} {
				e := runFailing(t, slot, taskOf(t, mod, task), "")
				if want := "import " + name + ": nobody offers this function, and it was called"; e.Kind != KindTrap || !strings.HasPrefix(e.Message, want) {
					t.Errorf("%s: %v, want %q", task, e, want)
				}
			}
		}
	}
}
