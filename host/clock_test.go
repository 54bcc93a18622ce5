package host

import (
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/internal/wire"
)

// A call's run time is not that for which its slot waited before it, until the root took
// the last result: whether the slot waited with the result's guest, or for what was in
// buffers.
func TestClockWithoutWaiting(t *testing.T) {
	t.Parallel()
	m := compileWAT(t, "clock", `(module
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
		r.world.Endpoint(0).RecvPayload(1, long.Payload, make([]byte, long.Len), func(error) {})
		r.until(func() bool { return len(r.results) == 2 })
		if ran, most := time.Duration(r.results[1].Nanos), time.Since(taken); ran > most {
			t.Errorf("a call ran for %v, and could begin %v ago", ran, most)
		}
		r.stop()
	}
}
