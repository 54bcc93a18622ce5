package host

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/internal/guesttest"
	"github.com/wasmpool/wasmpool/internal/wasmbin"
)

// limitsWAT has a task for each way to go past a limit.
var limitsWAT = `(module
  (import "wasmpool" "input_read" (func $input_read (param i32 i32 i32) (result i32)))
  (import "wasmpool" "output_write" (func $output_write (param i32 i32)))
  (import "wasmpool" "log" (func $log (param i32 i32 i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_sizes_get" (func $environ_sizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_get" (func $environ (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (global $count (mut i32) (i32.const 0))
  (data (i32.const 0) "\20\00\00\00\10\00\00\00")
  (data (i32.const 32) "sixteen letters\n")

  (func (export "spin") (result i32) (loop (br 0)) (i32.const 0))
  (func (export "recurse") (result i32) (drop (call $deep (i32.const 0))) (i32.const 0))
  (func $deep (param i32) (result i32)
    (i32.add (call $deep (i32.add (local.get 0) (i32.const 1))) (call $deep (i32.const 1))))
  (func $shallow (param i32) (result i32)
    (if (result i32) (local.get 0)
      (then (i32.add (call $shallow (i32.sub (local.get 0) (i32.const 1))) (call $shallow (i32.sub (local.get 0) (i32.const 1)))))
      (else (i32.const 1))))
  (func (export "tree") (result i32) (drop (call $shallow (i32.const 60))) (i32.const 0))
  (func (export "work") (result i32) (local i32)
    (local.set 0 (i32.const 100000))
    (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    (i32.const 0))
  (func (export "grow") (result i32)
    (loop (br_if 0 (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable)
  (func (export "grow_politely") (result i32) (drop (memory.grow (i32.const 100))) (i32.const 0))
  (func (export "output") (result i32) (loop (call $output_write (i32.const 0) (i32.const 65536)) (br 0)) (i32.const 0))
  (func (export "log") (result i32) (loop (call $log (i32.const 4) (i32.const 32) (i32.const 15)) (br 0)) (i32.const 0))
  (func (export "print") (result i32)
    (loop (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))) (br 0)) (i32.const 0))
  (func (export "print_once") (result i32)
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))) (i32.const 0))
  (func (export "whole") (result i32)
    (drop (memory.grow (i32.const 16)))
    (drop (call $input_read (i32.const 0) (i32.const 0) (i32.const 1000000))) (i32.const 0))
  ;; sleep: subscribes to the clock 1 in 2^62 ns.
  (func (export "sleep") (result i32)
    (i32.store (i32.const 1016) (i32.const 1))
    (i64.store (i32.const 1024) (i64.const 0x4000000000000000))
    (loop (drop (call $poll (i32.const 1000) (i32.const 2000) (i32.const 1) (i32.const 3000))) (br 0)) (i32.const 0))
  ;; count: how often it was called in this instance, by global and by memory.
  (func (export "count_calls") (result i32)
    (global.set $count (i32.add (global.get $count) (i32.const 1)))
    (i32.store (i32.const 100) (i32.add (i32.load (i32.const 100)) (i32.const 1)))
    (i32.store8 (i32.const 200) (i32.add (i32.const 48) (global.get $count)))
    (i32.store8 (i32.const 201) (i32.add (i32.const 48) (i32.load (i32.const 100))))
    (call $output_write (i32.const 200) (i32.const 2)) (i32.const 0))
  (func (export "init") (result i32)
    (drop (call $input_read (i32.const 300) (i32.const 0) (i32.const 5))) (i32.const 0))
  (func (export "init_badly") (result i32) unreachable)
  (func (export "initialized") (result i32) (call $output_write (i32.const 300) (i32.const 5)) (i32.const 0))
  (func (export "clock") (result i32)
    (drop (call $clock (i32.const 0) (i64.const 1) (i32.const 400)))
    (call $output_write (i32.const 400) (i32.const 8)) (i32.const 0))
  (func (export "random") (result i32)
    (drop (call $random (i32.const 400) (i32.const 8)))
    (call $output_write (i32.const 400) (i32.const 8)) (i32.const 0))
  (func (export "env") (result i32)
    (drop (call $environ_sizes (i32.const 400) (i32.const 404)))
    (drop (call $environ (i32.const 500) (i32.const 600)))
    (call $output_write (i32.const 600) (i32.load (i32.const 404))) (i32.const 0))
)`

