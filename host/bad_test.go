package host

import (
	"bytes"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/internal/unittest"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// goodWAT is a module with one task.
const goodWAT = `(module (func (export "f") (result i32) (i32.const 0)))`

// badModules pass the gate and the compiler, and fail when an instance starts or its task
// runs, with words that say why: one of those that want has, with "|" between them. None of
// them may come near the compiler's limits, which a slow machine reaches sooner. Package
// compile has a test with modules that are refused.
var badModules = []struct{ name, wat, want string }{
	{"data past the memory", `(module (memory 1) (data (i32.const 0x7fffffff) "x") (func (export "f") (result i32) (i32.const 0)))`, "data"},
	{"start that traps", `(module (func (export "f") (result i32) (i32.const 0)) (func $s unreachable) (start $s))`, "unreachable"},
	{"start that loops", `(module (func (export "f") (result i32) (i32.const 0)) (func $s (loop (br 0))) (start $s))`, "it ran for"},
	{"initializer that loops", `(module (func (export "f") (result i32) (i32.const 0)) (func (export "_initialize") (loop (br 0))))`, "it ran for"},
	{"task that loops", `(module (func (export "f") (result i32) (loop (br 0)) (i32.const 0)))`, "it ran for"},
	{"task that recurses", `(module (func $f (export "f") (result i32) (call $f)))`, "stack overflow|it ran for"}, // whichever comes first
	{"30,000 calls", `(module (func $f (export "f") (result i32) ` + strings.Repeat("(drop (call $f))", 30_000) + ` (i32.const 0)))`, "it ran for|stack overflow|MiB of memory"},
}

// TestBadModules loads and runs these modules, each of which must fail with the right words,
// within 256 MiB of this process and, one time in three at least, 2 s of CPU time, and leave the
// host well. The race detector multiplies both.
func TestBadModules(t *testing.T) { // alone, as it measures this process
	const mostMemory, mostTime = 256 << 20 * unittest.RaceFactor, 2 * time.Second * unittest.RaceFactor
	h := newHost(t, Config{CacheDir: t.TempDir(), MemoryLimit: 1 << 30, Limits: Limits{Time: 100 * time.Millisecond}})
	slot := newSlot(t, h)
	for _, bad := range badModules {
		wasm := unittest.Assemble(t, bad.wat)
		var err error
		var cpu time.Duration // by the clock, it is also what else the machine does
		var allocated uint64
		for range 3 { // CPU time, too, is longer while others use the caches and the other half of a core
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := unittest.CPUTime(t)
			err = tryModule(t, h, slot, wasm)
			cpu = unittest.CPUTime(t) - start
			runtime.ReadMemStats(&after)
			if allocated = after.TotalAlloc - before.TotalAlloc; cpu <= mostTime {
				break
			}
		}
		t.Logf("%-32s CPU %7v, %3d MiB allocated", bad.name, cpu.Round(100*time.Microsecond), allocated>>20)
		if err == nil {
			t.Errorf("%s: it ran", bad.name)
			continue
		}
		said := func(words string) bool { return strings.Contains(err.Error(), words) }
		if !slices.ContainsFunc(strings.Split(bad.want, "|"), said) {
			t.Errorf("%s: got %q, want %q in it", bad.name, err, bad.want)
		}
		if allocated > mostMemory || cpu > mostTime {
			t.Errorf("%s: it took too much: %d bytes, %v", bad.name, allocated, cpu)
		}
	}
	if err := tryModule(t, h, slot, unittest.Assemble(t, goodWAT)); err != nil {
		t.Errorf("afterwards a good module fails: %v", err)
	}
}

// TestFlippedBits changes a good module in one bit at a time: whatever that
// makes of it, the host must stay well.
func TestFlippedBits(t *testing.T) {
	t.Parallel()
	h := newHost(t, Config{MemoryLimit: 64 << 20, Limits: Limits{Time: 50 * time.Millisecond}})
	slot := newSlot(t, h)
	good := unittest.Assemble(t, goodWAT)
	failed := 0
	for i := range len(good) * 8 {
		flipped := bytes.Clone(good)
		flipped[i/8] ^= 1 << (i % 8)
		if tryModule(t, h, slot, flipped) != nil {
			failed++
		}
	}
	if failed == 0 || failed == len(good)*8 {
		t.Errorf("%d of %d flipped modules failed", failed, len(good)*8)
	}
}

// tryModule loads a module as from a file and runs its task f.
func tryModule(t *testing.T, h *Host, slot *Slot, wasm []byte) error {
	t.Helper()
	m, err := wasmtasks.Load("bad", wasm)
	if err != nil {
		return err
	}
	mod, err := h.Load(t.Context(), m)
	if err != nil {
		return err
	}
	f, err := mod.Task("f")
	if err != nil {
		return err
	}
	_, err = slot.Run(t.Context(), f, &Call{Number: 1, Attempt: 1})
	return err
}
