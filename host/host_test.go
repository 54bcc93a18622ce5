package host

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/gofrs/flock"

	"github.com/wasmpool/wasmpool/internal/compile"
	"github.com/wasmpool/wasmpool/internal/guesttest"
	"github.com/wasmpool/wasmpool/internal/unittest"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	h := newHost(t, Config{MemoryLimit: 1 << 20})
	tests := []struct {
		name, wat, want string
	}{
		{"module", `(module (import "env" "f" (func)))`, `env.f: nobody offers a module "env" here, only wasi_snapshot_preview1 and wasmpool`},
		{"function", `(module (import "wasmpool" "rewind" (func)))`, "wasmpool.rewind, which does not exist"},
		{"wasi function", `(module (import "wasi_snapshot_preview1" "reboot" (func)))`, "wasi_snapshot_preview1.reboot, which does not exist"},
		{"type", `(module (import "wasmpool" "input_len" (func (result i64))))`, "wasmpool.input_len as () -> i64, it is () -> i32"},
		{"wasi type", `(module (import "wasi_snapshot_preview1" "fd_close" (func (result i32))))`, "it is (i32) -> i32"},
		{"memory", `(module (import "env" "memory" (memory 1)))`, "the memory env.memory"},
		{"global", `(module (import "env" "g" (global i32)))`, "the global env.g"},
		{"limit", `(module (memory 17))`, "starts with 1.0625 MiB of memory, the limit is 1 MiB"},
		{"shared", `(module (memory 1 1 shared))`, "shared between threads"},
		{"invalid", `(module (func (export "f") (result i32) (i32.const 0)))`, "invalid function"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			wasm := unittest.Assemble(t, tt.wat)
			if tt.name == "invalid" {
				wasm[len(wasm)-3] = 0x42 // i64.const
			}
			m, err := wasmtasks.Load("m", wasm)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				_, err = h.Load(t.Context(), m)
				if err == nil {
					t.Fatal("it was loaded")
				}
				e := errorOf(t, err)
				if e.Kind != KindBadModule || !strings.Contains(e.Message, tt.want) || !strings.HasPrefix(e.Message, "module m: ") {
					t.Errorf("got %v, want a bad module with %q", e, tt.want)
				}
			}
		})
	}
}

func TestLoadOnce(t *testing.T) {
	t.Parallel()
	h := newHost(t, Config{CacheDir: t.TempDir()})
	m := guesttest.Module(t, "door", doorWAT)
	codes := make([]*compile.Code, 16)
	var wg sync.WaitGroup
	for i := range codes {
		wg.Go(func() {
			mod, err := h.Load(context.Background(), m.WithName("other"))
			if err != nil {
				t.Error(err)
				return
			}
			codes[i] = mod.code.Code
		})
	}
	wg.Wait()
	for _, c := range codes {
		if c == nil || c != codes[0] {
			t.Errorf("the module was loaded more than once")
		}
	}
	if n := h.pipeline.Compiled(); n != 1 {
		t.Errorf("compiled %d, want 1", n)
	}
}

func TestLoadContext(t *testing.T) {
	t.Parallel()
	h := newHost(t, Config{CacheDir: t.TempDir()})
	m := guesttest.Module(t, "door", doorWAT)
	unlock := compiledElsewhere(t, h, m)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.Load(ctx, m); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want cancelled", err)
	}
	unlock()
	load(t, h, m) // it went on
	if n := h.pipeline.Compiled(); n != 1 {
		t.Errorf("compiled %d, want 1", n)
	}
}

// compiledElsewhere makes it look as if another process compiled m, and took
// its time.
func compiledElsewhere(t *testing.T, h *Host, m *wasmtasks.Module) (done func()) {
	t.Helper()
	l := flock.New(filepath.Join(h.Config().CacheDir, m.Digest().String()+".lock"))
	if err := l.Lock(); err != nil {
		t.Fatal(err)
	}
	return func() { l.Close() }
}

func TestUnknownTask(t *testing.T) {
	t.Parallel()
	h := newHost(t, Config{})
	mod := load(t, h, guesttest.Module(t, "door", doorWAT))
	_, err := mod.Task("nope")
	if e := errorOf(t, err); e.Kind != KindUnknownTask || !strings.Contains(e.Message, `no task "nope", it has echo, imports, noop`) {
		t.Errorf("got %v", e)
	}
}

func TestClose(t *testing.T) {
	t.Parallel()
	h, err := New(Config{CacheDir: cacheDir})
	if err != nil {
		t.Fatal(err)
	}
	m := guesttest.Module(t, "door", doorWAT)
	task := taskOf(t, load(t, h, m), "echo")
	slot := h.NewSlot()
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Load(t.Context(), m); !errors.Is(err, ErrClosed) {
		t.Errorf("Load after Close: %v, want closed", err)
	}
	if got := run(t, slot, task, "still"); got != "still" { // the code is kept for the slot
		t.Errorf("got %q", got)
	}
	for range 2 {
		if err := slot.Close(); err != nil {
			t.Fatal(err)
		}
		if err := h.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if len(h.codes) > 0 {
		t.Error("the code was not freed")
	}
	if _, err := h.program(m, task.code.Code); !errors.Is(err, ErrClosed) || len(h.loaded) > 0 { // as a Load that began before does
		t.Errorf("%v, want closed, with %d modules loaded", err, len(h.loaded))
	}
	if _, err := slot.Run(t.Context(), task, &Call{}); !errors.Is(err, ErrClosed) {
		t.Errorf("Run after Close: %v, want closed", err)
	}
}

// A load under way ends with its host.
func TestCloseWhileLoading(t *testing.T) {
	t.Parallel()
	h, err := New(Config{CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	m := guesttest.Module(t, "door", doorWAT)
	unlock := compiledElsewhere(t, h, m)
	defer unlock()
	l, err := h.begin(m)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	if <-l.done; !errors.Is(l.err, ErrClosed) {
		t.Errorf("got %v, want closed", l.err)
	}
}

func TestKindText(t *testing.T) {
	t.Parallel()
	for k := KindApplication; k <= KindDiffered; k++ {
		text, err := json.Marshal(k)
		if err != nil {
			t.Fatal(err)
		}
		var back Kind
		if err := json.Unmarshal(text, &back); err != nil || back != k {
			t.Errorf("%s came back as %v (%v)", text, back, err)
		}
	}
	if err := new(Kind).UnmarshalText([]byte("odd")); err == nil {
		t.Error("an unknown word was accepted")
	}
	if got := Kind(200).String(); got != "kind 200" {
		t.Errorf("got %q", got)
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	if _, err := New(Config{MemoryLimit: 1000}); err == nil {
		t.Error("a limit of less than a page was accepted")
	}
	if _, err := New(Config{MemoryLimit: compile.MaxMemory + 1}); err == nil {
		t.Error("a limit of more than a module can use was accepted")
	}
	h := newHost(t, Config{})
	if h.cfg.MemoryLimit != compile.MaxMemory {
		t.Errorf("limit %d, want %d", h.cfg.MemoryLimit, uint64(compile.MaxMemory))
	}
}

// The cache folder is where CacheEnv says.
func TestCacheEnv(t *testing.T) {
	dir := t.TempDir()
	t.Setenv(CacheEnv, dir)
	h, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if got, want := h.Config().CacheDir, filepath.Join(dir, "compiled"); got != want {
		t.Errorf("the cache folder is %s, want %s", got, want)
	}
}