// Each way past a limit ends the call with the limit's kind, and the next call
// is right.
func TestLimits(t *testing.T) {
	t.Parallel()
	h := newHost(t, Config{MemoryLimit: 64 << 20, Limits: Limits{
		Time: 300 * time.Millisecond, Memory: 8 << 20, Output: 1 << 20, Log: 1 << 20,
	}})
	mod := load(t, h, guesttest.Module(t, "limits", limitsWAT))
	slot := newSlot(t, h)
	for _, tt := range []struct {
		task    string
		limits  *Limits
		kind    Kind
		message string
	}{
		{"spin", nil, KindTimeout, "it ran for 300ms, its limit"},
		{"spin", &Limits{Time: time.Millisecond}, KindTimeout, "1ms"},
		{"tree", nil, KindTimeout, "300ms"},
		{"recurse", &Limits{Time: time.Minute}, KindTrap, "stack overflow"},
		{"sleep", nil, KindTimeout, "300ms"},
		{"spin", &Limits{Instructions: 1000, Time: -1}, KindBudget, "it executed 1000 instructions"},
		{"tree", &Limits{Instructions: 5e6, Time: -1}, KindBudget, "5000000"},
		{"grow", &Limits{Time: -1}, KindMemory, "unreachable: it was refused more than 8 MiB of memory"},
		{"grow", &Limits{Memory: 1}, KindMemory, "it starts with 0.0625 MiB of memory, the limit is 1 bytes"},
		{"output", &Limits{Time: -1}, KindOutput, "the result is longer than the limit of 1048576 bytes"},
		{"output", &Limits{Output: 2 << 20, Time: -1}, KindOutput, "2097152"},
		{"log", &Limits{Time: -1}, KindOutput, "it logged and printed more than the limit of 1048576 bytes"},
		{"print", &Limits{Log: 1000, Time: -1}, KindOutput, "1000"},
	} {
		task := taskOf(t, mod, tt.task)
		_, err := slot.Run(t.Context(), task, &Call{Number: 1, Attempt: 1, Limits: tt.limits})
		e := errorOf(t, err)
		if e.Kind != tt.kind || !strings.Contains(e.Message, tt.message) || !errors.Is(err, tt.kind) {
			t.Errorf("%s: got %v, want %v with %q", tt.task, e, tt.kind, tt.message)
		}
		if got := run(t, slot, taskOf(t, mod, "count_calls"), ""); got != "11" {
			t.Errorf("after %s: count_calls = %q, want a fresh instance's", tt.task, got)
		}
	}
}

