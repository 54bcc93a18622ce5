package host

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/internal/abi"
	"github.com/wasmpool/wasmpool/internal/guesttest"
	"github.com/wasmpool/wasmpool/internal/meter"
	"github.com/wasmpool/wasmpool/internal/unittest"
)

// Where the guest of greedyWAT has what imports are given.
const (
	atSink    = 256       // what they return
	atPath    = 4 << 10   // 4096 bytes: a link to the folder it is in, again and again
	atName    = 12 << 10  // "big"
	atFolder  = 13 << 10  // "many"
	atVectors = 16 << 10  // 1024 parts of 60 MiB
	atNothing = 32 << 10  // 1024 parts of no length
	atPoll    = 64 << 10  // 1024 subscriptions to the clock
	atEvents  = 128 << 10 // and their events
	atLines   = 1 << 20   // newlines
	partSize  = 60 << 20
)

// greedy has for each import what makes it work hardest, as far as is known: the
// parameters of its call. The guest has a file open that is very large, as 4, and a
// folder of many files, as 5.
var greedy = map[string]map[string][]int64{
	abi.Module: {
		abi.InputLen:    nil,
		abi.InputRead:   {atLines, 0, partSize},
		abi.OutputWrite: {atLines, 0},
		abi.ErrorWrite:  {atLines, partSize},
		abi.Log:         {0, 0, 0},
		abi.CallMeta:    {abi.MetaSeed},
		abi.DoorOpen:    {atLines, partSize},
		abi.SeedOpen:    {atLines},

		abi.SharedLen: {atName, 3}, abi.SharedDigest: {atName, 3, atSink}, abi.SharedRead: {atName, 3, atLines, 0, partSize},
	},
	"wasi_snapshot_preview1": {
		"args_get": {atLines, 2 * atLines}, "args_sizes_get": {atSink, atSink},
		"clock_res_get": {0, atSink}, "clock_time_get": {1, 0, atSink},
		"environ_get": {atLines, 2 * atLines}, "environ_sizes_get": {atSink, atSink},
		"fd_advise": {4, 0, 1 << 40, 3}, "fd_allocate": {4, 0, 1 << 50}, "fd_close": {4}, "fd_datasync": {4},
		"fd_fdstat_get": {4, atSink}, "fd_fdstat_set_flags": {4, 1}, "fd_fdstat_set_rights": {4, 0, 0},
		"fd_filestat_get": {4, atSink}, "fd_filestat_set_size": {4, 0}, "fd_filestat_set_times": {4, 0, 0, 10},
		"fd_pread":            {4, atVectors, 1024, 0, atSink},
		"fd_prestat_dir_name": {3, atSink, 5}, "fd_prestat_get": {3, atSink},
		"fd_pwrite": {4, atVectors, 1024, 0, atSink}, "fd_read": {4, atVectors, 1024, atSink},
		"fd_readdir":  {5, atLines, 64 << 10, 0, atSink},
		"fd_renumber": {4, mostDescriptor},
		"fd_seek":     {4, 0, 0, atSink}, "fd_sync": {4}, "fd_tell": {4, atSink},
		"fd_write":                {2, atNothing, 1024, atSink},
		"path_create_directory":   {3, atPath, 4096},
		"path_filestat_get":       {3, 1, atPath, 4096, atSink},
		"path_filestat_set_times": {3, 1, atPath, 4096, 0, 0, 10},
		"path_link":               {3, 0, atPath, 4096, 3, atPath, 4096},
		"path_open":               {3, 1, atPath, 4096, 0, 0, 0, 0, atSink},
		"path_readlink":           {3, atPath, 4096, atLines, partSize, atSink},
		"path_remove_directory":   {3, atPath, 4096},
		"path_rename":             {3, atPath, 4096, 3, atPath, 4096},
		"path_symlink":            {atPath, 4096, 3, atPath, 4096},
		"path_unlink_file":        {3, atPath, 4096},
		"poll_oneoff":             {atPoll, atEvents, 1024, atSink},
		"proc_exit":               {0}, "proc_raise": {9},
		"random_get":  {atLines, partSize},
		"sched_yield": nil,
		"sock_accept": {4, 0, atSink}, "sock_recv": {4, atVectors, 1024, 0, atSink, atSink},
		"sock_send": {4, atVectors, 1024, 0, atSink}, "sock_shutdown": {4, 3},
	},
}

