package host

import (
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wasmpool/wasmpool/internal/guesttest"
	"github.com/wasmpool/wasmpool/internal/unittest"
)

// hungryWAT has a task for each way to use up a process's memory.
const hungryWAT = `(module
  (import "wasmpool" "input_read" (func $read (param i32 i32 i32) (result i32)))
  (import "wasmpool" "output_write" (func $out (param i32 i32)))
  (memory (export "memory") 16)
  (global $calls (mut i32) (i32.const 0))
  ;; at_once asks for a GiB at a time.
  (func (export "at_once") (result i32)
    (loop (br_if 0 (i32.ne (memory.grow (i32.const 16384)) (i32.const -1))))
    (i32.const 100))
  ;; creep asks for a MiB at a time.
  (func (export "creep") (result i32) (local $at i32)
    (loop $l
      (local.set $at (memory.grow (i32.const 16)))
      (if (i32.eq (local.get $at) (i32.const -1)) (then (return (i32.const 100))))
      (i32.store (i32.shl (local.get $at) (i32.const 16)) (i32.const 1))
      (br $l))
    (i32.const 0))
  (func (export "flood") (result i32)
    (loop $l (call $out (i32.const 0) (i32.const 1048576)) (br $l)) (i32.const 0))
  (func $deep (export "deep") (result i32)
    (i32.add (call $deep) (call $deep)))
  (func (export "count") (result i32)
    (i32.store8 (i32.const 0) (i32.add (i32.const 49) (global.get $calls)))
    (call $out (i32.const 0) (i32.const 1))
    (i32.const 0)))`

// declaredWAT starts with 1.5 GiB.
const declaredWAT = `(module (memory (export "memory") 24576)
  (func (export "start") (result i32) (i32.store (i32.const 1000000000) (i32.const 1)) (i32.const 0)))`

// leftVar tells the test of a shortage how many MiB of address space it may map
// beyond what its process has.
const leftVar = "WASMPOOL_TEST_LEFT"

// TestShortage runs guests that want all there is in processes that may map little:
// whatever they do, only their own calls end, and the next thousand are right.
func TestShortage(t *testing.T) {
	if left, err := strconv.Atoi(os.Getenv(leftVar)); err == nil {
		sufferShortage(t, uint64(left)<<20)
		return
	}
	t.Parallel()
	for _, mib := range []int{800, 3000} {
		left := strconv.Itoa(mib * unittest.RaceFactor) // the race detector maps some for each byte
		cmd := exec.Command(os.Args[0], "-test.run=^TestShortage$", "-test.v")
		cmd.Env = append(os.Environ(), leftVar+"="+left)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("with %s MiB left: %v\n%.3000s", left, err, out)
		} else if !strings.Contains(string(out), "--- PASS: TestShortage") {
			t.Errorf("with %s MiB left nothing was tested:\n%s", left, out)
		}
	}
}

func sufferShortage(t *testing.T, left uint64) {
	var used, resident uint64
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	for i, field := range []*uint64{&used, &resident} {
		*field, err = strconv.ParseUint(strings.Fields(string(text))[i], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
	}
	limit := used*uint64(os.Getpagesize()) + left
	if err := unix.Setrlimit(unix.RLIMIT_AS, &unix.Rlimit{Cur: limit, Max: limit}); err != nil {
		t.Fatal(err)
	}
	h := newHost(t, Config{MemoryLimit: 2 << 30, Limits: Limits{Output: 600 << 20}})
	hungry := load(t, h, guesttest.Module(t, "hungry", hungryWAT))
	declared := load(t, h, guesttest.Module(t, "declared", declaredWAT))
	var slots sync.WaitGroup
	var hungrily atomic.Int32 // how many calls run that want all there is
	for range 2 {
		slot := newSlot(t, h)
		slots.Go(func() {
			for _, task := range []*Task{
				taskOf(t, hungry, "creep"), taskOf(t, hungry, "at_once"), taskOf(t, hungry, "flood"),
				taskOf(t, hungry, "deep"), taskOf(t, declared, "start"),
			} {
				hungrily.Add(1)
				_, err := slot.Run(t.Context(), task, &Call{Number: 1})
				hungrily.Add(-1)
				var e *Error
				switch {
				case task.export == "start" && err == nil: // it found enough
				case task.export == "deep" && errors.Is(err, KindTrap), task.export == "flood" && errors.Is(err, KindOutput):
				case !errors.As(err, &e) || e.Kind != KindMemory:
					t.Errorf("%s: %v, want kind memory", task.export, err)
				case !unittest.Race && left < 1000<<20 && !strings.Contains(e.Message, "ulimit -v"):
					t.Errorf("%s: %v, want the limit's name", task.export, err)
				}
				for i := 0; i < 1000; i++ {
					beside := hungrily.Load() > 0
					got, err := slot.Run(t.Context(), taskOf(t, hungry, "count"), &Call{Number: 2})
					if beside && errors.Is(err, KindMemory) { // the other slot's call may have all there is
						time.Sleep(time.Millisecond)
						i--
						continue
					}
					if err != nil || string(got) != "1" {
						t.Errorf("call %d after %s: %q, %v", i, task.export, got, err)
						break
					}
				}
			}
		})
	}
	slots.Wait()
	if used := h.memory.Used(); used > 64<<20 {
		t.Errorf("the guests that are left hold %d bytes, by the account", used)
	}
}
