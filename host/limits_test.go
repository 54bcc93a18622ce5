package host

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

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
	mod := load(t, h, compileWAT(t, "limits", limitsWAT))
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
		mod := load(t, h, compileWAT(t, "limits", limitsWAT))
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

// largeFunction is shaped as Go's compiler shapes functions: one loop, at its head a
// br_table over nested blocks, and the pieces of code behind those. It starts with
// piece $piece and does that $turns times, then goes straight through those after it.
// A piece is 44 instructions, with 3 more at the head of a turn.
func largeFunction(pieces int) string {
	var b strings.Builder
	b.WriteString(`(module (func (export "run") (param $turns i32) (param $piece i32) (result i32) (local $x i32) (loop $head `)
	b.WriteString(strings.Repeat("(block ", pieces))
	b.WriteString("(br_table ")
	for i := range pieces {
		fmt.Fprint(&b, i, " ")
	}
	b.WriteString("(local.get $piece))")
	for range pieces {
		b.WriteString(")")
		b.WriteString(strings.Repeat("(local.set $x (i32.add (local.get $x) (i32.const 1)))", 9))
		b.WriteString("(local.set $turns (i32.sub (local.get $turns) (i32.const 1)))")
		b.WriteString("(br_if $head (i32.gt_s (local.get $turns) (i32.const 0)))")
	}
	b.WriteString(") (local.get $x)))")
	return b.String()
}

// TestInstructionsOfLargeFunctions checks that a loop costs about what it executes,
// however much code there is beside it in the function, and that no code is free.
func TestInstructionsOfLargeFunctions(t *testing.T) {
	t.Parallel()
	const piece, turns = 44, 10_000
	h := newHost(t, Config{})
	for _, pieces := range []int{1, 2, 5, 50, 900} {
		task := taskOf(t, load(t, h, compileWAT(t, fmt.Sprintf("large%d", pieces), largeFunction(pieces))), "run")
		slot := newSlot(t, h)
		for _, at := range []int{0, pieces / 2, pieces - 1} {
			run(t, slot, task, fmt.Sprintf("[%d, %d]", turns, at))
			all := slot.Usage().Instructions
			run(t, slot, task, fmt.Sprintf("[%d, %d]", 1, at))
			straight := slot.Usage().Instructions
			if want := uint64(piece * (pieces - at)); straight < want/2 || straight > 3*want+300 {
				t.Errorf("%d pieces of %d: %d instructions straight, want about %d", pieces-at, pieces, straight, want)
			}
			if each := (all - straight) / (turns - 1); each < piece/3 || each > 6*piece {
				t.Errorf("a turn of piece %d of %d: %d instructions, want about %d", at, pieces, each, piece)
			}
		}
	}
}

// An else is no part of the piece of code behind a block that the arm before it has.
func TestInstructionsOfElse(t *testing.T) {
	t.Parallel()
	const instructions, turns = 4 * 100, 1000
	wat := `(module (func (export "run") (result i32) (local $x i32) (local $i i32)
	  (local.set $i (i32.const 1000))
	  (loop
	    (if (i32.eqz (local.get $i)) (then (block (br_if 0 (local.get $x))) ` + strings.Repeat("(local.set $x (i32.const 1))", 50) + `)
	      (else ` + strings.Repeat("(local.set $x (i32.add (local.get $x) (i32.const 1)))", 100) + `))
	    (br_if 0 (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
	  (local.get $x)))`
	h := newHost(t, Config{})
	slot := newSlot(t, h)
	run(t, slot, taskOf(t, load(t, h, compileWAT(t, "else", wat)), "run"), "")
	if n := slot.Usage().Instructions; n < turns*instructions || n > 2*turns*instructions {
		t.Errorf("it counts %d instructions, want %d and some more", n, turns*instructions)
	}
}

