package worker

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/internal/guesttest"
	"github.com/wasmpool/wasmpool/internal/transport"
	"github.com/wasmpool/wasmpool/internal/wire"
)

const letGoWAT = `(module
  (import "wasmpool" "input_read" (func $read (param i32 i32 i32) (result i32)))
  (import "wasmpool" "input_len" (func $len (result i32)))
  (import "wasmpool" "output_write" (func $write (param i32 i32)))
  (memory (export "memory") 20)
  (func (export "big") (result i32) (call $write (i32.const 0) (i32.const 600000)) (i32.const 0))
  (func (export "whole") (result i32) (drop (call $read (i32.const 0) (i32.const 0) (call $len))) (i32.const 0))
  (func (export "peek") (param i32) (result i32) (i32.load (local.get 0))))`

// The stop frame comes when a long result is ready that the root does not take
// any more.
func TestStopLongResult(t *testing.T) {
	r := newRoot(t, guesttest.Module(t, "letgo", letGoWAT), 1, "big")
	r.calls(wire.Call{Number: 1})
	r.until(func() bool { return len(r.results) == 1 })
	if !r.results[0].Long {
		t.Fatal("not long")
	}
	r.send(wire.Bare(wire.TypeStop))
	select {
	case err := <-r.served:
		if err != nil {
			t.Errorf("Serve = %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("Serve still waits 10 s after the stop frame")
		r.fabric.Kill(0)
		t.Log(<-r.served)
	}
}

// A raw call is killed while its argument is under way to memory that is not the
// guest's: its instance serves the next call.
func TestRawKilled(t *testing.T) {
	r := newRoot(t, guesttest.Module(t, "letgo", letGoWAT), 1, "whole", "peek")
	var calls []wire.Call
	var numbers []uint64
	for i := range uint64(mostBuffered / bufferedPayload) {
		calls = append(calls, wire.Call{Number: i + 1, Task: 0, Long: true, ArgLen: bufferedPayload})
		numbers = append(numbers, i+1)
	}
	r.calls(calls...)
	r.until(func() bool { return len(r.pulls) == len(calls) })
	r.kill(numbers...)
	r.until(func() bool { return len(r.results) == len(calls) })
	r.calls(wire.Call{Number: 1000, Task: 1, Arg: []byte("[8]")})
	r.until(func() bool { return len(r.results) == len(calls)+1 })
	// 20,000 bytes: too long for a frame, and the buffers are full.
	r.calls(wire.Call{Number: 1001, Task: 1, Long: true, ArgLen: 20000})
	r.until(func() bool { return len(r.pulls) == len(calls)+1 })
	r.kill(1001)
	r.failed(1001, host.KindKilled)
	sent := false
	r.fabric.Endpoint(0).SendPayload(1, r.pulls[len(calls)].Payload, make([]byte, 20000), func(error) { sent = true })
	r.until(func() bool { return sent })
	time.Sleep(100 * time.Millisecond)
	r.calls(wire.Call{Number: 1002, Task: 1, Arg: []byte("[8]")})
	r.until(func() bool { return len(r.results) == len(calls)+3 })
	if last := r.results[len(r.results)-1]; last.Failed {
		t.Errorf("the call after it failed: %s", last.Data)
	}
	r.stop()
}

// A command, and a raw export, that ask for their long argument by the import, too: it
// is fetched once.
func TestArgumentFetchedOnce(t *testing.T) {
	m := guesttest.Module(t, "asks", `(module
	  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
	  (import "wasmpool" "input_read" (func $read (param i32 i32 i32) (result i32)))
	  (import "wasmpool" "input_len" (func $len (result i32)))
	  (memory (export "memory") 20)
	  (func (export "_start")
	    (i32.store (i32.const 0) (i32.const 64))
	    (i32.store (i32.const 4) (call $read (i32.const 64) (i32.const 0) (call $len)))
	    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))`)
	const size = bufferedPayload + 1000
	r := newRoot(t, m, 1, "asks")
	r.calls(wire.Call{Number: 1, Long: true, ArgLen: size})
	r.until(func() bool { return len(r.pulls) == 1 })
	r.fabric.Endpoint(0).SendPayload(1, r.pulls[0].Payload, bytes.Repeat([]byte("x"), size), func(error) {})
	r.until(func() bool { return len(r.results) == 1 })
	if res := r.results[0]; res.Failed || res.Len != size || len(r.pulls) != 1 {
		t.Errorf("after %d pulls: failed %t, %d bytes: %s", len(r.pulls), res.Failed, res.Len, res.Data)
	}
	r.fabric.Endpoint(0).RecvPayload(1, r.results[0].Payload, make([]byte, size), func(error) {})
	r.stop()
}

// A loan that cannot be read ends the worker: it could run no call of the root.
func TestBadLoan(t *testing.T) {
	t.Parallel()
	r := newRoot(t, guesttest.Module(t, "endless", endlessWAT), 1, "whole")
	root, ok := transport.As[transport.Lender](r.fabric.Endpoint(0))
	if !ok {
		t.Fatal("the root cannot lend")
	}
	at := root.Lend(1, 7, make([]byte, wire.Inline+1))
	r.calls(wire.Call{Number: 1, Long: true, ArgLen: wire.Inline + 1, Lent: at})
	r.until(func() bool { return len(r.results) == 1 })
	if r.results[0].Failed {
		t.Error("a call with a lent argument failed")
	}
	root.Reclaim(7)
	r.calls(wire.Call{Number: 2, Long: true, ArgLen: wire.Inline + 1, Lent: at})
	if err := <-r.served; !errors.Is(err, ErrRootLost) {
		t.Errorf("Serve = %v, want %v", err, ErrRootLost)
	}
}
