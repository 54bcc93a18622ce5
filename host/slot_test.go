package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/internal/guesttest"
)

// abiWAT has a task for each way to use the imports, well or badly.
const abiWAT = `(module
  (import "wasmpool" "door_open" (func $door_open (param i32 i32)))
  (import "wasmpool" "input_len" (func $input_len (result i32)))
  (import "wasmpool" "input_read" (func $input_read (param i32 i32 i32) (result i32)))
  (import "wasmpool" "output_write" (func $output_write (param i32 i32)))
  (import "wasmpool" "error_write" (func $error_write (param i32 i32)))
  (import "wasmpool" "log" (func $log (param i32 i32 i32)))
  (import "wasmpool" "call_meta" (func $call_meta (param i32) (result i64)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 2)
  (global $init_len (mut i32) (i32.const -1))
  (global $init_meta (mut i64) (i64.const -2))
  (data (i32.const 0) "some words")

  (func (export "_initialize")
    (global.set $init_len (call $input_len))
    (global.set $init_meta (call $call_meta (i32.const 0)))
    (drop (call $input_read (i32.const 0) (i32.const 0) (i32.const 0))))
  (func (export "init_len") (result i32) (global.get $init_len))
  (func (export "init_meta") (result i32) (i32.wrap_i64 (global.get $init_meta)))
  (func (export "unknown_meta") (result i32) (i32.add (i32.const 100) (i32.wrap_i64 (call $call_meta (i32.const 9)))))

  ;; status: the argument is the status, as a byte.
  (func (export "status") (result i32)
    (drop (call $input_read (i32.const 1000) (i32.const 0) (i32.const 1)))
    (i32.load8_s (i32.const 1000)))
  (func (export "status_words") (result i32)
    (drop (call $input_read (i32.const 1000) (i32.const 0) (i32.const 1)))
    (call $error_write (i32.const 0) (i32.const 4))
    (call $error_write (i32.const 4) (i32.const 6))
    (call $output_write (i32.const 0) (i32.const 10))
    (i32.load8_s (i32.const 1000)))

  ;; pieces: copies the argument in pieces of 7 bytes.
  (func (export "pieces") (result i32) (local $off i32) (local $n i32)
    (loop
      (local.set $n (call $input_read (i32.const 2000) (local.get $off) (i32.const 7)))
      (call $output_write (i32.const 2000) (local.get $n))
      (local.set $off (i32.add (local.get $off) (local.get $n)))
      (br_if 0 (local.get $n)))
    (i32.const 0))
  ;; whole: reads all of it into a buffer that is larger.
  (func (export "whole") (result i32)
    (call $output_write (i32.const 2000) (call $input_read (i32.const 2000) (i32.const 0) (i32.const 60000)))
    (i32.const 0))
  (func (export "twice") (result i32)
    (drop (call $input_read (i32.const 2000) (i32.const 0) (call $input_len)))
    (drop (call $input_read (i32.const 2000) (i32.const 0) (call $input_len)))
    (i32.const 0))
  (func (export "twice_pieces") (result i32)
    (drop (call $input_read (i32.const 2000) (i32.const 0) (call $input_len)))
    (drop (call $input_read (i32.const 2000) (i32.const 1) (i32.const 1)))
    (i32.const 0))

  (func (export "log") (result i32)
    (call $log (i32.const -4) (i32.const 0) (i32.const 4))
    (call $log (i32.const 8) (i32.const 5) (i32.const 5))
    (i32.const 0))

  (func (export "bad_read") (result i32) (call $input_read (i32.const 131072) (i32.const 0) (i32.const 1)))
  (func (export "bad_output") (result i32) (call $output_write (i32.const 131071) (i32.const 2)) (i32.const 0))
  (func (export "bad_error") (result i32) (call $error_write (i32.const -1) (i32.const -1)) (i32.const 0))
  (func (export "bad_log") (result i32) (call $log (i32.const 0) (i32.const 1) (i32.const -1)) (i32.const 0))
  (func (export "bad_door") (result i32) (call $door_open (i32.const 131072) (i32.const 64)) (i32.const 0))
  (func (export "small_door") (result i32) (call $door_open (i32.const 0) (i32.const 31)) (i32.const 0))
  (func (export "unreachable") (result i32) (call $error_write (i32.const 0) (i32.const 10)) unreachable)
  (func $again (export "recursion") (result i32) (i32.add (i32.const 1) (call $again)))
  (func (export "load") (result i32) (i32.load (i32.const -8)))
  (func (export "output") (result i32) (loop (call $output_write (i32.const 0) (i32.const 65536)) (br 0)) unreachable)
  (func (export "errors") (result i32) (local $i i32)
    (loop
      (call $error_write (i32.const 3000) (i32.const 60000))
      (br_if 0 (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 50))))
    (i32.const 1))
  (func (export "grow") (result i32)
    (if (i32.eq (memory.grow (i32.const 1000)) (i32.const -1)) (then unreachable))
    (i32.const 0))
  (func (export "grow_politely") (result i32) (drop (memory.grow (i32.const 1000))) (i32.const 0))
  (func (export "grow_a_bit") (result i32)
    (drop (memory.grow (i32.const 1)))
    (call $output_write (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 1)) (i32.const 1))
    (i32.const 0))
  (func (export "exit") (result i32) (call $proc_exit (i32.const -1)) (i32.const 0)))`

