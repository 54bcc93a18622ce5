//go:build unix

package host

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/internal/guesttest"
)

// newFolderFS returns a folder as an instance sees it whose call may run for so long.
func newFolderFS(t *testing.T, dir string, limit time.Duration) *folderFS {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	in := &instance{slot: &Slot{host: newHost(t, Config{}), ctx: t.Context(), call: &Call{}}}
	in.gauge.limit = limit
	return &folderFS{root: root, in: in}
}

func writeFile(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// within fails the test where f waits for somebody to write to the pipe, and then does.
func within(t *testing.T, pipe string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
		return
	case <-time.After(2 * time.Minute):
		t.Error("opening a pipe waits for its other end")
	}
	w, err := os.OpenFile(pipe, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	<-done
}

// A guest cannot open pipes, sockets and devices, by whatever name, and does not wait
// for them.
func TestFolderPlainFiles(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "folder") //nolint:usetesting // a socket has a short name
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	pipe := filepath.Join(dir, "pipe")
	socket, err := net.Listen("unix", filepath.Join(dir, "socket"))
	if err == nil {
		err = errors.Join(syscall.Mkfifo(pipe, 0o600), os.Symlink("pipe", filepath.Join(dir, "link")))
	}
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	names := []string{"pipe", "socket", "link"}
	if syscall.Mknod(filepath.Join(dir, "null"), syscall.S_IFCHR|0o600, 1<<8|3) == nil { // as root
		names = append(names, "null")
	}
	h := newHost(t, Config{Grants: map[string]Grants{EveryModule: {Folders: map[string]string{"/data": dir}}}})
	task := taskOf(t, load(t, h, guesttest.Module(t, "open", openWAT)), "open")
	slot := newSlot(t, h)
	for _, name := range names {
		within(t, pipe, func() {
			const acces = 2 // WASI's number
			_, err := slot.Run(t.Context(), task, &Call{Number: 1, Arg: []byte(name)})
			if err == nil || errorOf(t, err).Code != acces {
				t.Errorf("%s: %v, want that permission is denied", name, err)
			}
		})
	}
}

// A file that is replaced by a pipe while it is opened is found out.
func TestFolderRace(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	name, pipe := filepath.Join(dir, "name"), filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "file"), nil)
	stop, stopped := make(chan struct{}), make(chan error, 1)
	go func() {
		for {
			for _, to := range []string{"file", "pipe"} {
				temp := filepath.Join(dir, "temp")
				if err := errors.Join(os.Link(filepath.Join(dir, to), temp), os.Rename(temp, name), os.RemoveAll(temp)); err != nil {
					stopped <- err
					return
				}
			}
			select {
			case <-stop:
				stopped <- nil
				return
			default:
			}
		}
	}()
	s := newFolderFS(t, dir, 0)
	within(t, pipe, func() {
		opened, refused := 0, 0
		for n := 0; n < 100_000 && (n < 30_000 || opened == 0 || refused == 0); n++ {
			file, err := s.Open("name")
			if err != nil {
				refused++
				continue
			}
			opened++
			if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
				t.Errorf("opened a file of mode %v, %v", info.Mode(), err)
			}
			file.Close()
		}
		if opened == 0 || refused == 0 || s.in.files != 0 {
			t.Errorf("opened %d times, refused %d times, %d are open", opened, refused, s.in.files)
		}
	})
	close(stop)
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

const openWAT = `(module
	(import "wasmpool" "input_read" (func $read (param i32 i32 i32) (result i32)))
	(import "wasi_snapshot_preview1" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
	(memory (export "memory") 1)
	(data (i32.const 4096) "sub")
	(func $path (param $fd i32) (result i32)
		(call $open (local.get $fd) (i32.const 1) (i32.const 0) (call $read (i32.const 0) (i32.const 0) (i32.const 4096))
			(i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 8192)))
	(func (export "open") (result i32) (call $path (i32.const 3)))
	(func (export "open_in_sub") (result i32)
		(drop (call $open (i32.const 3) (i32.const 0) (i32.const 4096) (i32.const 3) (i32.const 2) (i64.const 0) (i64.const 0) (i32.const 0) (i32.const 8192)))
		(call $path (i32.load (i32.const 8192)))))`

