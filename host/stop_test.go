package host

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/internal/guesttest"
)

// runningWAT has a task for each way of a call to take its time.
const runningWAT = `(module
  (import "wasmpool" "input_len" (func $len (result i32)))
  (import "wasmpool" "input_read" (func $read (param i32 i32 i32) (result i32)))
  (import "wasmpool" "output_write" (func $write (param i32 i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 40)
  (func (export "whole") (result i32) (drop (call $read (i32.const 0) (i32.const 0) (call $len))) (i32.const 0))
  (func (export "raw") (param i32) (result i32) (local.get 0))
  (func (export "long") (result i32) (call $write (i32.const 0) (i32.const 2000000)) (i32.const 0))
  (func (export "spin") (result i32) (loop (br 0)) (i32.const 0))
  (func (export "sleep") (result i32)
    (i32.store (i32.const 1016) (i32.const 1))
    (i64.store (i32.const 1024) (i64.const 0x4000000000000000))
    (loop (drop (call $poll (i32.const 1000) (i32.const 2000) (i32.const 1) (i32.const 3000))) (br 0)) (i32.const 0)))`

// A call that waits for what it needs is stopped as one that runs; orders for others, and
// those that came before, do not count.
func TestWait(t *testing.T) {
	t.Parallel()
	slot := newSlot(t, newHost(t, Config{}))
	never, ready := make(chan struct{}), make(chan struct{})
	close(ready)
	slot.Stop(1, KindKilled, "stale")
	if err := slot.Wait(t.Context(), 2, ready); err != nil {
		t.Errorf("got %v, want nil for what is ready", err)
	}
	waits := make(chan error)
	go func() { waits <- slot.Wait(t.Context(), 3, never) }()
	slot.Stop(2, KindKilled, "of another")
	slot.Stop(3, KindBudget, "enough")
	if e := errorOf(t, <-waits); e.Kind != KindBudget || e.Message != "enough" {
		t.Errorf("got %v, want the order's", e)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() { waits <- slot.Wait(ctx, 4, never) }()
	cancel(errors.New("closing time"))
	if e := errorOf(t, <-waits); e.Kind != KindCancelled || e.Message != "closing time" {
		t.Errorf("got %v, want it cancelled, with the cause", e)
	}
}

// A call that is stopped, or whose context ends, while its argument is read ends as Err says,
// and says it again and again. The next attempt of the call may run.
func TestErr(t *testing.T) {
	t.Parallel()
	h := newHost(t, Config{})
	slot := newSlot(t, h)
	mod := load(t, h, guesttest.Module(t, "running", runningWAT))
	for _, name := range []string{"whole", "raw"} {
		for _, stop := range []bool{true, false} {
			ctx, cancel := context.WithCancel(t.Context())
			call := &Call{Number: 5, ArgLen: 20_000}
			call.ReadArg = func([]byte) error {
				if err := slot.Err(); err != nil {
					t.Errorf("%s: it is to end before it was told: %v", name, err)
				}
				cancel()
				if stop {
					slot.Stop(5, KindKilled, "enough")
				}
				for range 2 {
					if slot.Err() == nil {
						t.Errorf("%s: it is not to end", name)
					}
				}
				return slot.Err()
			}
			_, err := slot.Run(ctx, taskOf(t, mod, name), call)
			want := KindCancelled
			if stop {
				want = KindKilled
			}
			if e := errorOf(t, err); e.Kind != want || stop && e.Message != "enough" {
				t.Errorf("%s: got %v, want it %v", name, e, want)
			}
			call.ReadArg = func(dst []byte) error {
				copy(dst, bytes.Repeat([]byte{' '}, len(dst)))
				copy(dst, "[8]")
				return slot.Err()
			}
			if _, err := slot.Run(t.Context(), taskOf(t, mod, name), call); err != nil {
				t.Errorf("%s: the next attempt failed: %v", name, err)
			}
		}
	}
}

// A call is heard of while it computes, and before it sleeps or its instance is made. While it
// computes its slot's ticks grow.
func TestHeartbeat(t *testing.T) {
	t.Parallel()
	h := newHost(t, Config{Grants: map[string]Grants{EveryModule: {Clock: true}}})
	mod := load(t, h, guesttest.Module(t, "running", runningWAT))
	for _, tt := range []struct {
		task     string
		ticks    bool
		mayBlock int // times: as its instance is made, and as it sleeps
	}{{"spin", true, 1}, {"sleep", false, 2}} {
		slot, beats, blocks := newSlot(t, h), 0, 0
		call := &Call{Number: 1, Limits: &Limits{Time: 100 * time.Millisecond}}
		call.Heartbeat = func(blocking bool) {
			if beats++; blocking {
				blocks++
			}
		}
		if _, err := slot.Run(t.Context(), taskOf(t, mod, tt.task), call); !errors.Is(err, KindTimeout) {
			t.Errorf("%s: got %v, want a timeout", tt.task, err)
		}
		if ticks := slot.Ticks(); ticks > 0 != tt.ticks || beats <= blocks || blocks < tt.mayBlock {
			t.Errorf("%s: %d ticks, %d heartbeats, %d of them before it may block", tt.task, ticks, beats, blocks)
		}
	}
}

// Memory that somebody keeps can still be written to when its call has failed and its slot
// is closed.
func TestKeep(t *testing.T) {
	t.Parallel()
	h := newHost(t, Config{})
	mod := load(t, h, guesttest.Module(t, "running", runningWAT))
	for _, name := range []string{"whole", "raw", "long"} {
		for _, size := range []int64{20_000, 2 << 20} { // raw takes less
			slot := h.NewSlot()
			var part []byte
			var free func()
			call := &Call{Number: 1, ArgLen: size}
			call.ReadArg = func(dst []byte) error {
				part, free = dst, slot.Keep(dst)
				return errors.New("no more")
			}
			result, err := slot.Run(t.Context(), taskOf(t, mod, name), call)
			if name == "long" {
				part, free = result, slot.Keep(result)
			}
			if (err == nil) != (name == "long") {
				t.Errorf("%s: %v", name, err)
			}
			if err := slot.Close(); err != nil {
				t.Fatal(err)
			}
			for i := range part {
				part[i] = 7
			}
			if free != nil {
				free()
			}
		}
	}
}