// The limits of a call may be above and below the host's, also for an instance
// that has run with others.
func TestMemoryOfACall(t *testing.T) {
	t.Parallel()
	for _, moves := range []bool{false, true} {
		h := newHost(t, Config{MemoryLimit: 64 << 20, Limits: Limits{Memory: 4 << 20}})
		h.moves = moves
		mod := load(t, h, guesttest.Module(t, "limits", limitsWAT))
		slot := newSlot(t, h)
		grow := taskOf(t, mod, "grow")
		for _, tt := range []struct{ limit, want uint64 }{
			{0, 4 << 20}, {16 << 20, 15<<20 + wasmbin.PageSize}, {2 << 20, 1<<20 + wasmbin.PageSize}, {Unlimited, 63<<20 + wasmbin.PageSize}, {0, 4 << 20},
		} {
			_, err := slot.Run(t.Context(), grow, &Call{Number: 1, Limits: &Limits{Memory: tt.limit}})
			e := errorOf(t, err)
			if e.Kind != KindMemory || e.Usage.Memory > tt.want || e.Usage.Memory+1<<20 < tt.want {
				t.Errorf("moves=%t: limit %d: got %v at %d bytes, want at most %d", moves, tt.limit, e, e.Usage.Memory, tt.want)
			}
			if slot.Usage() != e.Usage {
				t.Errorf("the slot says %v, the error %v", slot.Usage(), e.Usage)
			}
		}
		// A warm instance that is larger than the next call may have is replaced.
		run(t, slot, taskOf(t, mod, "count_calls"), "")
		if _, err := slot.Run(t.Context(), taskOf(t, mod, "grow_politely"), &Call{Limits: &Limits{Memory: 32 << 20}}); err != nil {
			t.Fatal(err)
		}
		if got := run(t, slot, taskOf(t, mod, "count_calls"), ""); got != "11" {
			t.Errorf("moves=%t: the instance of %d bytes was kept for a call that may have 4 MiB", moves, slot.instance.linear.size)
		}
	}
}

// A guest is ended by Stop and by its context, whatever it does.
func TestStop(t *testing.T) {
	t.Parallel()
	for _, clock := range []bool{false, true} {
		h := newHost(t, Config{Grants: map[string]Grants{"limits": {Clock: clock}}})
		mod := load(t, h, guesttest.Module(t, "limits", limitsWAT))
		slot := newSlot(t, h)
		for _, name := range []string{"spin", "tree", "sleep"} {
			task := taskOf(t, mod, name)
			time.AfterFunc(20*time.Millisecond, func() {
				slot.Stop(6, KindKilled, "for another call")
				slot.Stop(7, KindKilled, "enough of it")
			})
			_, err := slot.Run(t.Context(), task, &Call{Number: 7})
			if e := errorOf(t, err); e.Kind != KindKilled || e.Message != "enough of it" || !errors.Is(e, KindKilled) {
				t.Errorf("clock=%t: %s: got %v, want it killed", clock, name, e)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			_, err = slot.Run(ctx, task, &Call{Number: 8})
			cancel()
			if e := errorOf(t, err); e.Kind != KindTimeout || !errors.Is(e, context.DeadlineExceeded) {
				t.Errorf("clock=%t: %s: got %v, want a timeout", clock, name, e)
			}
			slot.Stop(9, KindKilled, "stale")
			if got := run(t, slot, taskOf(t, mod, "count_calls"), ""); got != "11" {
				t.Errorf("count_calls = %q", got)
			}
		}
		slot.Stop(5, KindCancelled, "before it began")
		if _, err := slot.Run(t.Context(), taskOf(t, mod, "spin"), &Call{Number: 5}); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want it cancelled", err)
		}
		for i := range 2 * mostOrders {
			slot.Stop(uint64(i), KindKilled, "stale")
		}
		if n := len(slot.orders.list); n > mostOrders {
			t.Errorf("%d orders are kept", n)
		}
	}
}

// An instance that never starts is bounded as a call is.
func TestStartLoops(t *testing.T) {
	t.Parallel()
	h := newHost(t, Config{Limits: Limits{Time: 50 * time.Millisecond}})
	mod := load(t, h, guesttest.Module(t, "loops", `(module
		  (import "wasmpool" "input_len" (func (result i32)))
	  (memory (export "memory") 1)
	  (func $start (loop (br 0)))
	  (start $start)
	  (func (export "task") (result i32) (i32.const 0)))`))
	if e := runFailing(t, newSlot(t, h), taskOf(t, mod, "task"), ""); e.Kind != KindTimeout || !strings.Contains(e.Message, "making an instance: it ran for 50ms") {
		t.Errorf("got %v, want a timeout", e)
	}
}

