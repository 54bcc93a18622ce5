package host

import (
	"math"
	"testing"

	"github.com/wasmpool/wasmpool/internal/guesttest"
)

// badDoorWAT leaves a result wherever its argument, two numbers, says.
const badDoorWAT = `(module
  (import "wasmpool" "door_open" (func $door_open (param i32 i32)))
  (memory (export "memory") 1)
  (func (export "_initialize") (call $door_open (i32.const 64) (i32.const 64)))
  (func (export "result") (result i32)
    (i32.store (i32.const 68) (i32.load (i32.const 80)))
    (i32.store (i32.const 72) (i32.load (i32.const 84)))
    (i32.const 0)))`

func TestResultOutsideMemory(t *testing.T) {
	t.Parallel()
	h := newHost(t, Config{})
	task := taskOf(t, load(t, h, guesttest.Module(t, "baddoor", badDoorWAT)), "result")
	slot := newSlot(t, h)
	at := func(ptr, n uint32) string {
		return string([]byte{byte(ptr), byte(ptr >> 8), byte(ptr >> 16), byte(ptr >> 24), byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24)})
	}
	for _, good := range [][2]uint32{{0, 0}, {65536, 0}, {0, 65536}, {65535, 1}} {
		if got := run(t, slot, task, at(good[0], good[1])); len(got) != int(good[1]) {
			t.Errorf("%v: got %d bytes", good, len(got))
		}
	}
	for _, bad := range [][2]uint32{{65536, 1}, {65537, 0}, {1, 65536}, {math.MaxUint32, 1}, {math.MaxUint32, math.MaxUint32 - 1}, {0, math.MaxUint32 - 1}} {
		want := KindBadResult
		if uint64(bad[1]) > h.cfg.Limits.Output {
			want = KindOutput // wherever it lies
		}
		if e := runFailing(t, slot, task, at(bad[0], bad[1])); e.Kind != want {
			t.Errorf("%v: got %v, want %v", bad, e, want)
		}
	}
	if got := run(t, slot, task, at(0, math.MaxUint32)); got != "" { // no result
		t.Errorf("got %q", got)
	}
}

// A call leaves its result in memory that it has made grow: with reset that memory is taken away again.
func TestDoorInGrownMemory(t *testing.T) {
	t.Parallel()
	const wat = `(module
	  (import "wasmpool" "door_open" (func $door_open (param i32 i32)))
	  (memory (export "memory") 1)
	  (func (export "grows") (result i32)
	    (drop (memory.grow (i32.const 1)))
	    (call $door_open (i32.const 65536) (i32.const 4096)) (i32.const 0)))`
	for _, isolation := range []Isolation{IsolationReuse, IsolationReset, IsolationFresh} {
		h := newHost(t, Config{Isolation: isolation})
		slot, task := newSlot(t, h), taskOf(t, load(t, h, guesttest.Module(t, "m", wat)), "grows")
		for range 3 {
			run(t, slot, task, "argument")
		}
	}
}
