package host

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/wasmpool/wasmpool/internal/guesttest"
)

// sharedWAT reads shared inputs as its argument says: where the name lies, its length, and what follows
// of the function's parameters, as i32, i32, i32, i64, i32. The name is "in", at 0. Its result is what the function
// returned, and with read the 16 bytes at 64.
const sharedWAT = `(module
  (import "wasmpool" "shared_len" (func $len (param i32 i32) (result i64)))
  (import "wasmpool" "shared_read" (func $read (param i32 i32 i32 i64 i32) (result i32)))
  (import "wasmpool" "shared_digest" (func $digest (param i32 i32 i32) (result i32)))
  (import "wasmpool" "input_read" (func $input (param i32 i32 i32) (result i32)))
  (import "wasmpool" "output_write" (func $output (param i32 i32)))
  (memory (export "memory") 2)
  (data (i32.const 0) "in")
  (func $arg (drop (call $input (i32.const 1024) (i32.const 0) (i32.const 64))))
  (func (export "len") (result i32) (call $arg)
    (i64.store (i32.const 512) (call $len (i32.load (i32.const 1024)) (i32.load (i32.const 1028))))
    (call $output (i32.const 512) (i32.const 8)) (i32.const 0))
  (func (export "digest") (result i32) (call $arg)
    (i64.store (i32.const 512) (i64.extend_i32_s (call $digest (i32.load (i32.const 1024)) (i32.load (i32.const 1028)) (i32.load (i32.const 1032)))))
    (call $output (i32.const 512) (i32.const 8))
    (call $output (i32.load (i32.const 1032)) (i32.const 32)) (i32.const 0))
  (func $once (result i32)
    (call $read (i32.load (i32.const 1024)) (i32.load (i32.const 1028)) (i32.load (i32.const 1032)) (i64.load (i32.const 1040)) (i32.load (i32.const 1048))))
  (func (export "read") (result i32) (call $arg)
    (i64.store (i32.const 512) (i64.extend_i32_s (call $once)))
    (call $output (i32.const 512) (i32.const 8))
    (call $output (i32.const 64) (i32.const 16)) (i32.const 0))
  (func (export "forever") (result i32) (call $arg) (loop (drop (call $once)) (br 0)) (i32.const 0)))`

// sharedArg is the argument of a task of sharedWAT.
func sharedArg(name, n, dst uint32, off uint64, length uint32) []byte {
	b := binary.LittleEndian.AppendUint32(nil, name)
	b = binary.LittleEndian.AppendUint32(b, n)
	b = binary.LittleEndian.AppendUint64(b, uint64(dst))
	b = binary.LittleEndian.AppendUint64(b, off)
	return binary.LittleEndian.AppendUint64(b, uint64(length))
}

// sharedBytes is a shared input of these bytes.
func sharedBytes(name string, data []byte) Shared {
	return Shared{Name: name, Digest: sha256.Sum256(data), Len: int64(len(data)), Data: bytes.NewReader(data)}
}

// zeros is a very long input.
type zeros struct{ reads int }

func (z *zeros) ReadAt(p []byte, _ int64) (int, error) {
	z.reads++
	clear(p)
	return len(p), nil
}

