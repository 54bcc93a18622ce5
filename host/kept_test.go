package host

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/internal/guesttest"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// loopWAT is a command that reads what there is, and writes how often it did, and what it read. What begins
// with x ends it with code 0, y with code 3, u with a trap, l never; n is read and nothing written; m has its
// memory grow by 16 MiB. Where its input ends it returns.
const loopWAT = `(module
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 2)
  (data (i32.const 0) "\40\00\00\00\00\10\00\00")
  (data (i32.const 16) "\3f\00\00\00")
  (data (i32.const 63) "0")
  (data (i32.const 32) "\80\20\00\00\08\00\00\00")
  (data (i32.const 8320) "starting")
  (func $first (param $c i32) (result i32) (i32.eq (i32.load8_u (i32.const 64)) (local.get $c)))
  (func (export "_start")
    (drop (call $fd_write (i32.const 1) (i32.const 32) (i32.const 1) (i32.const 12)))
    (loop $again
      (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
      (if (i32.eqz (i32.load (i32.const 8))) (then return))
      (br_if $again (call $first (i32.const 110)))
      (if (call $first (i32.const 121)) (then (call $proc_exit (i32.const 3))))
      (if (call $first (i32.const 117)) (then unreachable))
      (if (call $first (i32.const 108)) (then (loop $ever (br $ever))))
      (if (call $first (i32.const 109)) (then (drop (memory.grow (i32.const 256)))))
      (i32.store (i32.const 20) (i32.add (i32.load (i32.const 8)) (i32.const 1)))
      (drop (call $fd_write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 12)))
      (if (call $first (i32.const 120)) (then (call $proc_exit (i32.const 0))))
      (i32.store8 (i32.const 63) (i32.add (i32.load8_u (i32.const 63)) (i32.const 1)))
      (br $again))))`

// keptLoop is a slot with the command of loopWAT.
func keptLoop(t *testing.T, cfg Config, keep Keep) (*Slot, *Task) {
	t.Helper()
	cfg.Grants = map[string]Grants{EveryModule: {Keep: keep}}
	h := newHost(t, cfg)
	return newSlot(t, h), taskOf(t, load(t, h, guesttest.Module(t, "loop", loopWAT)), "loop")
}

// Calls of a kept command meet the same program, and get what it wrote since the call before.
func TestKept(t *testing.T) {
	t.Parallel()
	slot, task := keptLoop(t, Config{}, KeepLine)
	for i, arg := range []string{"a", "b", "n", "", "c"} {
		want := fmt.Sprintf("%d%s\n", i-i/3, arg)
		if arg == "n" {
			want = ""
		}
		if got := run(t, slot, task, arg); got != want {
			t.Errorf("%q: got %q, want %q", arg, got, want)
		}
	}
	slot, task = keptLoop(t, Config{}, KeepFrame)
	for i, arg := range []string{"a", "\n\x00", ""} {
		if got, want := run(t, slot, task, arg), fmt.Sprintf("%d%c\x00\x00\x00%s", i, len(arg), arg); got != want {
			t.Errorf("%q: got %q, want %q", arg, got, want)
		}
	}
	long := strings.Repeat("abcd", 1<<18)
	if got := run(t, slot, task, long); strings.Count(got, "abcd") < 1<<18-300 || len(got) != len(long)+4+257 {
		t.Errorf("a long argument gives %d bytes", len(got))
	}
}