// What a branch reaches without paying leads to nothing else that need not be paid for,
// whatever the way from one to the next: here each branch leads past the code that pays.
func TestInstructionsOfBranches(t *testing.T) {
	t.Parallel()
	const pieces, turns, each = 200, 100, 60
	work := strings.Repeat("(local.set $x (i32.add (local.get $x) (i32.const 1)))", each/4)
	full := strings.Repeat("(local.set $x (i32.const 1))", 35) // all that a piece may pay for
	blocks := strings.Repeat("(block ", pieces)
	h := newHost(t, Config{})
	for name, code := range map[string]string{
		"br":       strings.Repeat(`(block (block (br 1)))`+work, pieces),
		"br_if":    strings.Repeat(`(block (block (br_if 1 (i32.const 1)) (br 0)) (nop))`+work, pieces),
		"br_table": strings.Repeat(`(block (block (br_table 1 1 (i32.const 0))))`+work, pieces),
		"if":       strings.Repeat(`(block (block (if (i32.const 1) (then (br 2)))) (nop))`+work, pieces),
		"inside":   blocks + strings.Repeat(`(block (br 1)))`+work, pieces),
		"behind":   strings.Repeat(`(block (block (br 1)) (nop))`+work+`(block (nop) (br_if 0 (i32.const 0)))`, pieces),
	} {
		wat := `(module (func (export "run") (result i32) (local $x i32) (local $i i32) (local.set $i (i32.const ` + strconv.Itoa(turns) + `))
		  (loop $turn ` + full + code + ` (br_if $turn (local.tee $i (i32.sub (local.get $i) (i32.const 1))))) (local.get $x)))`
		slot := newSlot(t, h)
		run(t, slot, taskOf(t, load(t, h, compileWAT(t, name, wat)), "run"), "")
		if n, least := slot.Usage().Instructions, uint64(pieces*turns*each/3); n < least {
			t.Errorf("%s: it counts %d instructions, want %d at least", name, n, least)
		}
	}
}

// The count of instructions is the same on each run, however the call came to
// its instance, and a budget of exactly that lets it pass.
func TestInstructionsAreDeterministic(t *testing.T) {
	t.Parallel()
	h := newHost(t, Config{})
	mod := load(t, h, compileWAT(t, "limits", limitsWAT))
	work := taskOf(t, mod, "work")
	var first uint64
	for i := range 3 {
		slot := newSlot(t, h)
		for range 3 {
			run(t, slot, work, "")
			n := slot.Usage().Instructions
			if first == 0 {
				first = n
			}
			if n != first || n < 100_000 {
				t.Errorf("slot %d: %d instructions, want %d", i, n, first)
			}
		}
		if _, err := slot.Run(t.Context(), work, &Call{Limits: &Limits{Instructions: first}}); err != nil {
			t.Errorf("with a budget of %d: %v", first, err)
		}
		for _, less := range []uint64{1, first / 2, first - 1} {
			_, err := slot.Run(t.Context(), work, &Call{Limits: &Limits{Instructions: first - less}})
			e := errorOf(t, err)
			if e.Kind != KindBudget || e.Usage.Instructions <= first-less || e.Usage.Instructions > first {
				t.Errorf("%d less: %v after %d", less, e, e.Usage.Instructions)
			}
		}
	}
}

// A guest is ended by Stop and by its context, whatever it does.
func TestStop(t *testing.T) {
	t.Parallel()
	for _, clock := range []bool{false, true} {
		h := newHost(t, Config{Grants: map[string]Grants{"limits": {Clock: clock}}})
		mod := load(t, h, compileWAT(t, "limits", limitsWAT))
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
	mod := load(t, h, compileWAT(t, "loops", `(module
		  (import "wasmpool" "input_len" (func (result i32)))
	  (memory (export "memory") 1)
	  (func $start (loop (br 0)))
	  (start $start)
	  (func (export "task") (result i32) (i32.const 0)))`))
	if e := runFailing(t, newSlot(t, h), taskOf(t, mod, "task"), ""); e.Kind != KindTimeout || !strings.Contains(e.Message, "making an instance: it ran for 50ms") {
		t.Errorf("got %v, want a timeout", e)
	}
}

func TestIsolation(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		cfg  Config
		want []string
	}{
		{Config{}, []string{"11", "22", "33", "44"}},
		{Config{Isolation: IsolationReset}, []string{"11", "11", "11", "11"}},
		{Config{Isolation: IsolationFresh}, []string{"11", "11", "11", "11"}},
		{Config{MaxCallsPerInstance: 2}, []string{"11", "22", "11", "22"}},
	} {
		h := newHost(t, tt.cfg)
		mod := load(t, h, compileWAT(t, "limits", limitsWAT))
		slot := newSlot(t, h)
		for i, want := range tt.want {
			if got := run(t, slot, taskOf(t, mod, "count_calls"), ""); got != want {
				t.Errorf("%v, %d calls each: call %d = %q, want %q", tt.cfg.Isolation, tt.cfg.MaxCallsPerInstance, i, got, want)
			}
		}
		run(t, slot, taskOf(t, mod, "grow_politely"), "")
		if got := run(t, slot, taskOf(t, mod, "count_calls"), ""); tt.cfg.Isolation == IsolationReset && got != "11" {
			t.Errorf("after it grew: %q", got)
		}
	}
}

