//go:build unix

package executor_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/internal/guesttest"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// suspendedWAT has a task that computes until there is a file named go, one that sleeps for a second, and
// one that computes for ever.
const suspendedWAT = `(module
  (import "wasi_snapshot_preview1" "path_filestat_get" (func $stat (param i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 8) "go")
  (func (export "await") (result i32)
    (loop (br_if 0 (call $stat (i32.const 3) (i32.const 0) (i32.const 8) (i32.const 2) (i32.const 64)))) (i32.const 0))
  (func (export "sleep") (result i32)
    (i32.store (i32.const 1016) (i32.const 1))
    (i64.store (i32.const 1024) (i64.const 1_000_000_000))
    (drop (call $poll (i32.const 1000) (i32.const 2000) (i32.const 1) (i32.const 3000))) (i32.const 0))
  (func (export "forever") (result i32) (loop (br 0)) (i32.const 0)))`

const (
	// suspendedVar tells this test to be the process that is suspended. It holds a folder.
	suspendedVar = "WASMPOOL_TEST_SUSPENDED"

	// suspendedLimit is the limit of its calls. It is stopped for longer.
	suspendedLimit = 3 * time.Second
)

// TestSuspended stops a process for longer than its calls may run: that time does not count. A call
// that runs for too long is ended before, and after.
func TestSuspended(t *testing.T) {
	t.Parallel()
	if dir := os.Getenv(suspendedVar); dir != "" {
		runSuspended(t, dir)
		return
	}
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestSuspended$", "-test.timeout=2m")
	cmd.Env = append(os.Environ(), suspendedVar+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	line, err := lines.ReadString('\n')
	if err == nil && line != "they run\n" {
		err = errors.New("they do not run")
	}
	if err == nil {
		err = cmd.Process.Signal(syscall.SIGSTOP)
	}
	if err == nil {
		time.Sleep(suspendedLimit + time.Second)
		err = cmd.Process.Signal(syscall.SIGCONT)
		time.Sleep(200 * time.Millisecond) // it computes on
		err = errors.Join(err, os.WriteFile(filepath.Join(dir, "go"), nil, 0o600))
	}
	if err != nil {
		cmd.Process.Kill() //nolint:errcheck // it may have ended
	}
	rest, readErr := io.ReadAll(lines)
	if err = errors.Join(err, readErr, cmd.Wait()); err != nil || !strings.Contains(string(rest), "all is well\n") {
		t.Errorf("%v\n%s%s", err, line, rest)
	}
}

// runSuspended is what the process does.
func runSuspended(t *testing.T, dir string) {
	grants := map[string]host.Grants{host.EveryModule: {Folders: map[string]string{"/": dir}, Clock: true}}
	ex, err := executor.Local(executor.Config{
		Modules: []*wasmtasks.Module{guesttest.Module(t, "suspended", suspendedWAT)}, RootSlots: 2, Sandbox: host.Config{Grants: grants},
	})
	if err != nil {
		t.Fatal(err)
	}
	tooLong := func() {
		if _, err := ex.Call(t.Context(), "forever", nil, executor.Timeout(100*time.Millisecond)); !errors.Is(err, executor.ErrTimeout) {
			t.Errorf("a call that runs for ever: %v", err)
		}
	}
	tooLong()
	limit := executor.Timeout(suspendedLimit)
	futures := []*executor.Future{ex.Submit(t.Context(), "await", nil, limit), ex.Submit(t.Context(), "sleep", nil, limit)}
	for _, f := range futures {
		eventually(t, "a call runs", func() bool { return f.State() == executor.Running })
	}
	fmt.Println("they run")
	for _, f := range futures {
		if err := f.Err(t.Context()); err != nil {
			t.Errorf("%v: %v", f, err)
		}
	}
	tooLong()
	if err := ex.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if !t.Failed() {
		fmt.Println("all is well")
	}
}