// A command that says how its calls end fails one and goes on. What it brings along says how it is started, unless that
// is granted.
func TestKeptCall(t *testing.T) {
	t.Parallel()
	m := guesttest.Module(t, "echo", echoWAT)
	for _, isolation := range []Isolation{IsolationReuse, IsolationReset, IsolationFresh} {
		with, err := m.WithCommandLine(wasmtasks.CommandLine{Args: []string{"-x"}, Keep: "call"})
		if err != nil {
			t.Fatal(err)
		}
		h := newHost(t, Config{Isolation: isolation})
		slot := newSlot(t, h)
		task := taskOf(t, load(t, h, with), "echo")
		for range 2 {
			if got := run(t, slot, task, "\x00fine"); got != "fine" {
				t.Errorf("%v: got %q", isolation, got)
			}
			for status, kind := range map[string]Kind{"\x01": KindApplication, "\x03": KindBadInput, "\x46": KindApplication, "\x09": KindBadResult} {
				if e := runFailing(t, slot, task, status+"oh no"); e.Kind != kind || !strings.Contains(e.Message, "oh no") || kind == KindApplication && e.Code != int(status[0]) {
					t.Errorf("%v: %v", isolation, e)
				}
			}
			if e := runFailing(t, slot, task, ""); e.Kind != KindBadResult || !strings.Contains(e.Message, "wrote no status") {
				t.Errorf("%v: %v", isolation, e)
			}
		}
		other := newHost(t, Config{Grants: map[string]Grants{EveryModule: {Keep: KeepFrame}}})
		if got := run(t, newSlot(t, other), taskOf(t, load(t, other, with), "echo"), "\x01"); got != "\x01" {
			t.Errorf("as it was granted: got %q", got)
		}
	}
	odd, err := m.WithCommandLine(wasmtasks.CommandLine{Keep: "for ever"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := newHost(t, Config{}).Load(t.Context(), odd); !errors.Is(err, KindBadModule) || !strings.Contains(err.Error(), `"for ever"`) {
		t.Errorf("kept in an unknown way: %v", err)
	}
}

// echoWAT is a command that reads arguments of up to 4 KiB behind their lengths, and writes them as they are.
const echoWAT = `(module
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\40\00\00\00\04\00\00\00\00\01\00\00\00\00\00\00")
  (func (export "_start")
    (loop $again
      (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 32)))
      (if (i32.eqz (i32.load (i32.const 32))) (then return))
      (i32.store (i32.const 12) (i32.load (i32.const 64)))
      (br_if $again (i32.eqz (i32.load (i32.const 12))))
      (drop (call $fd_read (i32.const 0) (i32.const 8) (i32.const 1) (i32.const 32)))
      (drop (call $fd_write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 32)))
      (br $again))))`

// What a command learns before its first argument does not depend on which call started it.
func TestKeptStartsAlike(t *testing.T) {
	t.Parallel()
	m := guesttest.Module(t, "who", `(module
	  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
	  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
	  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
	  (import "wasmpool" "call_meta" (func $meta (param i32) (result i64)))
	  (import "wasmpool" "input_len" (func $len (result i32)))
	  (memory (export "memory") 1)
	  (data (i32.const 0) "\80\00\00\00\40\00\00\00\00\01\00\00\48\00\00\00")
	  (func (export "_start") (local $i i32)
	    (loop $keys
	      (i64.store (i32.add (i32.const 256) (i32.mul (local.get $i) (i32.const 8))) (call $meta (local.get $i)))
	      (br_if $keys (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 7))))
	    (i32.store (i32.const 312) (call $len))
	    (drop (call $random (i32.const 316) (i32.const 12)))
	    (loop $again
	      (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 32)))
	      (drop (call $fd_write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 32)))
	      (br $again))))`)
	want := ""
	for i := range uint64(3) {
		h := newHost(t, Config{Isolation: IsolationReset, Grants: map[string]Grants{EveryModule: {Keep: KeepLine}}})
		slot := newSlot(t, h)
		task := taskOf(t, load(t, h, m), "who")
		for j := range uint64(2) {
			call := &Call{Number: 7 + i + 10*j, Attempt: int(1 + i), Rank: int(i), Arg: []byte(strings.Repeat("x", int(i)))}
			got, err := slot.Run(t.Context(), task, call)
			if err != nil {
				t.Fatal(err)
			}
			if want == "" {
				want = string(got)
			} else if string(got) != want {
				t.Errorf("started by call %d it says %q in call %d, want %q", 7+i, got, call.Number, want)
			}
		}
	}
}

// A newline would make two arguments of one.
func TestKeptNewline(t *testing.T) {
	t.Parallel()
	slot, task := keptLoop(t, Config{}, KeepLine)
	if e := runFailing(t, slot, task, "a\nb"); e.Kind != KindBadInput || !strings.Contains(e.Message, "has a newline") {
		t.Errorf("got %v, want bad input", e)
	}
}

// A script goes to its interpreter as it is, whatever is in it.
func TestKeptPlaceholder(t *testing.T) {
	t.Parallel()
	m := guesttest.Module(t, "args", argsWAT)
	for _, isolation := range []Isolation{IsolationReuse, IsolationReset, IsolationFresh} {
		h := newHost(t, Config{Isolation: isolation, Grants: map[string]Grants{"args": {Keep: KeepLine, Args: []string{"{}"}}}})
		if got := run(t, newSlot(t, h), taskOf(t, load(t, h, m), "args"), "a"); got != "args\x00{}\x00" {
			t.Errorf("%v: its arguments are %q", isolation, got)
		}
	}
}

// argsWAT is a command that reads up to 16 bytes, and then writes its arguments, of which there are two.
const argsWAT = `(module
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $sizes (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\40\00\00\00\10\00\00\00\80\00\00\00")
  (func (export "_start")
    (drop (call $sizes (i32.const 16) (i32.const 12)))
    (drop (call $args_get (i32.const 96) (i32.const 128)))
    (loop $again
      (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 32)))
      (if (i32.eqz (i32.load (i32.const 32))) (then return))
      (drop (call $fd_write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 32)))
      (br $again))))`

// However a call ends the program, the next finds one that was just started.
func TestKeptEnds(t *testing.T) {
	t.Parallel()
	slot, task := keptLoop(t, Config{MaxCallsPerInstance: 3}, KeepLine)
	check := func(arg, want string) {
		t.Helper()
		if got := run(t, slot, task, arg); got != want {
			t.Errorf("%q: got %q, want %q", arg, got, want)
		}
	}
	for _, c := range []struct {
		arg    string
		kind   Kind
		limits Limits
	}{
		{"x", 0, Limits{}},
		{"y", KindExit, Limits{}},
		{"u", KindTrap, Limits{}},
		{"l", KindTimeout, Limits{Time: 20 * time.Millisecond}},
		{"l", KindBudget, Limits{Instructions: 1e6}},
		{"aaaaaaaaa", KindOutput, Limits{Output: 5}},
		{"l", KindCancelled, Limits{}},
	} {
		check("a", "0a\n")
		check("b", "1b\n")
		if c.kind == 0 {
			check(c.arg, "2x\n")
			continue
		}
		ctx, cancel := context.WithCancel(t.Context())
		if c.kind == KindCancelled {
			time.AfterFunc(20*time.Millisecond, cancel)
		}
		_, err := slot.Run(ctx, task, &Call{Number: 1, Attempt: 1, Arg: []byte(c.arg), Limits: &c.limits})
		cancel()
		if e := (*Error)(nil); !errors.As(err, &e) || e.Kind != c.kind || e.NoStart {
			t.Errorf("%q: %v, want kind %v", c.arg, err, c.kind)
		}
	}
	for i := range 7 { // it is replaced after three
		check("c", fmt.Sprintf("%dc\n", i%3))
	}
}

// The limits are each call's own, and so is what is counted.
func TestKeptLimits(t *testing.T) {
	t.Parallel()
	slot, task := keptLoop(t, Config{}, KeepLine)
	var used [4]Usage
	for i := range used {
		run(t, slot, task, "a")
		used[i] = slot.Usage()
	}
	if used[1] != used[2] || used[1].Instructions == 0 || used[1].Instructions > 1000 {
		t.Errorf("calls used %v", used)
	}
	run(t, slot, task, "m")
	if got := slot.Usage().Memory; got != 258<<16 {
		t.Errorf("it grew to %d bytes", got)
	}
	small := &Call{Number: 1, Attempt: 1, Arg: []byte("z"), Limits: &Limits{Memory: 1 << 20}}
	if got, err := slot.Run(t.Context(), task, small); err != nil || string(got) != "0z\n" {
		t.Errorf("under a lower limit on memory: %q, %v, want a new program", got, err)
	}
}

// Under IsolationFresh each call has a program of its own, whose input ends; under IsolationReset each meets
// what the first met.
func TestKeptIsolated(t *testing.T) {
	t.Parallel()
	for isolation, want := range map[Isolation]string{IsolationReset: "0%s\n", IsolationFresh: "starting0%s\n"} {
		slot, task := keptLoop(t, Config{Isolation: isolation}, KeepLine)
		for range 3 {
			for _, arg := range []string{"a", "", "bc", "m"} {
				if got, want := run(t, slot, task, arg), fmt.Sprintf(want, arg); got != want {
					t.Errorf("%v: got %q, want %q", isolation, got, want)
				}
			}
			if e := runFailing(t, slot, task, "u"); e.Kind != KindTrap {
				t.Errorf("%v: %v", isolation, e)
			}
		}
	}
}

// deepWAT is a command that reads a byte of its input at a time, and writes what it counts in its locals, a global, its
// memory and its table. It waits for its first argument two calls deep, and for others three. A byte d has it
// recurse 100,000 deep.
const deepWAT = `(module
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (global $n (mut i32) (i32.const 0))
  (data (i32.const 16) "\40\00\00\00\01\00\00\00\80\00\00\00\10\00\00\00")
  (func $deep (param $n i32) (result i32)
    (if (i32.eqz (local.get $n)) (then (return (i32.const 0))))
    (i32.add (i32.const 1) (call $deep (i32.sub (local.get $n) (i32.const 1)))))
  (func $read (param $x i64) (result i64)
    (drop (call $fd_read (i32.const 0) (i32.const 16) (i32.const 1) (i32.const 8)))
    (i64.add (local.get $x) (i64.const 1)))
  (func $later (param $x i64) (result i64) (i64.add (call $read (local.get $x)) (i64.const 0x100000000)))
  (func (export "_start") (local $a i32) (local $b i64) (local $c f64) (local $v v128)
    (local.set $a (i32.const 7)) (local.set $c (f64.const 1.5))
    (local.set $b (call $read (local.get $b)))
    (loop $again
      (local.set $a (i32.add (local.get $a) (i32.const 1)))
      (local.set $c (f64.mul (local.get $c) (f64.const 1.25)))
      (local.set $v (i64x2.add (local.get $v) (v128.const i64x2 1 2)))
      (global.set $n (i32.add (global.get $n) (i32.const 1)))
      (i32.store (i32.const 1024) (i32.add (i32.load (i32.const 1024)) (i32.const 3)))
      (if (i32.eq (i32.load8_u (i32.const 64)) (i32.const 100)) (then (drop (call $deep (i32.const 100000)))))
      (i32.store (i32.const 128) (local.get $a))
      (i64.store (i32.const 132) (local.get $b))
      (f64.store (i32.const 140) (local.get $c))
      (v128.store (i32.const 148) (local.get $v))
      (i32.store (i32.const 164) (global.get $n))
      (i32.store (i32.const 168) (i32.load (i32.const 1024)))
      (i32.store8 (i32.const 172) (i32.load8_u (i32.const 64)))
      (i32.store (i32.const 28) (i32.const 45))
      (drop (call $fd_write (i32.const 1) (i32.const 24) (i32.const 1) (i32.const 12)))
      (local.set $b (call $later (local.get $b)))
      (br $again))))`

// A command that is put back finds its locals, globals, memory and calls as they were, however deep it was, and
// uses as much as the first time.
func TestKeptReset(t *testing.T) {
	t.Parallel()
	starts := 0
	for _, isolation := range []Isolation{IsolationReset, IsolationReuse} {
		h := newHost(t, Config{Isolation: isolation, Grants: map[string]Grants{EveryModule: {Keep: KeepLine}}})
		slot := newSlot(t, h)
		task := taskOf(t, load(t, h, guesttest.Module(t, "deep", deepWAT)), "deep")
		results, used := map[string]string{}, map[string]Usage{}
		var in *instance
		for i := range 300 {
			arg := []string{"a", "", "xyz", "d", "0123456789"}[i%5]
			got := run(t, slot, task, arg)
			if slot.instance != in {
				in = slot.instance
				starts++
			}
			if i%50 == 0 {
				runtime.GC()
			}
			if want, known := results[arg]; !known {
				results[arg], used[arg] = got, slot.Usage()
			} else if isolation == IsolationReset && (got != want || slot.Usage() != used[arg]) {
				t.Fatalf("call %d, %q: %q, %v, want %q, %v", i, arg, got, slot.Usage(), want, used[arg])
			} else if isolation == IsolationReuse && got == want {
				t.Fatalf("call %d, %q: the same as before, so the test sees nothing", i, arg)
			}
		}
	}
	if starts != 2 {
		t.Errorf("the commands were started %d times, want each once", starts)
	}
}

// Kept programs of many modules on one slot do not disturb each other, and end with it.
func TestKeptOthers(t *testing.T) {
	t.Parallel()
	h := newHost(t, Config{Grants: map[string]Grants{EveryModule: {Keep: KeepLine}}})
	slot := newSlot(t, h)
	m := guesttest.Module(t, "loop", loopWAT)
	var tasks []*Task
	for i := range keepInstances + 2 {
		name := fmt.Sprintf("loop%d", i)
		tasks = append(tasks, taskOf(t, load(t, h, m.WithName(name)), name))
	}
	for round := range 3 {
		for i, task := range tasks[:keepInstances] {
			if got, want := run(t, slot, task, "a"), fmt.Sprintf("%da\n", round); got != want {
				t.Errorf("program %d, round %d: got %q, want %q", i, round, got, want)
			}
		}
	}
	run(t, slot, tasks[keepInstances], "a") // in place of the one that was not used for longest
	if got := run(t, slot, tasks[0], "a"); got != "0a\n" {
		t.Errorf("the oldest program gives %q, want that of a new one", got)
	}
	if got := run(t, slot, tasks[5], "a"); got != "3a\n" {
		t.Errorf("another program gives %q, want the fourth result of the same", got)
	}
}

// A command that never reads is as one that is not kept.
func TestKeptWithoutInput(t *testing.T) {
	t.Parallel()
	h := newHost(t, Config{Grants: map[string]Grants{EveryModule: {Keep: KeepLine}}})
	slot := newSlot(t, h)
	m, err := wasmtasks.Load("hello", guesttest.Module(t, "hello", `(module
	  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
	  (memory (export "memory") 1)
	  (data (i32.const 0) "\08\00\00\00\05\00\00\00hello")
	  (func (export "_start") (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16)))))`).Bytes())
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if got := run(t, slot, taskOf(t, load(t, h, m), "hello"), "a"); got != "hello" {
			t.Errorf("got %q", got)
		}
	}
}

// A list of places to read into may have empty ones anywhere: in all calls alike.
func TestKeptEmptyPlaces(t *testing.T) {
	t.Parallel()
	const wat = `(module
	  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
	  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
	  (memory (export "memory") 1)
	  (data (i32.const 0) "\ff\ff\ff\ff\00\00\00\00\40\00\00\00\10\00\00\00")
	  (data (i32.const 16) "\40\00\00\00")
	  (func (export "_start")
	    (loop $again
	      (if (call $fd_read (i32.const 0) (i32.const 0) (i32.const 2) (i32.const 20)) (then unreachable))
	      (drop (call $fd_write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 24)))
	      (br_if $again (i32.load (i32.const 20))))))`
	for _, isolation := range []Isolation{IsolationReuse, IsolationReset} {
		h := newHost(t, Config{Isolation: isolation, Grants: map[string]Grants{EveryModule: {Keep: KeepLine}}})
		slot, task := newSlot(t, h), taskOf(t, load(t, h, guesttest.Module(t, "m", wat)), "m")
		for _, arg := range []string{"one", "other", "third"} {
			if got := run(t, slot, task, arg); got != arg+"\n" {
				t.Errorf("%v: %q gives %q", isolation, arg, got)
			}
		}
	}
}

// A program whose stack has become large starts again, so that the stacks of those that go on take little.
func TestKeptDeep(t *testing.T) {
	t.Parallel()
	const wat = `(module
	  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
	  (memory (export "memory") 1)
	  (data (i32.const 0) "\40\00\00\00\10\00\00\00")
	  (func $deep (param $n i32) (result i32)
	    (if (result i32) (local.get $n) (then (i32.add (i32.const 1) (call $deep (i32.sub (local.get $n) (i32.const 1))))) (else (i32.const 0))))
	  (func (export "_start")
	    (loop $again
	      (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 20)))
	      (drop (call $deep (i32.mul (i32.const 1000) (i32.sub (i32.load8_u (i32.const 64)) (i32.const 48)))))
	      (br_if $again (i32.load (i32.const 20))))))`
	h := newHost(t, Config{Grants: map[string]Grants{EveryModule: {Keep: KeepLine}}})
	slot, task := newSlot(t, h), taskOf(t, load(t, h, guesttest.Module(t, "m", wat)), "m")
	for arg, goes := range map[string]int{"1": 1, "\xff": 0} {
		if run(t, slot, task, arg); len(slot.warm) != goes {
			t.Errorf("after %q %d programs go on, want %d", arg, len(slot.warm), goes)
		}
	}
}

// Check refuses what a command brings along, and loading it would.
func TestCheckCommandLine(t *testing.T) {
	t.Parallel()
	m := guesttest.Module(t, "loop", loopWAT)
	for want, c := range map[string]wasmtasks.CommandLine{
		"":                        {Args: []string{"a"}, Keep: "line"},
		"forever":                 {Keep: "forever"},
		"zero byte":               {Args: []string{"a\x00"}},
		"is to have the result f": {Keep: "line"},
	} {
		m, err := m.WithCommandLine(c)
		if err != nil {
			t.Fatal(err)
		}
		cfg := Config{}
		if strings.Contains(want, "result") {
			cfg.Grants = map[string]Grants{EveryModule: {ResultFile: "/tmp/out"}}
		}
		err = cfg.Check(m)
		if (err == nil) != (want == "") || want != "" && (!errors.Is(err, KindBadModule) || !strings.Contains(err.Error(), want)) {
			t.Errorf("%v: %v, want %q", c, err, want)
		}
		if _, loads := newHost(t, cfg).Load(t.Context(), m); (loads == nil) != (err == nil) || loads != nil && !errors.Is(loads, KindBadModule) {
			t.Errorf("%v: checked %v, loaded %v", c, err, loads)
		}
	}
}

// A program that goes on pays for what it lists of its files in each call.
func TestKeptLists(t *testing.T) {
	t.Parallel()
	const wat = `(module
	  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
	  (import "wasi_snapshot_preview1" "fd_readdir" (func $list (param i32 i32 i32 i64 i32) (result i32)))
	  (memory (export "memory") 1)
	  (data (i32.const 0) "\40\00\00\00\10\00\00\00")
	  (func (export "_start")
	    (loop $again
	      (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 20)))
	      (drop (call $list (i32.const 3) (i32.const 1024) (i32.const 1024) (i64.const 0) (i32.const 24)))
	      (br_if $again (i32.load (i32.const 20))))))`
	h := newHost(t, Config{Grants: map[string]Grants{EveryModule: {Keep: KeepLine}}})
	slot, task := newSlot(t, h), taskOf(t, load(t, h, guesttest.Module(t, "m", wat)), "m")
	run(t, slot, task, "a")
	first := slot.Usage()
	for range 3 {
		if run(t, slot, task, "a"); slot.Usage() != first {
			t.Errorf("a call used %+v, the first %+v", slot.Usage(), first)
		}
	}
}