// greedyWAT has a task for each import, which calls it for ever.
func greedyWAT(t *testing.T) string {
	t.Helper()
	all, err := offers()
	if err != nil {
		t.Fatal(err)
	}
	var imports, tasks strings.Builder
	for module, functions := range all {
		for name, signature := range functions {
			if name == meter.Tick {
				continue
			}
			values, ok := greedy[module][name]
			if !ok {
				t.Errorf("nothing is known of %s.%s", module, name)
			}
			params, result, _ := strings.Cut(strings.TrimPrefix(signature, "("), ") -> ")
			types := strings.FieldsFunc(params, func(r rune) bool { return r == ',' || r == ' ' })
			if len(types) != len(values) {
				t.Fatalf("%s.%s%s with %d parameters", module, name, signature, len(values))
			}
			call := "(call $" + name
			for i, v := range values {
				call += fmt.Sprintf(" (%s.const %d)", types[i], v)
			}
			call += ")"
			if result == "()" {
				result = ""
			} else {
				call, result = "(drop "+call+")", "(result "+result+")"
			}
			fmt.Fprintf(&imports, "(import %q %q (func $%s (param %s) %s))\n", module, name, name, strings.Join(types, " "), result)
			fmt.Fprintf(&tasks, "(func (export %q) (result i32) (call $open) (loop %s (br 0)) (i32.const 0))\n", name, call)
		}
	}
	vector := binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, atLines), partSize)
	vectors := strings.Repeat(wasmString(vector), 1024)
	return fmt.Sprintf(`(module %s (memory (export "memory") 1024)
	  (data (i32.const %d) "%s") (data (i32.const %d) "big") (data (i32.const %d) "many") (data (i32.const %d) "%s")
	  (func $open
	    (drop (call $path_open (i32.const 3) (i32.const 1) (i32.const %[4]d) (i32.const 3) (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const %[8]d)))
	    (drop (call $path_open (i32.const 3) (i32.const 1) (i32.const %[5]d) (i32.const 4) (i32.const 2) (i64.const 0) (i64.const 0) (i32.const 0) (i32.const %[8]d)))
	    (memory.fill (i32.const %[9]d) (i32.const 10) (i32.const 65536)))
	  (func (export "newlines") (result i32)
	    (call $open)
	    (memory.fill (i32.const %[9]d) (i32.const 10) (i32.const %[10]d))
	    (loop (drop (call $fd_write (i32.const 2) (i32.const %[6]d) (i32.const 1) (i32.const %[8]d))) (br 0)) (i32.const 0))
	  %[11]s)`, imports.String(), atPath, strings.Repeat("l/", 2048), atName, atFolder, atVectors, vectors, atSink, atLines, partSize, tasks.String())
}

func wasmString(b []byte) (s string) {
	for _, c := range b {
		s += fmt.Sprintf("\\%02x", c)
	}
	return s
}

// greedyShared are as many shared inputs as a call may have. The last one, "big", is very long.
func greedyShared() (list []Shared) {
	for i := range MostShared - 1 {
		list = append(list, Shared{Name: fmt.Sprint("other", i), Data: &zeros{}})
	}
	return append(list, Shared{Name: "big", Len: math.MaxInt64, Data: &zeros{}})
}