func TestSharedImports(t *testing.T) {
	t.Parallel()
	h := newHost(t, Config{})
	mod := load(t, h, guesttest.Module(t, "m", sharedWAT))
	slot := newSlot(t, h)
	data := []byte("0123456789abcdefghij")
	in := []Shared{sharedBytes("other", []byte("other")), sharedBytes("in", data)}
	const page = 2 << 16
	for _, tt := range []struct {
		task   string
		arg    []byte
		shared []Shared
		want   int64  // what the function returns
		bytes  string // what it has written
		kind   Kind   // of the failure
	}{
		{task: "len", arg: sharedArg(0, 2, 0, 0, 0), shared: in, want: 20},
		{task: "len", arg: sharedArg(0, 2, 0, 0, 0), want: -1},
		{task: "len", arg: sharedArg(0, 1, 0, 0, 0), shared: in, want: -1},
		{task: "len", arg: sharedArg(0, 0, 0, 0, 0), shared: in, want: -1},
		{task: "len", arg: sharedArg(0, page, 0, 0, 0), shared: in, want: -1},
		{task: "len", arg: sharedArg(0, page+1, 0, 0, 0), shared: in, kind: KindTrap},
		{task: "len", arg: sharedArg(math.MaxUint32, math.MaxUint32, 0, 0, 0), shared: in, kind: KindTrap},
		{task: "len", arg: sharedArg(0, 2, 0, 0, 0), shared: []Shared{{Name: "in", Len: math.MaxInt64, Data: &zeros{}}}, want: math.MaxInt64},
		{task: "digest", arg: sharedArg(0, 2, 64, 0, 0), shared: in, want: 32, bytes: string(in[1].Digest[:])},
		{task: "digest", arg: sharedArg(0, 2, 64, 0, 0), want: -1, bytes: string(make([]byte, 32))},
		{task: "digest", arg: sharedArg(0, 2, page-31, 0, 0), shared: in, kind: KindTrap},
		{task: "read", arg: sharedArg(0, 2, 64, 0, 16), shared: in, want: 16, bytes: "0123456789abcdef"},
		{task: "read", arg: sharedArg(0, 2, 64, 10, 100), shared: in, want: 10, bytes: "abcdefghij\x00\x00\x00\x00\x00\x00"},
		{task: "read", arg: sharedArg(0, 2, 64, 20, 1), shared: in, want: 0, bytes: string(make([]byte, 16))},
		{task: "read", arg: sharedArg(0, 2, 64, 0, 0), shared: in, want: 0, bytes: string(make([]byte, 16))},
		{task: "read", arg: sharedArg(0, 2, 64, math.MaxUint64, 8), shared: in, want: 0, bytes: string(make([]byte, 16))},
		{task: "read", arg: sharedArg(0, 2, 64, 1<<63, math.MaxUint32), shared: in, want: 0, bytes: string(make([]byte, 16))},
		{task: "read", arg: sharedArg(0, 2, math.MaxUint32, 0, 1), shared: in, kind: KindTrap},
		{task: "read", arg: sharedArg(0, 2, page-19, 0, math.MaxUint32), shared: in, kind: KindTrap},
		{task: "read", arg: sharedArg(0, 2, 64, math.MaxInt64-1, math.MaxUint32), shared: []Shared{{Name: "in", Len: math.MaxInt64, Data: &zeros{}}}, want: 1, bytes: string(make([]byte, 16))},
		{task: "read", arg: sharedArg(0, 2, 0, 5, math.MaxUint32), shared: []Shared{{Name: "in", Len: math.MaxInt64, Data: &zeros{}}}, kind: KindTrap},
		{task: "read", arg: sharedArg(0, 2, 64, 0, 16), want: -1, bytes: string(make([]byte, 16))},
		{task: "read", arg: sharedArg(0, 2, 64, 0, 16), shared: []Shared{{Name: "in", Len: 20, Data: strings.NewReader("short")}}, kind: KindHost},
		{task: "len", shared: []Shared{{Name: "a/b", Data: &zeros{}}}, kind: KindHost},
		{task: "len", shared: []Shared{sharedBytes("in", nil), sharedBytes("in", nil)}, kind: KindHost},
		{task: "len", shared: []Shared{{Name: "in"}}, kind: KindHost},
	} {
		got, err := slot.Run(t.Context(), taskOf(t, mod, tt.task), &Call{Number: 1, Arg: tt.arg, Shared: tt.shared})
		what := fmt.Sprintf("%s(%x) with %d", tt.task, tt.arg, len(tt.shared))
		switch {
		case tt.kind != 0:
			if e := errorOf(t, err); e.Kind != tt.kind {
				t.Errorf("%s: %v, want %v", what, err, tt.kind)
			}
		case err != nil:
			t.Errorf("%s: %v", what, err)
		case int64(binary.LittleEndian.Uint64(got)) != tt.want || string(got[8:]) != tt.bytes:
			t.Errorf("%s: %d %q, want %d %q", what, int64(binary.LittleEndian.Uint64(got)), got[8:], tt.want, tt.bytes)
		}
		if tt.task == "read" {
			slot.Close()
			slot = newSlot(t, h) // whose memory is empty
		}
	}
}