// An instance that grew past the bound is not kept.
func TestKeepMemory(t *testing.T) {
	t.Parallel()
	h := newHost(t, Config{KeepMemory: 1 << 20})
	mod := load(t, h, compileWAT(t, "limits", limitsWAT))
	slot := newSlot(t, h)
	run(t, slot, taskOf(t, mod, "count_calls"), "")
	run(t, slot, taskOf(t, mod, "grow_politely"), "")
	if got := slot.Usage().Memory; got != 101*wasmbin.PageSize {
		t.Errorf("it used %d bytes", got)
	}
	if got := run(t, slot, taskOf(t, mod, "count_calls"), ""); got != "11" {
		t.Errorf("count_calls = %q: the instance was kept", got)
	}
}

// A call has no instance that was refused memory as it started for a call with another
// limit, which is kept for those with the same.
func TestStartUnderLimit(t *testing.T) {
	t.Parallel()
	h := newHost(t, Config{Isolation: IsolationReset})
	size := taskOf(t, load(t, h, compileWAT(t, "eager", `(module (memory (export "memory") 1)
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
	mod := load(t, h, compileWAT(t, "two", `(module
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

func TestInitializer(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"init", "limits.init"} {
		h := newHost(t, Config{Initializer: name, InitArg: []byte("model"), MaxCallsPerInstance: 2, Isolation: IsolationReset})
		mod := load(t, h, compileWAT(t, "limits", limitsWAT))
		slot := newSlot(t, h)
		for range 5 {
			if got := run(t, slot, taskOf(t, mod, "initialized"), ""); got != "model" {
				t.Errorf("%s: got %q", name, got)
			}
		}
	}
	h := newHost(t, Config{Initializer: "init_badly"})
	mod := load(t, h, compileWAT(t, "limits", limitsWAT))
	slot := newSlot(t, h)
	for range 2 {
		e := runFailing(t, slot, taskOf(t, mod, "initialized"), "")
		if e.Kind != KindInitializer || !strings.HasPrefix(e.Message, "the initializer init_badly failed (trap): unreachable") {
			t.Errorf("got %v", e)
		}
		if len(slot.warm) != 0 {
			t.Error("the instance was kept")
		}
	}
}

// An initializer has a minute, however short the limit of the call is that needs it.
func TestInitializerOfShortCall(t *testing.T) {
	t.Parallel()
	h := newHost(t, Config{Initializer: "longer", Limits: Limits{Time: 1}})
	mod := load(t, h, compileWAT(t, "limits", `(module (memory (export "memory") 1)
  (func (export "longer") (result i32) (local i32)
    (local.set 0 (i32.const 3000000))
    (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    (i32.const 0))
  (func (export "short") (result i32) (i32.const 0)))`))
	run(t, newSlot(t, h), taskOf(t, mod, "short"), "")
}

func TestGrants(t *testing.T) {
	t.Parallel()
	m := compileWAT(t, "limits", limitsWAT)
	h := newHost(t, Config{Grants: map[string]Grants{"limits": {
		Env: map[string]string{"B": "2", "A": "1"}, Clock: true, Random: true, Output: true,
	}}})
	mod, none := load(t, h, m), load(t, h, m.WithName("other"))
	slot := newSlot(t, h)
	results := func(mod *Module, task string) (string, string) {
		one := run(t, slot, taskOf(t, mod, task), "")
		time.Sleep(time.Millisecond)
		return one, run(t, slot, taskOf(t, mod, task), "")
	}
	for _, task := range []string{"clock", "random"} {
		if one, two := results(mod, task); one == two {
			t.Errorf("%s was granted and always gives %q", task, one)
		}
		if one, two := results(none, task); one != two {
			t.Errorf("%s was not granted and gives %q, then %q", task, one, two)
		}
	}
	if got := run(t, slot, taskOf(t, mod, "env"), ""); got != "A=1\x00B=2\x00" {
		t.Errorf("the environment is %q", got)
	}
	if got := run(t, slot, taskOf(t, none, "env"), ""); got != "" {
		t.Errorf("the environment is %q, though none was granted", got)
	}
	var lines []string
	c := Call{Number: 1, Log: func(level int, line string) { lines = append(lines, fmt.Sprint(level, " ", line)) }}
	for _, mod := range []*Module{mod, none} {
		if _, err := slot.Run(t.Context(), taskOf(t, mod, "print_once"), &c); err != nil {
			t.Fatal(err)
		}
	}
	if want := "[0 sixteen letters]"; fmt.Sprint(lines) != want {
		t.Errorf("logged %v, want %v", lines, want)
	}
	bad := newHost(t, Config{Grants: map[string]Grants{"limits": {Folders: map[string]string{"/data": filepath.Join(t.TempDir(), "none")}}}})
	if _, err := bad.Load(t.Context(), m); err == nil || !strings.Contains(err.Error(), "/data") {
		t.Errorf("a folder that does not exist: %v", err)
	}
}

// A guest reads the folder it was granted, and nothing else: links do not lead
// out of it, and it cannot write.
func TestGrantedFolder(t *testing.T) {
	t.Parallel()
	out, in := t.TempDir(), t.TempDir()
	for path, text := range map[string]string{filepath.Join(out, "secret"): "secret", filepath.Join(in, "open"): "open"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{"absolute": filepath.Join(out, "secret"), "relative": "../" + filepath.Base(out) + "/secret", "folder": out} {
		if err := os.Symlink(to, filepath.Join(in, link)); err != nil {
			t.Fatal(err)
		}
	}
	h := newHost(t, Config{Grants: map[string]Grants{"guest": {Folders: map[string]string{"/data": in}}}})
	slot := newSlot(t, h)
	m := buildGuest(t, "guest")
	mod, none := load(t, h, m.WithName("guest")), load(t, h, m.WithName("other"))
	if got := run(t, slot, taskOf(t, mod, "read_file"), "/data/open"); got != "open" {
		t.Errorf("read %q", got)
	}
	for _, path := range []string{"/data/absolute", "/data/relative", "/data/folder/secret", "/data/../../etc/passwd", "/etc/passwd", "/data/none"} {
		if e := runFailing(t, slot, taskOf(t, mod, "read_file"), path); e.Kind != KindApplication {
			t.Errorf("%s: %v", path, e)
		}
	}
	for range 2 { // what is closed can be opened again
		if got := run(t, slot, taskOf(t, mod, "open_files"), "/data/open"); got != fmt.Sprint(mostFiles-1) { // the folder is one
			t.Errorf("%s files were open at once, want %d", got, mostFiles-1)
		}
	}
	h.mostFiles = h.files.Load() + 10
	if got := run(t, slot, taskOf(t, mod, "open_files"), "/data/open"); got != "10" {
		t.Errorf("%s files were open at once, want 10 as the process can spare no more", got)
	}
	if e := runFailing(t, slot, taskOf(t, mod, "write_file"), "/data/new"); e.Kind != KindApplication {
		t.Errorf("writing: %v", e)
	}
	if e := runFailing(t, slot, taskOf(t, none, "read_file"), "/data/open"); e.Kind != KindApplication {
		t.Errorf("without a grant: %v", e)
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
