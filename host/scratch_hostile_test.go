package host

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"unicode/utf8"

	esys "github.com/tetratelabs/wazero/experimental/sys"

	"github.com/wasmpool/wasmpool/internal/guesttest"
)

// heap returns how many bytes of Go's heap are in use.
func heap() uint64 {
	var m runtime.MemStats
	for range 2 {
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// touch makes files.
func (s *scratch) touch(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		f, errno := s.OpenFile(name, create, 0)
		if errno != 0 {
			t.Fatalf("%.40q: %v", name, errno)
		}
		f.Close()
	}
}

// What Go keeps for a file or folder is less than it counts to the call's memory, whatever a guest does with them.
func TestScratchOverhead(t *testing.T) { // alone, as it measures the heap
	long := func(i int) string { return fmt.Sprintf("%0*d", mostName, i) }
	for what, fill := range map[string]func(s *scratch){
		"short names behind long paths": func(s *scratch) {
			dir := long(0)
			_ = s.Mkdir(dir, 0)
			for len(dir) < mostPath-2*mostName {
				dir += "/" + long(0)
				_ = s.Mkdir(dir, 0)
			}
			for i := range 3000 {
				s.touch(t, fmt.Sprint(dir, "/", i))
				_ = s.Rename(fmt.Sprint(dir, "/", i), fmt.Sprint(dir, "/n", i))
			}
		},
		"long names": func(s *scratch) {
			for i := range 3000 {
				s.touch(t, long(i))
			}
		},
		"folders with one file each": func(s *scratch) {
			for i := range 3000 {
				_ = s.Mkdir(long(i), 0)
				s.touch(t, long(i)+"/"+long(i))
			}
		},
		"folders that were full": func(s *scratch) {
			for i := range 3000 {
				dir := fmt.Sprint(i)
				_ = s.Mkdir(dir, 0)
				for j := range 17 {
					s.touch(t, dir+"/"+long(j))
				}
				for j := range 17 {
					_ = s.Unlink(dir + "/" + long(j))
				}
			}
		},
		"folders that many files went through": func(s *scratch) {
			const files = 3000
			from := "tmp"
			for i := range files {
				s.touch(t, fmt.Sprint(from, "/", i))
			}
			for i := range 40 {
				to := fmt.Sprint(i)
				_ = s.Mkdir(to, 0)
				for j := range files {
					_ = s.Rename(fmt.Sprint(from, "/", j), fmt.Sprint(to, "/", j))
				}
				from = to
			}
		},
		"files that were long": func(s *scratch) {
			for i := range 100 {
				f, _ := s.OpenFile(fmt.Sprint(i), create, 0)
				if one, other := f.Truncate(32<<20), f.Truncate(1); one != 0 || other != 0 {
					t.Fatal(one, other)
				}
				f.Close()
			}
		},
	} {
		s := newTestScratch(t, 1<<30)
		before := heap()
		fill(s)
		after := heap()
		if used, counts := int64(after-before), int64(s.nodes)*scratchCost+64<<10; used > counts {
			t.Errorf("%s: the heap holds %d bytes for %d files, which count %d", what, used, s.nodes, counts)
		} else {
			t.Logf("%s: the heap holds %d bytes for %d files, which count %d", what, used, s.nodes, counts)
		}
		runtime.KeepAlive(s)
	}
}

// What a command leaves open holds nothing of what it had.
func TestScratchLeftOpen(t *testing.T) { // alone, as it measures the heap
	s := newTestScratch(t, 1<<30)
	before := heap()
	var open []esys.File
	for range 10 {
		for i := range 1000 {
			s.touch(t, fmt.Sprint("tmp/", i))
		}
		for _, name := range []string{"tmp", "tmp/1", "."} {
			f, errno := s.OpenFile(name, 0, 0)
			if errno != 0 {
				t.Fatal(errno)
			}
			open = append(open, f)
		}
		s.empty()
	}
	if after := heap(); after > before+128<<10 {
		t.Errorf("%d files that are left open hold %d bytes", len(open), after-before)
	}
	for _, f := range open {
		if _, errno := f.Readdir(1); errno != esys.EBADF {
			t.Errorf("what was left open: %v", errno)
		}
		f.Close()
	}
	if s.in.files != 0 {
		t.Errorf("%d files are open", s.in.files)
	}
}

// Of the lists that a command reads the engine keeps the last one of each folder that is open, which counts.
func TestScratchLists(t *testing.T) { // alone, as it measures the heap
	s := newTestScratch(t, 1<<30)
	const files, lists = 1000, 10
	before := heap()
	var kept [][]esys.Dirent
	var open []esys.File
	for i := range lists {
		for j := range files {
			s.touch(t, fmt.Sprintf("tmp/%0*d", mostName, i*files+j))
		}
		f, _ := s.OpenFile("tmp", 0, 0)
		for range 2 {
			_, _ = f.Seek(0, 0)
			list, errno := f.Readdir(files)
			if len(list) != files || errno != 0 {
				t.Fatalf("a list of %d: %v", len(list), errno)
			}
			kept = append(kept[:i], list)
		}
		open = append(open, f)
		for _, e := range kept[i] {
			_ = s.Unlink("tmp/" + e.Name)
		}
	}
	if held := heap() - before; s.used < held || s.used > 2*held {
		t.Errorf("%d lists hold %d bytes, and count %d", len(kept), held, s.used)
	}
	runtime.KeepAlive(kept)
	s.in.linear.most = s.used
	f, _ := s.OpenFile("tmp", 0, 0)
	s.in.linear.most += 3 * scratchCost / 2
	s.touch(t, "tmp/one")
	if list, errno := f.Readdir(files); errno != 0 || len(list) != 1 {
		t.Errorf("a list of %d: %v", len(list), errno)
	}
	_, _ = f.Seek(0, 0)
	s.in.linear.most = s.used
	_ = s.Rename("tmp/one", fmt.Sprintf("tmp/%0*d", mostName, 1))
	if list, errno := f.Readdir(files); s.says(errno) != fmt.Sprint(wasiNoSpace) || list != nil {
		t.Errorf("without memory, a list of %d: %v", len(list), errno)
	}
	for _, f := range append(open, f) {
		f.Close()
	}
	if s.used != scratchCost {
		t.Errorf("%d bytes are in use", s.used)
	}
}

// The room of files that are gone is there for memory, and a call never has more than it may.
func TestScratchMakesRoom(t *testing.T) {
	t.Parallel()
	const limit = 16 << 20
	s := newTestScratch(t, limit)
	f, _ := s.OpenFile("f", create, 0)
	for range 3 {
		if errno := f.Truncate(limit - 2*scratchCost - scratchPage); errno != 0 {
			t.Fatal(errno)
		}
		if errno := f.Truncate(0); errno != 0 || s.pages.space != nil || s.pages.taken != 0 {
			t.Fatalf("%v, and it has %d bytes still", errno, s.pages.taken)
		}
	}
	s.in.linear.Allocate(0, limit)
	if s.in.linear.Reallocate(limit-1<<16) == nil {
		t.Error("memory cannot grow")
	}
	if used := s.in.usage().Memory; used > limit || used < limit-1<<16 {
		t.Errorf("it used %d bytes at once", used)
	}
	s.in.linear.Free()
	f.Close()
}

// The root counts as open, too, if the command opens it.
func TestScratchRoots(t *testing.T) {
	t.Parallel()
	s := newTestScratch(t, 1<<30)
	var errno esys.Errno
	n := 0
	for ; errno == 0 && n < 2*mostFiles; n++ {
		_, errno = s.OpenFile([]string{".", "/", "tmp/.."}[n%3], 0, 0)
	}
	if n > mostFiles+2 || s.says(errno) != fmt.Sprint(wasiManyOpen) {
		t.Errorf("%d are open at once: %v", n, errno)
	}
}

// rootWAT answers each line with the descriptor of the root, which it opens, and with how many bytes the list of the root's entries takes:
// through the descriptor that it started with, or none, and through the new one, when it has made a file.
const rootWAT = `(module
	(import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
	(import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
	(import "wasi_snapshot_preview1" "fd_readdir" (func $list (param i32 i32 i32 i64 i32) (result i32)))
	(import "wasi_snapshot_preview1" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
	(import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
	(memory (export "memory") 1)
	(data (i32.const 0) "\40\00\00\00\40\00\00\00") (data (i32.const 128) ".x")
	(data (i32.const 136) "\90\00\00\00\03\00\00\00")
	(func (export "_start")
		(loop
			(drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
			(if (i32.load (i32.const 8)) (then
				(drop (call $open (i32.const 3) (i32.const 0) (i32.const 128) (i32.const 1) (i32.const 0) (i64.const 0) (i64.const 0) (i32.const 0) (i32.const 16)))
				(i32.store8 (i32.const 144) (i32.add (i32.const 48) (i32.load (i32.const 16))))
				(drop (call $open (i32.const 3) (i32.const 0) (i32.const 129) (i32.const 1) (i32.const 1) (i64.const 66) (i64.const 0) (i32.const 0) (i32.const 20)))
				(drop (call $close (i32.load (i32.const 20))))
				(drop (call $list (i32.const LIST) (i32.const 1024) (i32.const 1024) (i64.const 0) (i32.const 24)))
				(i32.store8 (i32.const 145) (i32.load (i32.const 24)))
				(drop (call $list (i32.load (i32.const 16)) (i32.const 1024) (i32.const 1024) (i64.const 0) (i32.const 24)))
				(i32.store8 (i32.const 146) (i32.load (i32.const 24)))
				(drop (call $write (i32.const 1) (i32.const 136) (i32.const 1) (i32.const 8)))
				(br 1))))))`

// A command that opens the root leaves no trace of it in the next call, and sees there what it has just made.
func TestScratchRootGuest(t *testing.T) {
	t.Parallel()
	const entries = 4*24 + len(".") + len("..") + len("tmp") + len("x")
	for _, isolation := range []Isolation{IsolationReset, IsolationFresh} {
		h := newHost(t, Config{Isolation: isolation, Grants: map[string]Grants{EveryModule: {Keep: KeepLine}}})
		slot := newSlot(t, h)
		for list, want := range map[string]string{"3": string([]byte{'4', byte(entries), byte(entries)}), "9": string([]byte{'4', 0, byte(entries)})} {
			task := taskOf(t, load(t, h, guesttest.Module(t, "m"+list, strings.Replace(rootWAT, "LIST", list, 1))), "m"+list)
			for i := range 3 {
				if got := run(t, slot, task, "x"); got != want {
					t.Errorf("%v, list of %s, call %d: got %q, want %q", isolation, list, i, got, want)
				}
			}
		}
	}
}

// What an error says of a command's files is text, and short.
func TestScratchInventory(t *testing.T) {
	t.Parallel()
	s := newTestScratch(t, 1<<30)
	dir := ""
	for range 15 {
		dir += strings.Repeat("x", mostName) + "/"
		_ = s.Mkdir(dir, 0)
	}
	s.touch(t, "\xff\xfe", dir+"deep")
	_, err := s.content("/none")
	if err == nil || !utf8.ValidString(err.Message) || len(err.Message) > 300 || !strings.Contains(err.Message, "/\uFFFD, /xxx") {
		t.Errorf("got %v", err)
	}
}
