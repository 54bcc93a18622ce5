package executor_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/internal/unittest"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// bigWAT has big, whose result is 200 MiB of memory that it has not touched.
const bigWAT = `(module
  (import "wasmpool" "door_open" (func $door (param i32 i32)))
  (memory (export "memory") 3300)
  (func (export "big") (result i32)
    (call $door (i32.const 0) (i32.const 4096))
    (i32.store (i32.const 4) (i32.const 8192))
    (i32.store (i32.const 8) (i32.const 209715200))
    (i32.const 0)))`

// leftVar tells the test of a shortage how many MiB its process may map beyond what it
// has, and bigVar where its module is.
const (
	leftVar = "WASMPOOL_TEST_LEFT"
	bigVar  = "WASMPOOL_TEST_BIG"
)

// TestShortage holds more results than the root's process may: those that cannot be
// had fail, what comes after is right, and once they are dropped there is room again.
func TestShortage(t *testing.T) {
	if unittest.Race {
		return // the detector's memory is not the program's
	}
	if os.Getenv(bigVar) != "" {
		if err := mapLittle(); err != nil {
			t.Fatal(err)
		}
		ex, err := executor.Local(executor.Config{RootSlots: 2})
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(sufferShortage(t.Context(), ex), ex.Shutdown(t.Context())); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Parallel()
	cmd := exec.Command(os.Args[0], "-test.run=^TestShortage$", "-test.v")
	cmd.Env = append(os.Environ(), leftVar+"=1700", bigVar+"="+unittest.AssembleFile(t, "big", bigWAT))
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: TestShortage") {
		t.Errorf("%v\n%.5000s", err, out)
	}
}

// mapLittle bounds what this process may map.
func mapLittle() error {
	left, err := strconv.ParseUint(os.Getenv(leftVar), 10, 64)
	if err != nil {
		return err
	}
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return err
	}
	pages, err := strconv.ParseUint(strings.Fields(string(text))[0], 10, 64)
	if err != nil {
		return err
	}
	limit := pages*uint64(os.Getpagesize()) + left<<20
	return unix.Setrlimit(unix.RLIMIT_AS, &unix.Rlimit{Cur: limit, Max: limit})
}

// sufferShortage is the test, on a root that may map little.
func sufferShortage(ctx context.Context, ex *executor.Executor) error {
	ctx, cancel := context.WithTimeout(ctx, 4*time.Minute)
	defer cancel()
	m, err := wasmtasks.LoadFile(os.Getenv(bigVar))
	if err = errors.Join(err, ex.Load(tasks), ex.Load(m)); err != nil {
		return err
	}
	var held [][]byte
	short := 0
	for range 20 {
		out, err := ex.Call(ctx, "big", nil)
		var failed *executor.TaskError
		switch {
		case err == nil && len(out) == 200<<20:
			held = append(held, out)
		case !errors.As(err, &failed) || failed.Kind != host.KindMemory || !strings.Contains(failed.Message, "ulimit -v"):
			return fmt.Errorf("a result of %d bytes, %w; want one of kind memory that names the limit", len(out), err)
		default:
			short++
		}
		for i := range 100 {
			if out, err := ex.Call(ctx, "tasks.square", fmt.Append(nil, i)); err != nil || string(out) != strconv.Itoa(i*i) {
				return fmt.Errorf("%d squared is %q after %d results and %d failures: %w", i, out, len(held), short, err)
			}
		}
	}
	if len(held) == 0 || short == 0 {
		return fmt.Errorf("%d results were had and %d not: want some of both", len(held), short)
	}
	for _, out := range held {
		out[0] = 1
	}
	clear(held)
	for end := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) { // garbage is collected once a second for this
		out, err := ex.Call(ctx, "big", nil)
		if err == nil && len(out) == 200<<20 {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("all was dropped a minute ago: a result of %d bytes, %w", len(out), err)
		}
	}
}