// A guest that only reads is stopped, and pays for what it reads.
func TestSharedReadsArePaid(t *testing.T) {
	t.Parallel()
	h := newHost(t, Config{})
	mod := load(t, h, guesttest.Module(t, "m", sharedWAT))
	for _, n := range []uint32{0, 1, 60000} {
		z := &zeros{}
		call := &Call{
			Number: 1, Arg: sharedArg(0, 2, 64, 7, n), Shared: []Shared{{Name: "in", Len: math.MaxInt64, Data: z}},
			Limits: &Limits{Instructions: 10_000_000},
		}
		_, err := newSlot(t, h).Run(t.Context(), taskOf(t, mod, "forever"), call)
		if e := errorOf(t, err); e.Kind != KindBudget {
			t.Errorf("%d bytes at a time: %v", n, err)
		}
		if most := 10_000_000 / (sharedCost + int(n)/perInstruction); z.reads > most {
			t.Errorf("%d bytes at a time: %d reads, want at most %d", n, z.reads, most)
		}
		call.Limits = &Limits{Time: 20 * time.Millisecond}
		if _, err := newSlot(t, h).Run(t.Context(), taskOf(t, mod, "forever"), call); errorOf(t, err).Kind != KindTimeout {
			t.Errorf("%d bytes at a time: %v", n, err)
		}
	}
}

// openerWAT opens the file that its argument names below its first folder, and returns the error's number and what
// it reads; with "again" it reads the file that it opened before.
const openerWAT = `(module
  (import "wasi_snapshot_preview1" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasmpool" "input_len" (func $len (result i32)))
  (import "wasmpool" "input_read" (func $input (param i32 i32 i32) (result i32)))
  (import "wasmpool" "output_write" (func $output (param i32 i32)))
  (memory (export "memory") 2)
  (func $result (result i32)
    (i32.store (i32.const 16) (i32.const 2048)) (i32.store (i32.const 20) (i32.const 4096)) (i32.store (i32.const 24) (i32.const 0))
    (i32.store (i32.const 28) (call $read (i32.load (i32.const 0)) (i32.const 16) (i32.const 1) (i32.const 24)))
    (call $output (i32.const 28) (i32.const 4))
    (call $output (i32.const 2048) (i32.load (i32.const 24))) (i32.const 0))
  (func (export "open") (result i32)
    (drop (call $input (i32.const 1024) (i32.const 0) (i32.const 512)))
    (i32.store (i32.const 28) (call $open (i32.const 3) (i32.const 1) (i32.const 1024) (call $len) (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 0)))
    (if (i32.load (i32.const 28)) (then (call $output (i32.const 28) (i32.const 4)) (return (i32.const 0))))
    (call $result))
  (func (export "again") (result i32) (call $result))
  (func (export "write") (result i32)
    (drop (call $input (i32.const 1024) (i32.const 0) (i32.const 512)))
    (i32.store (i32.const 28) (call $open (i32.const 3) (i32.const 1) (i32.const 1024) (call $len) (i32.const 9) (i64.const 66) (i64.const 0) (i32.const 0) (i32.const 0)))
    (call $output (i32.const 28) (i32.const 4)) (i32.const 0)))`

