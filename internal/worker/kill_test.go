package worker

import (
	"errors"
	"testing"

	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/internal/guesttest"
	"github.com/wasmpool/wasmpool/internal/wire"
)

// endlessWAT has calls that do not end by themselves, and one that says how often it was
// called in its instance, by a global and by memory.
const endlessWAT = `(module
  (import "wasmpool" "input_read" (func $input_read (param i32 i32 i32) (result i32)))
  (import "wasmpool" "output_write" (func $output_write (param i32 i32)))
  (memory (export "memory") 1)
  (global $count (mut i32) (i32.const 0))
  (func (export "spin") (result i32) (loop (br 0)) (i32.const 0))
  (func (export "whole") (result i32)
    (drop (memory.grow (i32.const 16)))
    (drop (call $input_read (i32.const 0) (i32.const 0) (i32.const 1000000))) (i32.const 0))
  (func (export "count_calls") (result i32)
    (global.set $count (i32.add (global.get $count) (i32.const 1)))
    (i32.store (i32.const 100) (i32.add (i32.load (i32.const 100)) (i32.const 1)))
    (i32.store8 (i32.const 200) (i32.add (i32.const 48) (global.get $count)))
    (i32.store8 (i32.const 201) (i32.add (i32.const 48) (i32.load (i32.const 100))))
    (call $output_write (i32.const 200) (i32.const 2)) (i32.const 0)))`

// A call that waits for its argument, which never comes, is killed like any
// other, whether the argument goes straight to guest memory or not, and so is
// one that waits for a slot. The slot then runs the next call.
func TestKillServed(t *testing.T) {
	t.Parallel()
	m := guesttest.Module(t, "endless", endlessWAT)
	for _, size := range []int64{wire.Inline + 1, bufferedPayload + 1} {
		r := newRoot(t, m, 1, "whole", "count_calls", "spin")
		r.calls(wire.Call{Number: 1, Task: 0, Long: true, ArgLen: size}, wire.Call{Number: 2, Task: 2}, wire.Call{Number: 3, Task: 2})
		r.until(func() bool { return len(r.pulls) == 1 })
		r.kill(2, 77)
		if f := r.failed(2, host.KindKilled); f.Message != "because" {
			t.Errorf("the message is %q", f.Message)
		}
		r.kill(1)
		r.failed(1, host.KindKilled)
		r.kill(3)
		r.failed(3, host.KindKilled)
		// The argument comes after all: it must go nowhere.
		r.fabric.Endpoint(0).SendPayload(1, r.pulls[0].Payload, make([]byte, size), func(error) {})
		r.calls(wire.Call{Number: 4, Task: 1}, wire.Call{Number: 5, Task: 2, Limits: &wire.Limits{Instructions: 1000}})
		if f := r.failed(5, host.KindBudget); f.Usage == nil || f.Usage.Instructions < 1000 {
			t.Errorf("the usage is %v", f.Usage)
		}
		for _, res := range r.results {
			if res.Gen == 4 && (res.Failed || string(res.Data) != "11") {
				t.Errorf("the next call returned %q", res.Data)
			}
			if (res.Usage != nil) != (res.Gen == 5) {
				t.Errorf("call %d has the usage %v", res.Gen, res.Usage)
			}
		}
		r.stop()
	}
}

// The stop frame ends guests that would run for ever.
func TestStopServed(t *testing.T) {
	t.Parallel()
	r := newRoot(t, guesttest.Module(t, "endless", endlessWAT), 2, "spin")
	r.calls(wire.Call{Number: 1}, wire.Call{Number: 2}, wire.Call{Number: 3})
	r.stop()
}

// However many calls are to end that have ended already, the one among them that runs is
// told.
func TestKillAmongMany(t *testing.T) {
	t.Parallel()
	s := &server{host: newHost(t), backlog: newBacklog()}
	idle, busy := newRunner(s, 0), newRunner(s, 1)
	s.runners = []*runner{idle, busy}
	t.Cleanup(func() {
		for _, r := range s.runners {
			if err := r.slot.Close(); err != nil {
				t.Error(err)
			}
		}
	})
	const runs, most = 7, 4096 // so many orders a slot does not keep
	busy.held = span{runs, 1}
	kill := wire.Kill{Kind: uint8(host.KindKilled)}
	for n := range uint64(most) {
		kill.Calls = append(kill.Calls, n+1)
	}
	frame, err := wire.Control(wire.TypeKill, kill)
	if err != nil {
		t.Fatal(err)
	}
	ready := make(chan struct{})
	close(ready)
	for range 20 {
		if err := s.handle(frame); err != nil {
			t.Fatal(err)
		}
		if err := busy.slot.Wait(t.Context(), runs, ready); !errors.Is(err, host.KindKilled) {
			t.Fatalf("the order to end the call that runs is lost: %v", err)
		}
		if err := idle.slot.Wait(t.Context(), most, ready); err != nil {
			t.Fatalf("a slot that runs nothing was given an order: %v", err)
		}
	}
}
