package host

import (
	"fmt"
	"strings"
	"testing"

	"github.com/wasmpool/wasmpool/internal/guesttest"
)

func TestGoGuest(t *testing.T) {
	t.Parallel()
	h := newHost(t, Config{})
	mod := load(t, h, guesttest.Build(t, "testdata/guest"))
	slot := newSlot(t, h)
	moving := newHost(t, Config{}) // where memory moves when it grows
	moving.moves = true
	for _, host := range []*Host{h, moving} {
		slot, echo := newSlot(t, host), taskOf(t, load(t, host, guesttest.Build(t, "testdata/guest")), "echo")
		for _, n := range []int{0, 1, 100, 8175, 8176, 8177, 100_000, 3 << 20, 5, 30 << 20, 100} {
			arg := strings.Repeat("x", n)
			if got := run(t, slot, echo, arg); got != arg {
				t.Errorf("echo of %d bytes returned %d others", n, len(got))
			}
		}
	}
	if got := run(t, slot, taskOf(t, mod, "add"), "[40, 2]"); got != "42" {
		t.Errorf("add = %s, want 42", got)
	}
	var lines []string
	result, err := slot.Run(t.Context(), taskOf(t, mod, "meta"), &Call{
		Number: 1 << 60, Attempt: 3, Rank: 5,
		Log: func(level int, msg string) { lines = append(lines, fmt.Sprint(level, " ", msg)) },
	})
	if want := fmt.Sprint(1<<60, " 3 5"); err != nil || string(result) != want {
		t.Errorf("meta = %q, %v, want %q", result, err, want)
	}
	if want := fmt.Sprint("4 call ", 1<<60); len(lines) != 1 || lines[0] != want {
		t.Errorf("logged %q, want %q", lines, want)
	}
}

func TestGoGuestFails(t *testing.T) {
	t.Parallel()
	h := newHost(t, Config{MemoryLimit: 64 << 20})
	mod := load(t, h, guesttest.Build(t, "testdata/guest"))
	slot := newSlot(t, h)
	fail, count := taskOf(t, mod, "fail"), taskOf(t, mod, "count")
	for _, tt := range []struct {
		arg     string
		kind    Kind
		code    int
		message string
		stack   string
		stderr  string
		kept    bool // the instance
	}{
		{"error", KindApplication, 1, "no such star", "", "", true},
		{"code", KindApplication, 70, "coded", "", "", true},
		{"input", KindBadInput, 3, "not a number", "", "", true},
		{"panic", KindPanic, 2, "panic: oh no", "main.Fail", "", true},
		{"nil", KindPanic, 2, "panic: assignment to entry in nil map", "main.Fail", "", true},
		{"goroutine", KindTrap, 0, "unreachable (panic: in the background)", "main.Fail.gowrap1", "printed before", false},
		{"exit", KindExit, 7, "the guest exited with code 7", "", "", false},
		{"exit0", KindExit, 0, "the guest exited with code 0", "", "", false},
		{"memory", KindMemory, 0, "out of memory", "", "out of memory", false},
		{"recursion", KindMemory, 0, "", "", "", false},
		{"deadlock", KindTrap, 0, "all goroutines are asleep", "", "", false},
	} {
		run(t, slot, count, "")
		before := run(t, slot, count, "")
		e := runFailing(t, slot, fail, tt.arg)
		if e.Kind != tt.kind || e.Code != tt.code || !strings.Contains(e.Message, tt.message) {
			t.Errorf("%s: got %v %d %q, want %v %d %q", tt.arg, e.Kind, e.Code, e.Message, tt.kind, tt.code, tt.message)
		}
		if !strings.Contains(e.Stack, tt.stack) || !strings.Contains(e.Stderr, tt.stderr) {
			t.Errorf("%s: got stack %q and stderr %q", tt.arg, e.Stack, e.Stderr)
		}
		if got := run(t, slot, fail, "fine"); got != "fine" {
			t.Errorf("after %s: got %q", tt.arg, got)
		}
		if after := run(t, slot, count, ""); (after != "1") != tt.kept {
			t.Errorf("%s: the count was %s and is %s, kept should be %t", tt.arg, before, after, tt.kept)
		}
	}
}

// A guest sees the same of the world in each call.
func TestWorld(t *testing.T) {
	t.Parallel()
	h := newHost(t, Config{})
	task := taskOf(t, load(t, h, guesttest.Build(t, "testdata/guest")), "world")
	slot := newSlot(t, h)
	first := run(t, slot, task, "")
	for _, want := range []string{"env [] args 0", "readdir true", "readfile true", "writefile true", "time 1640995200000000000", "later 1640998800000000000"} {
		if !strings.Contains(first, want) {
			t.Errorf("a guest sees %s, want %s", first, want)
		}
	}
	if again := run(t, slot, task, ""); again != first {
		t.Errorf("the second call sees %s, the first %s", again, first)
	}
	if other := run(t, newSlot(t, h), task, ""); other != first {
		t.Errorf("another slot sees %s, the first %s", other, first)
	}
}