func TestStatus(t *testing.T) {
	t.Parallel()
	h := newHost(t, Config{})
	mod := load(t, h, guesttest.Module(t, "abi", abiWAT))
	slot := newSlot(t, h)
	bare, words := taskOf(t, mod, "status"), taskOf(t, mod, "status_words")
	if got := run(t, slot, words, "\x00"); got != "some words" {
		t.Errorf("status 0: got %q", got)
	}
	for _, tt := range []struct {
		status        int8
		kind          Kind
		bare, message string
	}{
		{1, KindApplication, "the task returned status 1 and no message", "some words"},
		{2, KindPanic, "the task returned status 2 and no message", "some words"},
		{3, KindBadInput, "the task returned status 3 and no message", "some words"},
		{4, KindBadResult, "the task returned the reserved status 4", "the task returned the reserved status 4: some words"},
		{63, KindBadResult, "the task returned the reserved status 63", "the task returned the reserved status 63: some words"},
		{64, KindApplication, "the task returned status 64 and no message", "some words"},
		{127, KindApplication, "the task returned status 127 and no message", "some words"},
		{-1, KindApplication, "the task returned status -1 and no message", "some words"},
		{-128, KindApplication, "the task returned status -128 and no message", "some words"},
	} {
		arg := string([]byte{byte(tt.status)})
		for task, want := range map[*Task]string{bare: tt.bare, words: tt.message} {
			e := runFailing(t, slot, task, arg)
			if e.Kind != tt.kind || e.Code != int(tt.status) || e.Message != want {
				t.Errorf("status %d: got %v %d %q, want %v %q", tt.status, e.Kind, e.Code, e.Message, tt.kind, want)
			}
		}
		if slot.instance == nil {
			t.Errorf("status %d: the instance was dropped", tt.status)
		}
	}
}