// A guest that opens files finds what is shared, and keeps no file beyond the calls that have it.
func TestSharedFiles(t *testing.T) {
	t.Parallel()
	var zipped bytes.Buffer
	z := zip.NewWriter(&zipped)
	for _, name := range []string{"d/packed", "d/plain"} {
		f, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: uint16(8 * (len(name) % 2))})
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(f, "text of "+name) //nolint:errcheck // Close says it
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	tree := sharedBytes("tree", zipped.Bytes())
	var err error
	if tree.Tree, err = OpenTree(tree.Data, tree.Len); err != nil {
		t.Fatal(err)
	}
	in := []Shared{sharedBytes("in", []byte("text")), tree}
	const badf, noent = 8, 44
	for _, isolation := range []Isolation{IsolationReuse, IsolationReset, IsolationFresh} {
		h := newHost(t, Config{Isolation: isolation})
		mod := load(t, h, guesttest.Module(t, "m", openerWAT))
		slot := newSlot(t, h)
		for _, tt := range []struct {
			task, arg string
			shared    []Shared
			errno     uint32
			want      string
		}{
			{"open", "in", in, 0, "text"},
			{"open", "tree/d/plain", in, 0, "text of d/plain"},
			{"open", "tree/d/packed", in, 0, "text of d/packed"},
			{"open", "tree/d/none", in, noent, ""},
			{"open", "none", in, noent, ""},
			{"open", "in", in[1:], noent, ""},
			{"open", "in", nil, badf, ""}, // there is no folder at all
			{"open", "../in", in, noent, "?"},
			{"open", "tree/../in", in, 0, "?"},
			{"write", "new", in, 0, "?"},
		} {
			got, err := slot.Run(t.Context(), taskOf(t, mod, tt.task), &Call{Number: 1, Arg: []byte(tt.arg), Shared: tt.shared})
			if err != nil {
				t.Errorf("%v: %s %s: %v", isolation, tt.task, tt.arg, err)
				continue
			}
			errno := binary.LittleEndian.Uint32(got)
			if tt.want == "?" {
				if tt.task == "write" && errno == 0 || strings.HasPrefix(tt.arg, "..") && errno == 0 {
					t.Errorf("%v: %s %s: no error", isolation, tt.task, tt.arg)
				}
				continue
			}
			if errno != tt.errno || string(got[4:]) != tt.want {
				t.Errorf("%v: %s %s: error %d, %q, want %d, %q", isolation, tt.task, tt.arg, errno, got[4:], tt.errno, tt.want)
			}
		}
	}
	// An open file is of no use to a call that has not got what it shows.
	h := newHost(t, Config{})
	mod := load(t, h, guesttest.Module(t, "m", openerWAT))
	slot := newSlot(t, h)
	other := []Shared{sharedBytes("in", []byte("other")), in[1]}
	for _, tt := range []struct {
		task   string
		shared []Shared
		errno  uint32
	}{{"open", in, 0}, {"again", in, 0}, {"again", other, badf}, {"again", in[1:], badf}, {"again", in, 0}} {
		got, err := slot.Run(t.Context(), taskOf(t, mod, tt.task), &Call{Number: 1, Arg: []byte("in"), Shared: tt.shared})
		if err != nil || binary.LittleEndian.Uint32(got) != tt.errno {
			t.Errorf("%s: %x, %v, want error %d", tt.task, got, err, tt.errno)
		}
	}
}

// A folder that is granted as /shared, and shared inputs, exclude each other.
func TestSharedFolderIsGranted(t *testing.T) {
	t.Parallel()
	h := newHost(t, Config{Grants: map[string]Grants{"m": {Folders: map[string]string{SharedFolder: t.TempDir()}}}})
	task := taskOf(t, load(t, h, guesttest.Module(t, "m", openerWAT)), "open")
	slot := newSlot(t, h)
	if _, err := slot.Run(t.Context(), task, &Call{Number: 1, Arg: []byte("in")}); err != nil {
		t.Error(err)
	}
	_, err := slot.Run(t.Context(), task, &Call{Number: 1, Arg: []byte("in"), Shared: []Shared{sharedBytes("in", nil)}})
	if e := errorOf(t, err); e.Kind != KindHost || !strings.Contains(e.Message, "a folder is granted as /shared") {
		t.Error(err)
	}
}

// A treeFS is a tree as tests of file systems want it.
type treeFS struct{ in *instance }

func (f treeFS) Open(name string) (fs.File, error) {
	d := sharedFS{in: f.in, used: true}
	if name == "." {
		name = "tree"
	} else {
		name = "tree/" + name
	}
	file, err := d.Open(name)
	if err != nil {
		return nil, err
	}
	return treeFile{file.(*sharedFile)}, nil
}

// A treeFile has ReadDir besides Readdir.
type treeFile struct{ *sharedFile }

func (f treeFile) ReadDir(n int) (list []fs.DirEntry, err error) {
	infos, err := f.Readdir(n)
	for _, info := range infos {
		list = append(list, fs.FileInfoToDirEntry(info))
	}
	return list, err
}

