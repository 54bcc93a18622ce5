package host

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/wasmpool/wasmpool/internal/guesttest"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// A command that reads before it is started, as it initializes itself, finds no input.
func TestKeptReadsEarly(t *testing.T) {
	t.Parallel()
	for name, how := range map[string]string{"export": `(export "_initialize" (func $early))`, "start": `(start $early)`} {
		m := guesttest.Module(t, "early", fmt.Sprintf(`(module
		  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
		  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
		  (memory (export "memory") 1)
		  (data (i32.const 0) "\40\00\00\00\10\00\00\00\40\00\00\00\00\00\00\00")
		  (func $early
		    (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 12))))
		  %s
		  (func (export "_start") (loop $again
		    (drop (call $fd_write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 16)))
		    (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 12)))
		    (br_if $again (i32.load (i32.const 12))))))`, how))
		for _, isolation := range []Isolation{IsolationReuse, IsolationReset, IsolationFresh} {
			h := newHost(t, Config{Isolation: isolation, Grants: map[string]Grants{EveryModule: {Keep: KeepLine}}})
			slot, task := newSlot(t, h), taskOf(t, load(t, h, m), "early")
			for _, arg := range []string{"a", "b"} {
				if got, want := run(t, slot, task, arg), arg+"\n"; got != want {
					t.Errorf("%s, %v: got %q, want %q", name, isolation, got, want)
				}
			}
		}
	}
}

// vectorWAT reads into a list of two: 4 bytes and 16, and writes what came, with its length before.
const vectorWAT = `(module
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\40\00\00\00\04\00\00\00\44\00\00\00\10\00\00\00")
  (data (i32.const 32) "\3c\00\00\00\00\00\00\00")
  (func (export "_start") (loop $again
    (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 2) (i32.const 60)))
    (if (i32.eqz (i32.load (i32.const 60))) (then return))
    (i32.store (i32.const 36) (i32.add (i32.const 4) (i32.load (i32.const 60))))
    (drop (call $fd_write (i32.const 1) (i32.const 32) (i32.const 1) (i32.const 48)))
    (br $again))))`

// A read that fills a list of places does not wait for the next argument when this one is at its end: the result of a call
// would come with the next.
func TestKeptVectors(t *testing.T) {
	t.Parallel()
	for _, isolation := range []Isolation{IsolationReuse, IsolationReset} {
		h := newHost(t, Config{Isolation: isolation, Grants: map[string]Grants{EveryModule: {Keep: KeepFrame}}})
		slot, task := newSlot(t, h), taskOf(t, load(t, h, guesttest.Module(t, "vectors", vectorWAT)), "vectors")
		for _, arg := range []string{"abc", "", "", "0123456789abcdef", "x", ""} {
			if got, want := run(t, slot, task, arg), fmt.Sprintf("%c\x00\x00\x00%c\x00\x00\x00%s", len(arg)+4, len(arg), arg); got != want {
				t.Errorf("%v: %q gives %q, want %q", isolation, arg, got, want)
			}
		}
	}
}

// A long argument is still there when a command asks for it in another way than by reading.
func TestKeptLongLazyArg(t *testing.T) {
	t.Parallel()
	m := guesttest.Module(t, "lazy", `(module
	  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
	  (import "wasmpool" "input_read" (func $input (param i32 i32 i32) (result i32)))
	  (import "wasmpool" "output_write" (func $output (param i32 i32)))
	  (memory (export "memory") 100)
	  (data (i32.const 0) "\00\10\00\00\00\00\50\00")
	  (func (export "_start") (loop $again
	    (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 60)))
	    (if (i32.eqz (i32.load (i32.const 60))) (then return))
	    (drop (call $input (i32.const 64) (i32.const 2000000) (i32.const 8)))
	    (call $output (i32.const 64) (i32.const 8))
	    (br $again))))`)
	for _, isolation := range []Isolation{IsolationReuse, IsolationReset, IsolationFresh} {
		h := newHost(t, Config{Isolation: isolation, Grants: map[string]Grants{EveryModule: {Keep: KeepFrame}}})
		slot, task := newSlot(t, h), taskOf(t, load(t, h, m), "lazy")
		for range 2 {
			got, err := slot.Run(t.Context(), task, &Call{Number: 1, Attempt: 1, ArgLen: 3 << 20, ReadArg: func(dst []byte) error {
				copy(dst, bytes.Repeat([]byte("abcdefgh"), len(dst)/8))
				return nil
			}})
			if err != nil || string(got) != "abcdefgh" {
				t.Errorf("%v: %q, %v", isolation, got, err)
			}
		}
	}
}

