package worker

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "wasmpool-worker-test")
	if err != nil {
		panic(err)
	}
	cacheDir = dir
	code := m.Run()
	os.RemoveAll(dir)
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// cacheDir is what the hosts of all tests share.
var cacheDir string

func newHost(t testing.TB) *host.Host {
	t.Helper()
	h, err := host.New(host.Config{CacheDir: cacheDir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

// compileWAT assembles a module with wat2wasm of the package wabt.
func compileWAT(t testing.TB, name, wat string) *wasmtasks.Module {
	t.Helper()
	out := filepath.Join(t.TempDir(), "m.wasm")
	cmd := exec.Command("wat2wasm", "--enable-all", "-", "-o", out)
	cmd.Stdin = bytes.NewReader([]byte(wat))
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("wat2wasm (install wabt): %v\n%s", err, text)
	}
	wasm, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	m, err := wasmtasks.Load(name, wasm)
	if err != nil {
		t.Fatal(err)
	}
	return m
}