// Trees of zip and tar files hold what was put into them.
func TestTree(t *testing.T) {
	t.Parallel()
	files := map[string]string{"a": "", "b/c": "text", "b/d/e.txt": strings.Repeat("long", 100_000), "b/d/é": "x", "z z": "spaces"}
	var zipped, tarred bytes.Buffer
	z, w := zip.NewWriter(&zipped), tar.NewWriter(&tarred)
	for name, text := range files {
		f, err := z.Create(name)
		if err == nil {
			_, err = io.WriteString(f, text)
		}
		if err == nil {
			err = w.WriteHeader(&tar.Header{Name: "./" + name, Typeflag: tar.TypeReg, Size: int64(len(text)), Mode: 0o600})
		}
		if err == nil {
			_, err = io.WriteString(w, text)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.WriteHeader(&tar.Header{Name: "link", Linkname: "/etc/passwd", Typeflag: tar.TypeSymlink}), z.Close(), w.Close()); err != nil {
		t.Fatal(err)
	}
	h := newHost(t, Config{})
	ownMemory(h)
	mod := load(t, h, guesttest.Module(t, "m", sharedWAT))
	for kind, data := range map[string][]byte{"zip": zipped.Bytes(), "tar": tarred.Bytes()} {
		in := sharedBytes("tree", data)
		var err error
		if in.Tree, err = OpenTree(in.Data, in.Len); err != nil {
			t.Errorf("%s: %v", kind, err)
			continue
		}
		slot := newSlot(t, h)
		if _, err := slot.Run(t.Context(), taskOf(t, mod, "len"), &Call{Number: 1, Arg: sharedArg(0, 2, 0, 0, 0), Shared: []Shared{in}}); err != nil {
			t.Fatal(err)
		}
		if err := fstest.TestFS(treeFS{slot.instance}, "a", "b/c", "b/d/e.txt", "b/d/é", "z z"); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		for name, want := range files {
			if got, err := fs.ReadFile(treeFS{slot.instance}, name); err != nil || string(got) != want {
				t.Errorf("%s: %s: %d bytes, %v", kind, name, len(got), err)
			}
		}
		if _, err := fs.Stat(treeFS{slot.instance}, "link"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: there is a link: %v", kind, err)
		}
		if slot.instance.files != slot.instance.roots {
			t.Errorf("%s: %d files are open", kind, slot.instance.files)
		}
		if used := h.memory.Used(); used > 1<<30 {
			t.Errorf("%s: %d bytes are taken", kind, used)
		}
	}
}

// What is no tree, or a dangerous one, is an error that says why.
func TestBadTrees(t *testing.T) {
	t.Parallel()
	tarOf := func(headers ...tar.Header) []byte {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for _, h := range headers {
			if err := w.WriteHeader(&h); err != nil {
				t.Fatal(err)
			}
			w.Write(make([]byte, h.Size)) //nolint:errcheck // Flush says it
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	zipOf := func(names ...string) []byte {
		var b bytes.Buffer
		w := zip.NewWriter(&b)
		for _, name := range names {
			if _, err := w.Create(name); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	good := zipOf("a")
	sparse := tarOf(tar.Header{Name: "a", Typeflag: tar.TypeReg, Size: 4, PAXRecords: map[string]string{"GNU-sparse-map": "0,4", "GNU-sparse-numblocks": "1", "GNU-sparse-size": "400"}})
	sparse = bytes.ReplaceAll(sparse, []byte("GNU-sparse-"), []byte("GNU.sparse.")) // which cannot be written
	for want, data := range map[string][]byte{
		"neither a zip nor a tar file": []byte("text"),
		"compressed as a whole":        {0x1f, 0x8b, 8, 0},
		"is no name for a file":        tarOf(tar.Header{Name: "../up", Typeflag: tar.TypeReg}),
		`"b/../../up" is no name`:      zipOf("b/../../up"),
		"is a file and a folder":       zipOf("a/b", "a"),
		"lies in a file":               tarOf(tar.Header{Name: "a", Typeflag: tar.TypeReg}, tar.Header{Name: "a/b", Typeflag: tar.TypeReg}),
		"its list of files":            good[:len(good)-5],
		"neither":                      nil,
		`backslash`:                    zipOf(`a\b`),
		"is stored with holes":         sparse,
	} {
		_, err := OpenTree(bytes.NewReader(data), int64(len(data)))
		if err == nil || want != "backslash" && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	if tree, err := OpenTree(bytes.NewReader(good), int64(len(good))); err != nil || tree.find("a") == nil || tree.find("b") != nil || tree.find("a/b") != nil {
		t.Error(tree, err)
	}
}

// A file that unpacks to more, or less, than the list says, or with another checksum, cannot be opened.
func TestTreeThatLies(t *testing.T) {
	t.Parallel()
	h := newHost(t, Config{})
	ownMemory(h)
	mod := load(t, h, guesttest.Module(t, "m", openerWAT))
	var packed bytes.Buffer
	w := zip.NewWriter(&packed)
	f, err := w.Create("f")
	if err == nil {
		_, err = f.Write(make([]byte, 100_000))
	}
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(packed.Bytes(), []byte("PK\x01\x02"))
	for what, change := range map[string]func(entry []byte){
		"more":      func(e []byte) { binary.LittleEndian.PutUint32(e[24:], 99_999) },
		"less":      func(e []byte) { binary.LittleEndian.PutUint32(e[24:], 100_001) },
		"a bomb":    func(e []byte) { binary.LittleEndian.PutUint32(e[24:], math.MaxUint32-1) },
		"other sum": func(e []byte) { e[16]++ },
		"":          func([]byte) {},
	} {
		data := bytes.Clone(packed.Bytes())
		change(data[at:])
		in := sharedBytes("tree", data)
		if in.Tree, err = OpenTree(in.Data, in.Len); err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		before := h.memory.Used()
		got, err := newSlot(t, h).Run(t.Context(), taskOf(t, mod, "open"), &Call{Number: 1, Arg: []byte("tree/f"), Shared: []Shared{in}, Limits: &Limits{Time: time.Minute}})
		if ok := err == nil && binary.LittleEndian.Uint32(got) == 0; ok != (what == "") {
			t.Errorf("%q: %.8x, %v", what, got, err)
		}
		if what != "" && h.memory.Used() > before+200<<20 {
			t.Errorf("%q: %d bytes are kept", what, h.memory.Used()-before)
		}
	}
}

// However a call ends that unpacks a file, the memory is given back; and where there is none the call ends, and the guest does not
// see that.
func TestTreeThatEnds(t *testing.T) {
	t.Parallel()
	h := newHost(t, Config{})
	ownMemory(h)
	task := taskOf(t, load(t, h, guesttest.Module(t, "m", openerWAT)), "open")
	var packed bytes.Buffer
	w := zip.NewWriter(&packed)
	f, err := w.Create("f")
	if err == nil {
		_, err = f.Write(make([]byte, 8*piece))
	}
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	in := sharedBytes("tree", packed.Bytes())
	if in.Tree, err = OpenTree(in.Data, in.Len); err != nil {
		t.Fatal(err)
	}
	slot := newSlot(t, h)
	open := func(limits Limits, stopAt int) error {
		beats := 0
		_, err := slot.Run(t.Context(), task, &Call{Number: 1, Arg: []byte("tree/f"), Shared: []Shared{in}, Limits: &limits, Heartbeat: func(bool) {
			if beats++; beats == stopAt {
				slot.Stop(1, KindKilled, "that is enough")
			}
		}})
		return err
	}
	used := uint64(0)
	for at := 1; at <= 8; at++ {
		if err := open(Limits{}, at); !errors.Is(err, KindKilled) {
			t.Fatalf("stopped at beat %d: %v", at, err)
		}
		if at == 1 {
			used = h.memory.Used()
		}
	}
	if now := h.memory.Used(); now != used {
		t.Errorf("%d bytes are taken, before %d", now, used)
	}
	if err := open(Limits{Instructions: 4 * piece}, 0); !errors.Is(err, KindBudget) {
		t.Errorf("within a small budget: %v", err)
	}
	in.Tree.find("f").size = 1 << 50
	if err := open(Limits{}, 0); !errors.Is(err, KindMemory) || !strings.Contains(err.Error(), "to unpack f of the shared input tree") {
		t.Errorf("without memory: %v", err)
	}
}

// A brokenDisk cannot read what holds the byte at.
type brokenDisk struct {
	io.ReaderAt
	at int64
}

func (d *brokenDisk) ReadAt(p []byte, at int64) (int, error) {
	if at <= d.at && d.at < at+int64(len(p)) {
		return 0, syscall.EIO
	}
	return d.ReaderAt.ReadAt(p, at)
}

// Where a shared input cannot be read the call ends, and the guest does not see that: not of a file, nor of one that is
// compressed in a tree, its header or its content.
func TestSharedUnreadable(t *testing.T) {
	t.Parallel()
	h := newHost(t, Config{})
	ownMemory(h)
	task := taskOf(t, load(t, h, guesttest.Module(t, "m", openerWAT)), "open")
	slot := newSlot(t, h)
	open := func(name string, in Shared) {
		t.Helper()
		_, err := slot.Run(t.Context(), task, &Call{Number: 1, Arg: []byte(name), Shared: []Shared{in}})
		if !errors.Is(err, KindHost) || !strings.Contains(err.Error(), "the shared input in cannot be read") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	in := sharedBytes("in", []byte("text"))
	in.Len += 100 // which are not there
	open("in", in)

	var packed bytes.Buffer
	w := zip.NewWriter(&packed)
	f, err := w.Create("f")
	if err == nil {
		_, err = io.CopyN(f, rand.NewChaCha8([32]byte{}), 100_000)
	}
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	for _, at := range []int64{0, 50, 50_000, int64(bytes.Index(packed.Bytes(), []byte("PK\x07\x08")))} {
		disk := &brokenDisk{bytes.NewReader(packed.Bytes()), -1}
		in := sharedBytes("in", packed.Bytes())
		in.Data = disk
		if in.Tree, err = OpenTree(in.Data, in.Len); err != nil {
			t.Fatal(err)
		}
		disk.at = at
		used := h.memory.Used()
		if open("in/f", in); h.memory.Used() > used {
			t.Errorf("the byte %d cannot be read: %d bytes are kept", at, h.memory.Used()-used)
		}
	}
}

func TestCheckSharedName(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"a", "weights", "W_1-2.bin", "0", "-", strings.Repeat("x", 100)} {
		if err := CheckSharedName(good); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []string{"", ".", "..", ".a", "a/b", "/", "a b", "a\n", "ä", "a\x00", strings.Repeat("x", 101), "*", "a\\b"} {
		if err := CheckSharedName(bad); err == nil {
			t.Errorf("%q is a name", bad)
		}
	}
}

// A command that goes on between calls does so for calls with the same shared inputs alone: it may have read
// them as it started.
func TestSharedKept(t *testing.T) {
	t.Parallel()
	slot, task := keptLoop(t, Config{}, KeepLine)
	a, b := []Shared{sharedBytes("in", []byte("a"))}, []Shared{sharedBytes("in", []byte("b"))}
	for i, in := range [][]Shared{a, a, b, nil, a, b, nil} {
		got, err := slot.Run(t.Context(), task, &Call{Number: 1, Arg: []byte("x-"[1:]), Shared: in})
		if want := fmt.Sprintf("%c-\n", "0100211"[i]); err != nil || string(got) != want {
			t.Errorf("call %d: %q, %v, want %q", i, got, err, want)
		}
	}
	if len(slot.warm) != 3 {
		t.Errorf("%d commands go on, want 3", len(slot.warm))
	}
}

// The folder of what is shared lists what the call has, also for a guest that goes on, and never opens it.
func TestSharedListed(t *testing.T) {
	t.Parallel()
	const wat = `(module
	  (import "wasmpool" "output_write" (func $output (param i32 i32)))
	  (import "wasi_snapshot_preview1" "fd_readdir" (func $list (param i32 i32 i32 i64 i32) (result i32)))
	  (import "wasi_snapshot_preview1" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
	  (memory (export "memory") 1)
	  (func (export "open") (result i32)
	    (drop (call $open (i32.const 3) (i32.const 1) (i32.const 64) (i32.const 1) (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 4))) (i32.const 0))
	  (func (export "list") (result i32)
	    (drop (call $list (i32.const 3) (i32.const 64) (i32.const 1024) (i64.const 0) (i32.const 0)))
	    (call $output (i32.const 64) (i32.load (i32.const 0))) (i32.const 0)))`
	for _, isolation := range []Isolation{IsolationReuse, IsolationReset, IsolationFresh} {
		h := newHost(t, Config{Isolation: isolation})
		slot, mod := newSlot(t, h), load(t, h, guesttest.Module(t, "m", wat))
		if _, err := slot.Run(t.Context(), taskOf(t, mod, "open"), &Call{Number: 1, Shared: []Shared{sharedBytes("before", []byte("text"))}}); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"first", "other", "first"} {
			got, err := slot.Run(t.Context(), taskOf(t, mod, "list"), &Call{Number: 1, Shared: []Shared{sharedBytes(name, []byte("text"))}})
			if err != nil || !bytes.HasSuffix(got, []byte(name)) {
				t.Errorf("%v: %q, %v, want one that ends with %s", isolation, got, err, name)
			}
		}
	}
}