// A command line that a module brings along cannot have an argument copied without end, and has no odd bytes.
func TestCommandLineOdd(t *testing.T) {
	t.Parallel()
	m := guesttest.Module(t, "odd", echoWAT)
	h := newHost(t, Config{})
	loadWith := func(args ...string) (*Module, error) {
		t.Helper()
		with, err := m.WithCommandLine(wasmtasks.CommandLine{Args: args})
		if err != nil {
			t.Fatal(err)
		}
		return h.Load(t.Context(), with)
	}
	mod, err := loadWith(strings.Repeat("{}", 1000))
	if err != nil {
		t.Fatal(err)
	}
	slot, task := newSlot(t, h), taskOf(t, mod, "odd")
	if e := runFailing(t, slot, task, strings.Repeat("a", 128<<10)); e.Kind != KindBadInput || !strings.Contains(e.Message, "1000 times") {
		t.Errorf("in many places: %v", e)
	}
	run(t, slot, task, strings.Repeat("a", 2000))
	for _, args := range [][]string{{"a\x00b"}, make([]string, 1<<16+1)} {
		if _, err := loadWith(args...); !errors.Is(err, KindBadModule) {
			t.Errorf("%d arguments, %.10q first: %v, want a bad module", len(args), args[0], err)
		}
	}
}

// A read that is for nothing, or cannot know what it is for, does not wait for the next argument; and equal calls give
// equal results and counts.
func TestKeptBadList(t *testing.T) {
	t.Parallel()
	m := guesttest.Module(t, "bad", `(module
	  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
	  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
	  (memory (export "memory") 1)
	  (data (i32.const 65528) "\40\00\00\00\20\00\00\00")
	  (data (i32.const 32) "\3c\00\00\00\14\00\00\00")
	  (func (export "_start") (loop $again
	    (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 56)))
	    (i32.store (i32.const 60) (call $fd_read (i32.const 0) (i32.const 65528) (i32.const 2) (i32.const 56)))
	    (drop (call $fd_write (i32.const 1) (i32.const 32) (i32.const 1) (i32.const 48)))
	    (drop (call $fd_read (i32.const 0) (i32.const 65528) (i32.const 1) (i32.const 56)))
	    (br_if $again (i32.load (i32.const 56))))))`)
	want, used := "\x15\x00\x00\x00abc\n"+strings.Repeat("\x00", 12), map[Isolation]Usage{}
	for _, isolation := range []Isolation{IsolationReuse, IsolationReset} {
		h := newHost(t, Config{Isolation: isolation, Grants: map[string]Grants{EveryModule: {Keep: KeepLine}}})
		slot, task := newSlot(t, h), taskOf(t, load(t, h, m), "bad")
		for range 3 {
			if got := run(t, slot, task, "abc"); got != want {
				t.Errorf("%v: got %q, want %q", isolation, got, want)
			}
			if first, later := used[isolation]; later && slot.Usage() != first {
				t.Errorf("%v: used %v, before %v", isolation, slot.Usage(), first)
			}
			used[isolation] = slot.Usage()
		}
	}
}

// A command that reads on before it has said how its call ended is out of step with its calls: another one takes its place.
func TestKeptOutOfStep(t *testing.T) {
	t.Parallel()
	slot, task := keptLoop(t, Config{}, KeepCall)
	count := func(want int) {
		t.Helper()
		if e := runFailing(t, slot, task, "a"); !strings.Contains(e.Message, fmt.Sprintf("status %d", want)) {
			t.Errorf("got %v, want the status %d", e, want)
		}
	}
	count('0')
	count('1')
	nothing := strings.Repeat("x", 'n') // so that what it reads begins with n
	if e := runFailing(t, slot, task, nothing); e.Kind != KindBadResult || !strings.Contains(e.Message, "no status") {
		t.Errorf("got %v, want a bad result", e)
	}
	count('0')
}

// A command that was refused memory as it started does not run calls that may have more.
func TestKeptStarved(t *testing.T) {
	t.Parallel()
	m := guesttest.Module(t, "greedy", `(module
	  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
	  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
	  (memory (export "memory") 1)
	  (data (i32.const 0) "\40\00\00\00\10\00\00\00\20\00\00\00\04\00\00\00")
	  (func (export "_start")
	    (i32.store (i32.const 32) (memory.grow (i32.const 256)))
	    (loop $again
	      (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 48)))
	      (drop (call $fd_write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 48)))
	      (br $again))))`)
	for _, isolation := range []Isolation{IsolationReuse, IsolationReset} {
		h := newHost(t, Config{Isolation: isolation, Grants: map[string]Grants{EveryModule: {Keep: KeepLine}}})
		slot, task := newSlot(t, h), taskOf(t, load(t, h, m), "greedy")
		for _, c := range []struct {
			memory uint64
			want   string
		}{{1 << 20, "\xff\xff\xff\xff"}, {1 << 20, "\xff\xff\xff\xff"}, {64 << 20, "\x01\x00\x00\x00"}, {1 << 20, "\xff\xff\xff\xff"}} {
			got, err := slot.Run(t.Context(), task, &Call{Number: 1, Attempt: 1, Limits: &Limits{Memory: c.memory}})
			if err != nil || string(got) != c.want {
				t.Errorf("%v, %d bytes: got %q, %v, want %q", isolation, c.memory, got, err, c.want)
			}
		}
	}
}