// No import, whatever it is given, works for longer than a guest may compute between two
// looks whether its call is to end.
func TestGreedyImports(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	if err := os.Symlink(".", filepath.Join(folder, "l")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "big"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(folder, "big"), 1<<38); err != nil { // none of it is stored
		t.Fatal(err)
	}
	for i := range 2000 {
		if err := os.MkdirAll(filepath.Join(folder, "many", fmt.Sprint(i)), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	const limit = 20 * time.Millisecond
	most := 200 * time.Millisecond // of CPU time; nearly all take less than one
	if unittest.Race {
		most *= 5 // each import is as much longer between two ticks
	}
	h := newHost(t, Config{Limits: Limits{Time: limit, Log: Unlimited}, Grants: map[string]Grants{
		"greedy": {Folders: map[string]string{"/data": folder}, Output: true, Env: map[string]string{"LONG": strings.Repeat("long", 8<<10)}},
	}})
	mod := load(t, h, guesttest.Module(t, "greedy", greedyWAT(t)))
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for _, name := range namesOf(mod) {
		c := &Call{Number: 1, Arg: make([]byte, partSize), Log: func(int, string) {}}
		if strings.HasPrefix(name, "shared_") {
			c.Shared = greedyShared()
		}
		took := time.Duration(math.MaxInt64)
		for range 3 { // a busy machine only makes it longer
			before := threadTime(t)
			_, err := newSlot(t, h).Run(t.Context(), taskOf(t, mod, name), c)
			took = min(took, threadTime(t)-before)
			if e := errorOf(t, err); e.Kind != KindTimeout && name != "proc_exit" {
				t.Errorf("%s: %v, want a timeout", name, err)
			}
			if took <= limit+most {
				break
			}
		}
		if took > limit+most {
			t.Errorf("%s took %v", name, took)
		}
	}
}

// A guest that goes from one import to the next without a loop is ended like others.
func TestImportsInLine(t *testing.T) {
	t.Parallel()
	h := newHost(t, Config{})
	wat := `(module (import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
	  (memory (export "memory") 17) (func (export "run") (result i32)` +
		strings.Repeat(`(drop (call $random_get (i32.const 0) (i32.const 1048576)))`, 500) + ` (i32.const 0)))`
	task := taskOf(t, load(t, h, guesttest.Module(t, "line", wat)), "run")
	for want, limits := range map[Kind]*Limits{
		KindTimeout: {Time: time.Millisecond},
		KindBudget:  {Instructions: 1 << 20},
	} {
		_, err := newSlot(t, h).Run(t.Context(), task, &Call{Number: 1, Limits: limits})
		if e := errorOf(t, err); e.Kind != want {
			t.Errorf("with %+v: %v, want %v", *limits, err, want)
		}
	}
}

// A line of the log counts and costs, with whatever text.
func TestLines(t *testing.T) {
	t.Parallel()
	h := newHost(t, Config{Limits: Limits{Log: 1 << 20}, Grants: map[string]Grants{"lines": {Output: true}}})
	mod := load(t, h, guesttest.Module(t, "lines", `(module
	  (import "wasmpool" "log" (func $log (param i32 i32 i32)))
	  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
	  (memory (export "memory") 32)
	  (data (i32.const 0) "\10\00\00\00\00\00\0f\00") (data (i32.const 8) "\10\00\00\00\01\00\00\00")
	  (func (export "nothing") (result i32) (loop (call $log (i32.const -4) (i32.const 16) (i32.const 0)) (br 0)) (i32.const 0))
	  (func (export "newlines") (result i32)
	    (memory.fill (i32.const 16) (i32.const 10) (i32.const 0xf0000))
	    (drop (call $write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 8))) (i32.const 0))
	  (func (export "newline") (result i32)
	    (memory.fill (i32.const 16) (i32.const 10) (i32.const 1))
	    (loop (drop (call $write (i32.const 2) (i32.const 8) (i32.const 1) (i32.const 8))) (br 0)) (i32.const 0)))`))
	for _, name := range namesOf(mod) {
		lines := 0
		_, err := newSlot(t, h).Run(t.Context(), taskOf(t, mod, name), &Call{Number: 1, Log: func(int, string) { lines++ }})
		e := errorOf(t, err)
		if e.Kind != KindOutput || lines > 1<<20/lineSize {
			t.Errorf("%s: %d lines, then %v", name, lines, err)
		}
		if least := uint64(lines) * lineCost; e.Usage.Instructions < least {
			t.Errorf("%s: %d lines for %d instructions, want at least %d", name, lines, e.Usage.Instructions, least)
		}
	}
}

// A line that the guest does not end is logged at the end of its call, whether that fails or not, and no other call has it.
func TestUnendedLine(t *testing.T) {
	t.Parallel()
	h := newHost(t, Config{Grants: map[string]Grants{"lines": {Output: true}}})
	mod := load(t, h, guesttest.Module(t, "lines", `(module
	  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
	  (memory (export "memory") 1)
	  (data (i32.const 0) "\10\00\00\00\08\00\00\00") (data (i32.const 16) "one\nmore")
	  (func $print (drop (call $write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 8))))
	  (func (export "prints") (result i32) (call $print) (i32.const 0))
	  (func (export "fails") (result i32) (call $print) (i32.const 1))
	  (func (export "traps") (result i32) (call $print) unreachable))`))
	slot := newSlot(t, h)
	for _, name := range []string{"prints", "fails", "traps", "prints"} {
		var lines []string
		_, err := slot.Run(t.Context(), taskOf(t, mod, name), &Call{Number: 1, Log: func(_ int, line string) { lines = append(lines, line) }})
		if want := []string{"one", "more"}; !slices.Equal(lines, want) || err != nil && !slices.Equal(errorOf(t, err).Log, want) {
			t.Errorf("%s: %q, %v", name, lines, err)
		}
	}
}
