package executor_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/internal/guesttest"
	"github.com/wasmpool/wasmpool/internal/unittest"
)

// slowReaderVar tells TestSlowReaderMemory to be the process that nobody reads from.
const slowReaderVar = "WASMPOOL_TEST_SLOW_READER"

// gushWAT has a task whose result has as many bytes as its argument says.
const gushWAT = `(module
  (import "wasmpool" "input_read" (func $read (param i32 i32 i32) (result i32)))
  (import "wasmpool" "output_write" (func $write (param i32 i32)))
  (memory (export "memory") 257)
  (func (export "gush") (result i32)
    (drop (call $read (i32.const 0) (i32.const 0) (i32.const 4)))
    (call $write (i32.const 0) (i32.load (i32.const 0))) (i32.const 0)))`

// TestSlowReaderMemory checks that a process whose results nobody takes stays small, however long they are.
func TestSlowReaderMemory(t *testing.T) {
	t.Parallel()
	if os.Getenv(slowReaderVar) != "" {
		gush(t, shape(t))
		return
	}
	if shared != nil || os.Getenv(faultsVar) != "" {
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestSlowReaderMemory$", "-test.v", "-test.timeout=5m")
	cmd.Env = append(os.Environ(), slowReaderVar+"=1")
	out, err := cmd.CombinedOutput()
	checkGush(t, out, err)
}

// checkGush checks what the process said that nobody read from.
func checkGush(t *testing.T, out []byte, err error) {
	t.Helper()
	_, text, found := strings.Cut(string(out), "at most ")
	mib := 0
	if found {
		fmt.Sscanf(text, "%d MiB", &mib) //nolint:errcheck // 0 then
	}
	const most = 512 * unittest.RaceFactor // the race detector maps some for each byte
	if err != nil || mib == 0 || mib >= most {
		t.Errorf("%v, it had %d MiB, want less than %d\n%s", err, mib, most, out)
	}
	t.Logf("%s", out)
}

// gush makes maps whose results nobody takes but the first, and says how much memory that took.
func gush(t *testing.T, ex *executor.Executor) {
	if err := ex.Load(guesttest.Module(t, "gushes", gushWAT)); err != nil {
		t.Fatal(err)
	}
	for _, length := range []int{1 << 10, 1 << 20, 16 << 20} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		var begun atomic.Int64
		args := func(yield func([]byte) bool) {
			for yield(binary.LittleEndian.AppendUint32(nil, uint32(length))) {
				begun.Add(1)
			}
		}
		for out, err := range ex.Map(ctx, "gush", args) {
			if err != nil || len(out) != length {
				t.Fatalf("%d bytes, %v", len(out), err)
			}
			n := settled(ctx, ex, &begun)
			fmt.Printf("%d calls with results of %d bytes were begun that nobody took\n", n, length)
			if n < 2 || n*int64(length) > 128<<20 {
				t.Errorf("%d calls with results of %d bytes were begun that nobody took", n, length)
			}
			break
		}
		cancel()
	}
	fmt.Printf("at most %d MiB\n", highWater(t)>>20)
}

// settled waits until no call ends any more, and returns how many were begun.
func settled(ctx context.Context, ex *executor.Executor, begun *atomic.Int64) int64 {
	still := time.Now()
	for last := int64(-1); time.Since(still) < 300*time.Millisecond && ctx.Err() == nil; time.Sleep(time.Millisecond) {
		st, err := ex.Stats(ctx)
		if now := begun.Load(); now != last || err != nil || st.InFlight > 0 {
			still, last = time.Now(), now
		}
	}
	return begun.Load()
}

// highWater returns the most memory that the process had, by proc(5).
func highWater(t *testing.T) uint64 {
	t.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, after, found := strings.Cut(string(text), "VmHWM:")
	kib := uint64(0)
	if _, err := fmt.Sscan(after, &kib); err != nil || !found {
		t.Fatal("the process does not say how much memory it had", err)
	}
	return kib << 10
}
