package host

import (
	"fmt"
	"strings"
	"testing"

	"github.com/wasmpool/wasmpool/internal/guesttest"
)

func TestCommand(t *testing.T) {
	t.Parallel()
	h := newHost(t, Config{})
	m := guesttest.Build(t, "testdata/command")
	task := taskOf(t, load(t, h, m), "command")
	slot := newSlot(t, h)
	for arg, want := range map[string]string{
		"":      `1 args ["command"] stdin 0 bytes`,
		"hello": `1 args ["command"] stdin 5 bytes`,
		"{}":    `1 args ["command"] stdin 2 bytes`,
		"exit0": "left early",
	} {
		if got := run(t, slot, task, arg); got != want {
			t.Errorf("%.20q: got %s, want %s", arg, got, want)
		}
	}
	for _, tt := range []struct {
		arg, message string
		code         int
	}{
		{"exit", "exit code 3: it went wrong", 3},
		{"silent", "the guest exited with code 4", 4},
		{"panic", "panic: oh no", 2},
	} {
		e := runFailing(t, slot, task, tt.arg)
		if e.Kind != KindExit || e.Code != tt.code || !strings.Contains(e.Message, tt.message) {
			t.Errorf("%s: %+v, want exit code %d and %q", tt.arg, e, tt.code, tt.message)
		}
	}
	// The task of a command is named after the module.
	other := load(t, h, m.WithName("other"))
	if got, want := run(t, slot, taskOf(t, other, "other"), ""), `1 args ["other"] stdin 0 bytes`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A command's arguments are fixed, or take in the argument of the call, which is then not its standard input.
func TestCommandArguments(t *testing.T) {
	t.Parallel()
	m := guesttest.Build(t, "testdata/command")
	fixed := newHost(t, Config{Grants: map[string]Grants{"command": {Args: []string{"-n", "", "{ }"}}}})
	if got, want := run(t, newSlot(t, fixed), taskOf(t, load(t, fixed, m), "command"), "hello"), `4 args ["command" "-n" "" "{ }"] stdin 5 bytes`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	h := newHost(t, Config{Grants: map[string]Grants{"command": {Args: []string{"-e", "{}", "--both={},{}"}}}})
	task, slot := taskOf(t, load(t, h, m), "command"), newSlot(t, h)
	long := strings.Repeat("x", mostArgv)
	for arg, want := range map[string]string{
		"":     `4 args ["command" "-e" "" "--both=,"] stdin 0 bytes`,
		"{}":   `4 args ["command" "-e" "{}" "--both={},{}"] stdin 0 bytes`,
		"é\n":  `4 args ["command" "-e" "é\n" "--both=é\n,é\n"] stdin 0 bytes`,
		"\xff": `4 args ["command" "-e" "\xff" "--both=\xff,\xff"] stdin 0 bytes`,
		long:   fmt.Sprintf(`4 args ["command" "-e" %q %q] stdin 0 bytes`, long, "--both="+long+","+long),
	} {
		if got := run(t, slot, task, arg); got != want {
			t.Errorf("%.20q: got %.200s, want %.200s", arg, got, want)
		}
	}
	for arg, message := range map[string]string{
		"a\x00":    "the call's argument has a zero byte, one that takes the place of {} cannot: leave {} out",
		long + "x": "the call's argument has 131073 bytes, one that takes the place of {} at most 131072",
	} {
		if e := runFailing(t, slot, task, arg); e.Kind != KindBadInput || !strings.Contains(e.Message, message) {
			t.Errorf("%.20q: %v, want bad input, and %q", arg, e, message)
		}
	}
}

// A command in C style: without proc_exit, and one that traps.
func TestCommandWAT(t *testing.T) {
	t.Parallel()
	h := newHost(t, Config{})
	slot := newSlot(t, h)
	quiet := load(t, h, guesttest.Module(t, "quiet", `(module (memory (export "memory") 1) (func (export "_start")))`))
	if got := run(t, slot, taskOf(t, quiet, "quiet"), "x"); got != "" {
		t.Errorf("got %q, want nothing", got)
	}
	crash := load(t, h, guesttest.Module(t, "crash", `(module (memory (export "memory") 1) (func (export "_start") unreachable))`))
	if e := runFailing(t, slot, taskOf(t, crash, "crash"), ""); e.Kind != KindTrap || e.Message != "unreachable" {
		t.Errorf("got %v, want a trap", e)
	}
	panics := load(t, h, guesttest.Module(t, "panics", `(module
	  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
	  (memory (export "memory") 1)
	  (data (i32.const 0) "\08\00\00\00\07\00\00\00oh no!\n")
	  (func (export "_start") (drop (call $fd_write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 16))) unreachable))`))
	if e := runFailing(t, slot, taskOf(t, panics, "panics"), ""); e.Kind != KindTrap || e.Message != "unreachable (oh no!)" {
		t.Errorf("got %v, want a trap, and what was printed", e)
	}
}

// A command cannot fill the host's memory with its output.
func TestCommandEndlessOutput(t *testing.T) {
	t.Parallel()
	h := newHost(t, Config{Limits: Limits{Output: 1 << 20}})
	slot := newSlot(t, h)
	yes := load(t, h, guesttest.Module(t, "yes", `(module
	  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
	  (memory (export "memory") 1)
	  (data (i32.const 0) "\10\00\00\00\00\40\00\00")
	  (func (export "_start") (loop (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))) (br 0))))`))
	if e := runFailing(t, slot, taskOf(t, yes, "yes"), ""); e.Kind != KindOutput || !strings.Contains(e.Message, "longer than the limit") {
		t.Errorf("got %v, want an output error", e)
	}
}
