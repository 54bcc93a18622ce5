package worker

import (
	"slices"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/internal/guesttest"
	"github.com/wasmpool/wasmpool/internal/wire"
)

// A call's run time is not that for which its slot waited before it, until the root took
// the last result: whether the slot waited with the result's guest, or for what was in
// buffers.
func TestClockWithoutWaiting(t *testing.T) {
	t.Parallel()
	m := guesttest.Module(t, "clock", `(module
  (import "wasmpool" "output_write" (func $write (param i32 i32)))
  (memory (export "memory") 20)
  (func (export "direct") (result i32) (call $write (i32.const 0) (i32.const 600000)) (i32.const 0))
  (func (export "buffered") (result i32) (call $write (i32.const 0) (i32.const 20000)) (i32.const 0))
  (func (export "next") (result i32) (i32.const 0)))`)
	for first := range uint32(2) {
		r := newRoot(t, m, 1, "direct", "buffered", "next")
		r.calls(wire.Call{Number: 1, Task: first}, wire.Call{Number: 2, Task: 2})
		r.until(func() bool { return len(r.results) == 1 })
		long := r.results[0]
		if !long.Long {
			t.Fatal("it is not long")
		}
		time.Sleep(100 * time.Millisecond)
		taken := time.Now()
		r.fabric.Endpoint(0).RecvPayload(1, long.Payload, make([]byte, long.Len), func(error) {})
		r.until(func() bool { return len(r.results) == 2 })
		if ran, most := time.Duration(r.results[1].Nanos), time.Since(taken); ran > most {
			t.Errorf("a call ran for %v, and could begin %v ago", ran, most)
		}
		r.stop()
	}
}

// A worker says of a call that it has begun: of one whose task it does not know yet
// before it runs, of one that was taken for short when it is late. It says so once, not of calls
// that are short, nor of those that wait.
func TestBegun(t *testing.T) {
	t.Parallel()
	m := guesttest.Module(t, "turns", `(module
	  (import "wasmpool" "input_len" (func $len (result i32)))
	  (memory (export "memory") 1)
	  (func (export "turns") (result i32) (local i64)
	    (local.set 0 (i64.shl (i64.const 1) (i64.extend_i32_u (call $len))))
	    (loop $l (local.set 0 (i64.sub (local.get 0) (i64.const 1))) (br_if $l (i64.ne (local.get 0) (i64.const 0))))
	    (i32.const 0)))`)
	r := newRoot(t, m, 1, "turns")
	turns := func(n int) []byte { return make([]byte, n) } // 2^n
	r.calls(wire.Call{Number: 1, Arg: turns(1)})
	r.until(func() bool { return len(r.results) == 1 })
	if !slices.Equal(r.begun, []uint32{1}) {
		t.Errorf("of the first call of a task, begun: %v", r.begun)
	}
	for n := uint64(2); n <= 100; n++ {
		r.calls(wire.Call{Number: n, Arg: turns(1)})
	}
	r.until(func() bool { return len(r.results) == 100 })
	short := len(r.begun)
	if short == 100 { // some may have been late, where the system took the CPU away
		t.Errorf("of 99 short calls, begun: %v", r.begun[1:])
	}
	r.calls(wire.Call{Number: 101, Arg: turns(60)}, wire.Call{Number: 102, Arg: turns(60)}, wire.Call{Number: 103, Arg: turns(1)})
	r.until(func() bool { return len(r.begun) > short })
	if !slices.Equal(r.begun[short:], []uint32{101}) {
		t.Errorf("of a call that was taken for short, begun: %v", r.begun[short:])
	}
	r.kill(102)
	r.failed(102, host.KindKilled)
	r.kill(101)
	r.failed(101, host.KindKilled)
	r.until(func() bool { return len(r.results) == 103 })
	for _, n := range r.begun[short:] {
		if n == 102 {
			t.Error("a call that waited until it was killed has begun")
		}
	}
	r.stop()
}