func TestABI(t *testing.T) {
	t.Parallel()
	for _, moves := range []bool{false, true} {
		t.Run(fmt.Sprintf("moves=%t", moves), func(t *testing.T) {
			t.Parallel()
			h := newHost(t, Config{MemoryLimit: 16 << 20})
			h.moves = moves
			mod := load(t, h, guesttest.Module(t, "abi", abiWAT))
			slot := newSlot(t, h)
			for task, want := range map[string]string{"init_len": "", "init_meta": "", "grow_politely": "", "grow_a_bit": "\x00"} {
				if got := run(t, slot, taskOf(t, mod, task), "argument"); got != want {
					t.Errorf("%s = %q, want %q", task, got, want)
				}
			}
			if e := runFailing(t, slot, taskOf(t, mod, "unknown_meta"), ""); e.Code != 99 {
				t.Errorf("an unknown key of call_meta answers %d, want -1", e.Code-100)
			}
			for _, arg := range []string{"", "short", "an argument of more than seven bytes"} {
				for _, task := range []string{"pieces", "whole"} {
					if got := run(t, slot, taskOf(t, mod, task), arg); got != arg {
						t.Errorf("%s = %q, want %q", task, got, arg)
					}
				}
			}
		})
	}
}

func TestCrash(t *testing.T) {
	t.Parallel()
	h := newHost(t, Config{MemoryLimit: 16 << 20, Limits: Limits{Output: 16 << 20}})
	mod := load(t, h, guesttest.Module(t, "abi", abiWAT))
	slot := newSlot(t, h)
	whole := taskOf(t, mod, "whole")
	for _, tt := range []struct {
		task    string
		kind    Kind
		message string
	}{
		{"bad_read", KindTrap, "import input_read: 1 bytes at 131072 are outside the guest's memory of 131072 bytes"},
		{"bad_output", KindTrap, "import output_write: 2 bytes at 131071"},
		{"bad_error", KindTrap, "import error_write: 4294967295 bytes at 4294967295"},
		{"bad_log", KindTrap, "import log: 4294967295 bytes at 1"},
		{"bad_door", KindTrap, "import door_open: 64 bytes at 131072"},
		{"small_door", KindTrap, "import door_open: a door of 31 bytes is too small"},
		{"unreachable", KindTrap, "unreachable: some words"},
		{"recursion", KindTrap, "stack overflow"},
		{"load", KindTrap, "out of bounds memory access"},
		{"output", KindOutput, "the result is longer than the limit"},
		{"grow", KindMemory, "unreachable"},
		{"exit", KindExit, "the guest exited with code -1"},
	} {
		e := runFailing(t, slot, taskOf(t, mod, tt.task), "x")
		if e.Kind != tt.kind || !strings.Contains(e.Message, tt.message) {
			t.Errorf("%s: got %v, want %v with %q", tt.task, e, tt.kind, tt.message)
		}
		if hasStack := e.Stack != ""; hasStack != (e.Kind != KindExit && tt.task != "recursion") {
			t.Errorf("%s: the stack is %q", tt.task, e.Stack)
		}
		if slot.instance != nil || len(slot.warm) > 0 {
			t.Errorf("%s: the instance was kept", tt.task)
		}
		if got := run(t, slot, whole, "fine"); got != "fine" {
			t.Errorf("after %s: got %q", tt.task, got)
		}
	}
	if e := runFailing(t, slot, taskOf(t, mod, "errors"), ""); len(e.Message) > mostErrorText {
		t.Errorf("an error text of %d bytes came through", len(e.Message))
	}
	// A growth that was refused and survived is no reason to call a later
	// crash one of memory.
	run(t, slot, taskOf(t, mod, "grow_politely"), "")
	if e := runFailing(t, slot, taskOf(t, mod, "unreachable"), ""); e.Kind != KindTrap {
		t.Errorf("got %v, want a trap", e)
	}
}

