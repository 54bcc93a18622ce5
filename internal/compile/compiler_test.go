package compile

import (
	"bytes"
	"errors"
	"testing"

	"github.com/wasmpool/wasmpool/internal/guesttest"
)

func newCompiler(t *testing.T, cfg Config) *Compiler {
	t.Helper()
	c, err := StartCompiler(cfg.withDefaults())
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

// A pipeline with a compiler loads what that compiled, and compiles nothing itself.
func TestCompiler(t *testing.T) {
	t.Parallel()
	for _, reset := range []bool{false, true} {
		cfg := Config{CacheDir: t.TempDir(), Reset: reset}
		cfg.Compiler = newCompiler(t, cfg)
		p := newPipeline(t, cfg)
		answer(t, load(t, p, guesttest.Module(t, "answer", answerWAT)))
		if n := p.Compiled(); n != 0 {
			t.Errorf("reset %t: the pipeline compiled %d modules itself", reset, n)
		}
	}
}

// A module that the compiler refuses fails as it does without one, and the next module is
// compiled.
func TestCompilerRefuses(t *testing.T) {
	t.Parallel()
	cfg := Config{CacheDir: t.TempDir()}
	cfg.Compiler = newCompiler(t, cfg)
	with, without := newPipeline(t, cfg), newPipeline(t, Config{CacheDir: t.TempDir()})
	bad := guesttest.Module(t, "bad", `(module (import "nobody" "f" (func)) (func (export "f")))`)
	_, want := without.Load(t.Context(), bad)
	if _, err := with.Load(t.Context(), bad); !errors.As(err, new(*BadModuleError)) || err.Error() != want.Error() {
		t.Errorf("a bad module: %v, want %v", err, want)
	}
	answer(t, load(t, with, guesttest.Module(t, "answer", answerWAT)))
}

// A compiler that was ended from outside fails the next module, which is not to blame.
func TestCompilerKilled(t *testing.T) {
	t.Parallel()
	cfg := Config{CacheDir: t.TempDir()}
	cfg.Compiler = newCompiler(t, cfg)
	if err := cfg.Compiler.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	p, m := newPipeline(t, cfg), guesttest.Module(t, "answer", answerWAT)
	for range 2 {
		if _, err := p.Load(t.Context(), m); err == nil || errors.As(err, new(*BadModuleError)) {
			t.Errorf("got %v, want that the compiler is gone", err)
		}
	}
}

// A confined process that a guest has taken over can have its compiler end, but not fill the
// memory with a line that has no end.
func TestCompilerEndlessLine(t *testing.T) {
	t.Parallel()
	c := newCompiler(t, Config{CacheDir: t.TempDir()})
	some := bytes.Repeat([]byte{' '}, mostLine)
	for range 100 {
		if _, err := c.in.Write(some); err != nil {
			return
		}
	}
	t.Error("the compiler still reads")
}
