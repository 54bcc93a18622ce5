package host

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/wasmpool/wasmpool/internal/guesttest"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

func newCompiler(t *testing.T, cfg Config) *Compiler {
	t.Helper()
	c, err := StartCompiler(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// countingModule has a task that returns how often it ran before.
func countingModule(t *testing.T) *wasmtasks.Module {
	return guesttest.Module(t, "counting", `(module (global $n (mut i32) (i32.const 0))
		(func (export "count") (param) (result i64) (i64.extend_i32_u (global.get $n)) (global.set $n (i32.add (global.get $n) (i32.const 1)))))`)
}

// A host with a compiler runs what that compiled, and compiles nothing itself.
func TestCompiler(t *testing.T) {
	t.Parallel()
	for _, isolation := range []Isolation{IsolationReuse, IsolationReset} {
		cfg := Config{CacheDir: t.TempDir(), Isolation: isolation}
		cfg.Compiler = newCompiler(t, cfg)
		h := newHost(t, cfg)
		slot, task := newSlot(t, h), taskOf(t, load(t, h, countingModule(t)), "count")
		for want := range 2 {
			if isolation == IsolationReset {
				want = 0
			}
			if got := run(t, slot, task, "[]"); got != fmt.Sprint(want) {
				t.Errorf("%v: got %s, want %d", isolation, got, want)
			}
		}
		if n := h.pipeline.Compiled(); n != 0 {
			t.Errorf("%v: the host compiled %d modules itself", isolation, n)
		}
	}
}

// A module that the compiler refuses fails as it does without one, and the next module is
// compiled.
func TestCompilerRefuses(t *testing.T) {
	t.Parallel()
	cfg := Config{CacheDir: t.TempDir()}
	cfg.Compiler = newCompiler(t, cfg)
	h := newHost(t, cfg)
	bad := guesttest.Module(t, "bad", `(module (import "nobody" "f" (func)) (func (export "f")))`)
	if _, err := h.Load(t.Context(), bad); !errors.Is(err, KindBadModule) {
		t.Errorf("a bad module: %v, want %v", err, KindBadModule)
	}
	load(t, h, countingModule(t))
}

// Without a cache folder the compiler makes one, and removes it at the end.
func TestCompilerWithoutCache(t *testing.T) {
	for _, name := range []string{CacheEnv, "HOME", "XDG_CACHE_HOME"} {
		t.Setenv(name, "")
	}
	c := newCompiler(t, Config{})
	dir := c.CacheDir()
	h, err := New(Config{Compiler: c})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	load(t, h, countingModule(t))
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder %s after the end: %v", dir, err)
	}
}

// A compiler that has ended fails the next module, and the host is to blame.
func TestCompilerEnded(t *testing.T) {
	t.Parallel()
	cfg := Config{CacheDir: t.TempDir()}
	cfg.Compiler = newCompiler(t, cfg)
	if err := cfg.Compiler.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := newHost(t, cfg).Load(t.Context(), countingModule(t))
	if !errors.Is(err, KindHost) {
		t.Errorf("got %v, want %v", err, KindHost)
	}
}