// A call has no instance that was refused memory as it started for a call with another
// limit, which is kept for those with the same.
func TestStartUnderLimit(t *testing.T) {
	t.Parallel()
	h := newHost(t, Config{Isolation: IsolationReset})
	size := taskOf(t, load(t, h, guesttest.Module(t, "eager", `(module (memory (export "memory") 1)
	  (func (export "_initialize") (drop (memory.grow (i32.const 16))))
	  (func (export "size") (param i32) (result i32) (memory.size)))`)), "size")
	slot := newSlot(t, h)
	var before *instance
	for i, tt := range []struct {
		limit uint64
		want  string
		kept  bool
	}{{2 * wasmbin.PageSize, "1", false}, {2 * wasmbin.PageSize, "1", true}, {0, "17", false}, {0, "17", true}, {100 * wasmbin.PageSize, "17", true}, {2 * wasmbin.PageSize, "1", false}} {
		got, err := slot.Run(t.Context(), size, &Call{Arg: []byte("0"), Limits: &Limits{Memory: tt.limit}})
		if err != nil || string(got) != tt.want || (slot.instance == before) != tt.kept {
			t.Errorf("call %d, under a limit of %d: %s pages, %v, want %s; it has the instance before: %t", i, tt.limit, got, err, tt.want, slot.instance == before)
		}
		before = slot.instance
	}
}

// A call that did not get as far as its guest used nothing, whatever ran before it.
func TestUsageOfNothing(t *testing.T) {
	t.Parallel()
	h := newHost(t, Config{})
	mod := load(t, h, guesttest.Module(t, "two", `(module
	  (func (export "count") (param i32) (result i32)
	    (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))) (local.get 0))
	  (func (export "other") (param i32)))`))
	count, other := taskOf(t, mod, "count"), taskOf(t, mod, "other")
	slot := newSlot(t, h)
	c := &Call{} // the same for all, as of a worker
	runs := func(task *Task, number uint64, arg string) error {
		c.Number, c.Arg = number, []byte(arg)
		_, err := slot.Run(t.Context(), task, c)
		return err
	}
	for name, fails := range map[string]func() error{
		"bad argument":            func() error { return runs(count, 2, "many") },
		"bad argument of another": func() error { return runs(other, 2, "many") },
		"stopped before it ran":   func() error { slot.Stop(2, KindKilled, ""); return runs(count, 2, "1") },
	} {
		if err := errors.Join(runs(other, 1, "1"), runs(count, 1, "1000")); err != nil || slot.Usage().Instructions < 1000 {
			t.Fatalf("%v, %v", err, slot.Usage())
		}
		if err := fails(); err == nil || slot.Usage() != (Usage{}) {
			t.Errorf("%s: %v, it used %v", name, err, slot.Usage())
		}
	}
}

func TestLimitsOver(t *testing.T) {
	t.Parallel()
	base := Limits{Time: time.Second, Memory: 1, Output: 2, Log: 3, Instructions: 4}
	if got := (Limits{}).Over(base); got != base {
		t.Errorf("nothing over %v = %v", base, got)
	}
	own := Limits{Time: -1, Memory: 5, Output: Unlimited, Log: 6, Instructions: 7}
	if got := own.Over(base); got != own {
		t.Errorf("%v over %v = %v", own, base, got)
	}
	if got := (Limits{Memory: math.MaxUint64}).within(7).Memory; got != 7 {
		t.Errorf("memory within 7 = %d", got)
	}
}

// What runs for all calls of an instance has a minute, or as long as the call that needs it: never for ever.
func TestLimitsForStart(t *testing.T) {
	t.Parallel()
	for limit, want := range map[time.Duration]time.Duration{-1: time.Minute, 0: time.Minute, time.Second: time.Minute, time.Hour: time.Hour} {
		if got := (Limits{Time: limit, Instructions: 5}).forStart(); got != (Limits{Time: want, Instructions: Unlimited}) {
			t.Errorf("a call that has %v: %v", limit, got)
		}
	}
}