func TestBadStart(t *testing.T) {
	t.Parallel()
	h := newHost(t, Config{})
	slot := newSlot(t, h)
	const head = `(module
	  (import "wasmpool" "door_open" (func $door_open (param i32 i32)))
	  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
	  (memory (export "memory") 1)
	  (func (export "task") (result i32) (i32.const 0))`
	for _, tt := range []struct {
		wat  string
		kind Kind
		want string
	}{
		{`(func (export "_initialize") (call $door_open (i32.const 65530) (i32.const 64))))`, KindTrap, "making an instance: import door_open: 64 bytes at 65530"},
		{`(func (export "_initialize") (call $proc_exit (i32.const 5))))`, KindExit, "exited with code 5"},
		{`(func (export "_initialize") (call $proc_exit (i32.const 0))))`, KindExit, "exited with code 0"},
		{`(func (export "_initialize") unreachable))`, KindTrap, "unreachable"},
		{`(func $start (call $door_open (i32.const -1) (i32.const 64))) (start $start))`, KindTrap, "import door_open"},
		{`(data (i32.const 65535) "ab"))`, KindTrap, "out of bounds"},
	} {
		task := taskOf(t, load(t, h, guesttest.Module(t, "bad", head+tt.wat)), "task")
		for range 2 {
			if e := runFailing(t, slot, task, ""); e.Kind != tt.kind || !strings.Contains(e.Message, tt.want) {
				t.Errorf("%s: got %v, want %v with %q", tt.wat, e, tt.kind, tt.want)
			}
		}
	}
	good := taskOf(t, load(t, h, guesttest.Module(t, "good", head+`(func $start (call $door_open (i32.const 0) (i32.const 64))) (start $start))`)), "task")
	if got := run(t, slot, good, "x"); got != "" {
		t.Errorf("got %q", got)
	}
}

func TestRunContext(t *testing.T) {
	t.Parallel()
	h := newHost(t, Config{})
	task := taskOf(t, load(t, h, guesttest.Module(t, "door", doorWAT)), "echo")
	slot := newSlot(t, h)
	cancelled, cancel := context.WithCancelCause(t.Context())
	reason := errors.New("the user left")
	cancel(reason)
	_, err := slot.Run(cancelled, task, &Call{})
	if e := errorOf(t, err); e.Kind != KindCancelled || e.Message != "the user left" || !errors.Is(err, reason) || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	late, stop := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer stop()
	_, err = slot.Run(late, task, &Call{})
	if e := errorOf(t, err); e.Kind != KindTimeout || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if len(slot.warm) > 0 {
		t.Error("an instance was made")
	}
}

// A result stays as it is until the next call, also in memory that grew.
func TestResultIsAView(t *testing.T) {
	t.Parallel()
	h := newHost(t, Config{})
	slot := newSlot(t, h)
	echo := taskOf(t, load(t, h, guesttest.Build(t, "testdata/guest")), "echo")
	arg := bytes.Repeat([]byte("x"), 5<<20)
	result, err := slot.Run(t.Context(), echo, &Call{Arg: arg})
	if err != nil {
		t.Fatal(err)
	}
	debug.FreeOSMemory()
	if !bytes.Equal(result, arg) {
		t.Error("the result changed")
	}
	if &result[0] == &arg[0] || cap(result) != len(result) {
		t.Error("the result is no view of its own")
	}
}

func TestBuffersShrink(t *testing.T) {
	t.Parallel()
	h := newHost(t, Config{})
	slot := newSlot(t, h)
	mod := load(t, h, guesttest.Module(t, "raw", `(module
	  (import "wasmpool" "output_write" (func $output_write (param i32 i32)))
	  (memory (export "memory") 32)
	  (func (export "big") (result i32) (call $output_write (i32.const 0) (i32.const 0x200000)) (i32.const 0))
	  (func (export "small") (result i32) (call $output_write (i32.const 0) (i32.const 1)) (i32.const 0)))`))
	if got := run(t, slot, taskOf(t, mod, "big"), ""); len(got) != 2<<20 {
		t.Errorf("got %d bytes", len(got))
	}
	run(t, slot, taskOf(t, mod, "small"), "")
	if cap(slot.out) > keepBuffer {
		t.Errorf("a buffer of %d bytes was kept", cap(slot.out))
	}
}