// No path leads out of a granted folder: the guest makes the calls itself, so that no
// library cleans them.
func TestFolderHolds(t *testing.T) {
	t.Parallel()
	out := t.TempDir()
	dir := filepath.Join(out, "dir")
	if err := os.MkdirAll(filepath.Join(dir, "sub", "deep"), 0o700); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(out, "secret"), nil)
	writeFile(t, filepath.Join(dir, "file"), nil)
	writeFile(t, filepath.Join(dir, "sub", "file"), nil)
	for link, to := range map[string]string{
		"inside": "sub/deep", "up": "..", "far": "../..", "root": "/", "secret": "../secret", "absolute": filepath.Join(dir, "file"),
		"sub/up": "../..", "sub/back": "../file", "twice": "sub/up", "loop": "loop",
	} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	h := newHost(t, Config{Grants: map[string]Grants{EveryModule: {Folders: map[string]string{"/data": dir}}}})
	mod := load(t, h, guesttest.Module(t, "open", openWAT))
	slot := newSlot(t, h)
	opens := func(task, path string) bool {
		_, err := slot.Run(t.Context(), taskOf(t, mod, task), &Call{Number: 1, Arg: []byte(path)})
		return err == nil
	}
	for path, want := range map[string]bool{
		"file": true, "sub/../file": true, "sub/back": true, "sub/file": true, "./file": true,
		"..": false, "../secret": false, "../dir/file": false, "sub/../../secret": false, "/etc/passwd": false, "//etc/passwd": false,
		"up/secret": false, "up/dir/file": false, "far/": false, "root/etc/passwd": false, "secret": false, "absolute": false,
		"sub/up/secret": false, "twice/secret": false, "inside/../../../secret": false, "inside/../file": true, // as a path is cleaned
		"loop": false, "file/../file": true, "": false, ".\x00/file": false,
	} {
		if got := opens("open", path); got != want {
			t.Errorf("%q opens: %t, want %t", path, got, want)
		}
	}
	for path, want := range map[string]bool{"file": true, "back": true, "../file": false, "../../secret": false, "up/secret": false, "/file": false} {
		if got := opens("open_in_sub", path); got != want {
			t.Errorf("%q opens in the folder sub: %t, want %t", path, got, want)
		}
	}
}

// However much a guest reads at once, the host looks now and then whether its call is
// to end.
func TestFolderTicks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	large := make([]byte, 8*piece+1)
	large[len(large)-1] = 7
	writeFile(t, filepath.Join(dir, "large"), large)
	if err := os.Mkdir(filepath.Join(dir, "many"), 0o700); err != nil {
		t.Fatal(err)
	}
	const entries = 4*listedPiece + 1
	for i := range entries {
		writeFile(t, filepath.Join(dir, "many", fmt.Sprint(i)), nil)
	}
	s := newFolderFS(t, dir, 0)
	looks := 0
	s.in.slot.call.Heartbeat = func(bool) { looks++ }
	check := func(what string, n, want int, err error) {
		t.Helper()
		if n != want || err != nil || looks < 4 {
			t.Errorf("%s: %d of %d, %v, with %d looks", what, n, want, err, looks)
		}
		looks = 0
	}

	file, err := s.Open("large")
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(large)+1)
	n, err := file.(*openFile).Read(got)
	check("Read", n, len(large), err)
	n, err = file.(*openFile).ReadAt(got[:len(large)-1], 1)
	check("ReadAt", n, len(large)-1, err)
	if got[n-1] != 7 {
		t.Error("ReadAt reads something else")
	}
	folder, err := s.Open("many")
	if err != nil {
		t.Fatal(err)
	}
	list, err := folder.(*openFile).Readdir(entries)
	check("Readdir", len(list), entries, err)
	if _, err := folder.(*openFile).Readdir(mostListed + 1); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("a very long list: %v", err)
	}
	if err := errors.Join(file.Close(), folder.Close()); err != nil || s.in.files != 0 {
		t.Errorf("closing: %v, %d files are open", err, s.in.files)
	}
}

// A read that waits ends with its call.
func TestFolderReadWaits(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	in := newFolderFS(t, t.TempDir(), 50*time.Millisecond).in
	file := &openFile{File: r, in: in, waits: true}
	if _, err := w.WriteString("some"); err != nil {
		t.Fatal(err)
	}
	if n, err := file.Read(make([]byte, 10)); n != 4 || err != nil {
		t.Errorf("read %d bytes, %v", n, err)
	}
	defer func() {
		var ended *abort
		if err, ok := recover().(error); !ok || !errors.As(err, &ended) || ended.kind != KindTimeout {
			t.Errorf("the read ended with %v, want its call's time limit", err)
		}
	}()
	n, err := file.Read(make([]byte, 10))
	t.Errorf("read %d bytes, %v", n, err)
}

var _ fs.FS = (*folderFS)(nil)