func TestPrintedIsBounded(t *testing.T) {
	t.Parallel()
	p := printed{in: &instance{slot: &Slot{limits: &Limits{Log: Unlimited}}}}
	for i := range 10_000 {
		fmt.Fprintf(&p, "line %d\n", i)
	}
	if got := p.String(); len(got) != mostPrinted || !strings.HasSuffix(got, "line 9998\nline 9999\n") {
		t.Errorf("got %d bytes that end with %q", len(got), got[len(got)-20:])
	}
	fmt.Fprintf(&p, "%s", bytes.Repeat([]byte("y"), 5*mostPrinted))
	if got := p.String(); got != strings.Repeat("y", mostPrinted) || len(p.text) > 2*mostPrinted {
		t.Errorf("got %d bytes, kept %d", len(got), len(p.text))
	}
}

// A slot closes the instances it has not used for longest.
func TestManyModules(t *testing.T) {
	t.Parallel()
	h := newHost(t, Config{})
	slot := newSlot(t, h)
	var tasks []*Task
	for i := range keepInstances + 3 {
		wat := fmt.Sprintf(`(module (func (export "answer") (result i32) (i32.const %d)))`, i)
		tasks = append(tasks, taskOf(t, load(t, h, guesttest.Module(t, "m", wat)), "answer"))
	}
	for range 2 {
		for i, task := range tasks {
			run(t, slot, tasks[0], "")
			if got := run(t, slot, task, ""); got != fmt.Sprint(i) {
				t.Errorf("module %d answers %s", i, got)
			}
			if slot.warm[warmKey{code: tasks[0].code}] == nil {
				t.Error("the module that is used most was dropped")
			}
		}
	}
	if len(slot.warm) != keepInstances {
		t.Errorf("%d instances are warm, want %d", len(slot.warm), keepInstances)
	}
}

func TestParallelSlots(t *testing.T) {
	t.Parallel()
	h := newHost(t, Config{})
	mod := load(t, h, guesttest.Build(t, "testdata/guest"))
	tasks := []*Task{taskOf(t, mod, "echo"), taskOf(t, mod, "double"), taskOf(t, mod, "fail"), taskOf(t, load(t, h, guesttest.Module(t, "abi", abiWAT)), "unreachable")}
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			slot := h.NewSlot()
			defer slot.Close()
			for i := range 200 {
				arg := fmt.Sprint(i)
				result, err := slot.Run(context.Background(), tasks[i%2], &Call{Arg: []byte(arg)})
				if want := []string{arg, fmt.Sprint(2 * i)}[i%2]; err != nil || string(result) != want {
					t.Errorf("got %q, %v, want %q", result, err, want)
				}
				if i%50 == 0 {
					_, _ = slot.Run(context.Background(), tasks[2], &Call{Arg: []byte("goroutine")})
					_, _ = slot.Run(context.Background(), tasks[3], &Call{})
				}
			}
		})
	}
	wg.Wait()
}

func TestRunAllocatesNothing(t *testing.T) {
	h := newHost(t, Config{})
	guest := load(t, h, guesttest.Build(t, "testdata/guest"))
	door := load(t, h, guesttest.Module(t, "door", doorWAT))
	raw := load(t, h, guesttest.Module(t, "raw", rawWAT))
	slot := newSlot(t, h)
	for _, tt := range []struct {
		task *Task
		arg  string
	}{
		{taskOf(t, guest, "noop"), "12345678"},
		{taskOf(t, guest, "echo"), strings.Repeat("x", 1000)},
		{taskOf(t, guest, "echo"), strings.Repeat("x", 20_000)},
		{taskOf(t, door, "imports"), "12345678"},
		{taskOf(t, raw, "i32"), "17"},
	} {
		call := &Call{Arg: []byte(tt.arg)}
		run(t, slot, tt.task, tt.arg)
		if n := testing.AllocsPerRun(100, func() {
			if _, err := slot.Run(t.Context(), tt.task, call); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s of %d bytes allocates %v times", tt.task.export, len(tt.arg), n)
		}
	}
}
