package host

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	esys "github.com/tetratelabs/wazero/experimental/sys"
	"github.com/tetratelabs/wazero/experimental/sysfs"

	"github.com/wasmpool/wasmpool/internal/guesttest"
)

// newTestScratch returns the file system of an instance whose call may have so many bytes.
func newTestScratch(t testing.TB, limit uint64) *scratch {
	t.Helper()
	h := newHost(t, Config{})
	in := &instance{slot: &Slot{host: h, ctx: t.Context(), call: &Call{}}, code: &program{grants: &granted{}}}
	in.linear = linear{slot: in.slot, limit: limit, most: limit}
	in.clock.in = in
	in.linear.account = h.memory
	s := newScratch(in, rootFolder)
	if _, errno := s.OpenFile(".", 0, 0); errno != 0 { // as the engine does
		t.Fatal(errno)
	}
	t.Cleanup(func() {
		s.empty()
		if s.used != 0 || s.nodes != 0 || s.pages.space != nil {
			t.Errorf("an empty one uses %d bytes, and has %d files", s.used, s.nodes)
		}
	})
	return s
}

// says returns what a function of WASI would return.
func (s *scratch) says(errno esys.Errno) string {
	code := s.in.errno
	s.in.errno = 0
	if errno == esys.EIO && code != 0 {
		return fmt.Sprint(code)
	}
	return errno.Error()
}

const create = esys.O_RDWR | esys.O_CREAT

// put has a file of that name and content.
func (s *scratch) put(t testing.TB, name, content string) {
	t.Helper()
	f, errno := s.OpenFile(name, create|esys.O_TRUNC, 0o600)
	if errno == 0 {
		_, errno = f.Write([]byte(content))
	}
	if errno != 0 {
		t.Fatalf("writing %s: %s", name, s.says(errno))
	}
	f.Close()
}

// A fileModel does the same to two file systems, and compares what they say.
type fileModel struct {
	t      *testing.T
	random *rand.Rand
	fs     [2]esys.FS
	open   [][2]esys.File
	step   string

	slashes bool // there is a slash behind a path of this step: which of several errors it is then is of no account
}

func isErrno(text string) bool {
	for errno := esys.EACCES; errno <= esys.EROFS; errno++ {
		if text == errno.Error() {
			return true
		}
	}
	return false
}

func (m *fileModel) name() string {
	parts := []string{"a", "b", "c", "tmp"}
	name := parts[m.random.IntN(len(parts))]
	for m.random.IntN(3) == 0 {
		name += "/" + parts[m.random.IntN(3)]
	}
	if m.random.IntN(12) == 0 {
		name += "/"
	}
	return name
}

// same fails the test where two outcomes differ.
func (m *fileModel) same(outcomes [2]string) {
	m.t.Helper()
	if outcomes[0] != outcomes[1] && (!m.slashes || !isErrno(outcomes[0]) || !isErrno(outcomes[1])) {
		m.t.Fatalf("%s: %q, and the system %q", m.step, outcomes[0], outcomes[1])
	}
}

// both does something to both.
func (m *fileModel) both(step string, do func(fs esys.FS) string) {
	m.t.Helper()
	m.step = step
	m.same([2]string{do(m.fs[0]), do(m.fs[1])})
}

// file does something to an open file of both.
func (m *fileModel) file(step string, do func(f esys.File) string) {
	m.t.Helper()
	if len(m.open) == 0 {
		return
	}
	n := m.random.IntN(len(m.open))
	m.step = fmt.Sprintf("%s of %d", step, n)
	m.same([2]string{do(m.open[n][0]), do(m.open[n][1])})
}

func outcome(errno esys.Errno, values ...any) string {
	if errno != 0 {
		return errno.Error()
	}
	return fmt.Sprint(values...)
}

// next does one thing.
func (m *fileModel) next() {
	one, other, size, at := m.name(), m.name(), m.random.IntN(3*scratchPage), int64(m.random.IntN(3*scratchPage))
	data := make([]byte, size)
	for i := range data {
		data[i] = byte(m.random.IntN(255)) + 1
	}
	m.slashes = strings.HasSuffix(one, "/") || strings.HasSuffix(other, "/")
	switch m.random.IntN(18) {
	case 0, 1, 2:
		flags := []esys.Oflag{0, esys.O_RDWR, esys.O_WRONLY, create, create | esys.O_EXCL, create | esys.O_TRUNC, create | esys.O_APPEND, esys.O_DIRECTORY, esys.O_WRONLY | esys.O_CREAT}[m.random.IntN(9)]
		m.step = fmt.Sprintf("open %s with %x", one, flags)
		a, errA := m.fs[0].OpenFile(one, flags, 0o600)
		b, errB := m.fs[1].OpenFile(one, flags, 0o600)
		m.same([2]string{outcome(errA), outcome(errB)})
		if errA == 0 {
			m.open = append(m.open, [2]esys.File{a, b})
		}
	case 3, 4:
		m.both("mkdir "+one, func(fs esys.FS) string {
			errno := fs.Mkdir(one, 0o700)
			if errno == esys.ENOTDIR { // of which the engine makes the other
				errno = esys.ENOENT
			}
			return outcome(errno)
		})
	case 5:
		m.both("rmdir "+one, func(fs esys.FS) string { return outcome(fs.Rmdir(one)) })
	case 6:
		m.both("unlink "+one, func(fs esys.FS) string { return outcome(fs.Unlink(one)) })
	case 7, 8:
		if path.Clean(one) == path.Clean(other) { // the system is not asked
			return
		}
		m.both("rename "+one+" to "+other, func(fs esys.FS) string { return outcome(fs.Rename(one, other)) })
	case 9:
		m.both("stat "+one, func(fs esys.FS) string {
			st, errno := fs.Stat(one)
			if st.Mode.IsDir() {
				st.Size = 0
			}
			return outcome(errno, st.Size, st.Mode.Type())
		})
	case 10, 11:
		m.file(fmt.Sprintf("write %d", size), func(f esys.File) string { n, errno := f.Write(data); return outcome(errno, n) })
	case 12:
		m.file(fmt.Sprintf("pwrite %d at %d", size, at), func(f esys.File) string {
			if f.IsAppend() {
				return "" // the system says that one cannot
			}
			n, errno := f.Pwrite(data, at)
			return outcome(errno, n)
		})
	case 13:
		m.file(fmt.Sprintf("pread %d at %d", size, at), func(f esys.File) string {
			buffer := make([]byte, size)
			n, errno := f.Pread(buffer, at)
			return outcome(errno, buffer[:n])
		})
	case 14:
		m.file(fmt.Sprintf("read %d", size), func(f esys.File) string {
			buffer := make([]byte, size)
			n, errno := f.Read(buffer)
			return outcome(errno, buffer[:n])
		})
	case 15:
		whence := m.random.IntN(3)
		m.file(fmt.Sprintf("seek %d from %d", at, whence), func(f esys.File) string {
			if dir, _ := f.IsDir(); dir {
				return ""
			}
			n, errno := f.Seek(at-scratchPage, whence)
			return outcome(errno, n)
		})
	case 16:
		m.file(fmt.Sprintf("truncate to %d", size), func(f esys.File) string {
			if dir, _ := f.IsDir(); dir {
				return ""
			}
			if st, _ := f.Stat(); st.Nlink == 0 { // the system's wrapper goes by the name
				return ""
			}
			return outcome(f.Truncate(int64(size)))
		})
	default:
		if len(m.open) > 6 || len(m.open) > 0 && m.random.IntN(2) == 0 {
			n := m.random.IntN(len(m.open))
			m.step = fmt.Sprintf("close %d", n)
			m.same([2]string{outcome(m.open[n][0].Close()), outcome(m.open[n][1].Close())})
			m.open = slices.Delete(m.open, n, n+1)
		}
	}
}

// tree returns all that is below a folder.
func tree(fs esys.FS, dir string) (list []string) {
	f, errno := fs.OpenFile(dir, 0, 0)
	if errno != 0 {
		return []string{dir + ": " + errno.Error()}
	}
	defer f.Close()
	entries, _ := f.Readdir(1000)
	for _, e := range entries {
		name := dir + "/" + e.Name
		if e.IsDir() {
			list = append(append(list, name+"/"), tree(fs, name)...)
			continue
		}
		file, _ := fs.OpenFile(name, 0, 0)
		content := make([]byte, 1<<16)
		n, _ := file.Read(content)
		file.Close()
		list = append(list, fmt.Sprintf("%s %x", name, content[:n]))
	}
	slices.Sort(list)
	return list
}

// A scratch does what the system's files do, whatever is done to it.
func TestScratchLikeSystem(t *testing.T) {
	t.Parallel()
	for range 8 {
		seed := rand.Uint64()
		s := newTestScratch(t, 1<<30)
		dir := t.TempDir()
		m := &fileModel{t: t, random: rand.New(rand.NewPCG(seed, 0)), fs: [2]esys.FS{s, sysfs.DirFS(dir)}}
		if errno := m.fs[1].Mkdir("tmp", 0o700); errno != 0 {
			t.Fatal(errno)
		}
		t.Cleanup(func() {
			if t.Failed() {
				t.Logf("one of the seeds was %d", seed)
			}
		})
		for range 400 {
			m.next()
		}
		for _, f := range m.open {
			f[0].Close()
			f[1].Close()
		}
		if here, there := tree(m.fs[0], "."), tree(m.fs[1], "."); !slices.Equal(here, there) {
			t.Fatalf("seed %d: %.1000q, and the system has %.1000q", seed, here, there)
		}
		if want := uint64(s.nodes)*scratchCost + uint64(s.pages.made-len(s.pages.free))*scratchPage; s.used != want {
			t.Errorf("seed %d: it counts %d bytes, has %d", seed, s.used, want)
		}
	}
}

// All that a command has in memory counts to its limit, and what it removes counts no more.
func TestScratchFull(t *testing.T) {
	t.Parallel()
	const limit = 1 << 20
	s := newTestScratch(t, limit)
	f, errno := s.OpenFile("full", create, 0)
	if errno != 0 {
		t.Fatal(errno)
	}
	n := 0
	for errno = 0; errno == 0; n++ {
		_, errno = f.Write(make([]byte, 1000))
	}
	if got := s.says(errno); got != fmt.Sprint(wasiNoSpace) || n < 1000 || n > 1048 || !s.in.linear.above {
		t.Errorf("after %d writes of 1,000 bytes: %s", n, got)
	}
	if size := s.in.linear.Reallocate(64 << 10); size != nil {
		t.Error("memory and files together have more than the limit")
	}
	if errno := s.Mkdir("more", 0); s.says(errno) != fmt.Sprint(wasiNoSpace) && s.used+scratchCost > limit {
		t.Errorf("a folder more: %v", errno)
	}
	if errno := s.Unlink("full"); errno != 0 || s.used < limit-3*scratchPage {
		t.Errorf("what is open has gone: %v", errno)
	}
	if buffer := make([]byte, 10); s.says(s.Mkdir("x", 0)) == "" || func() int { n, _ := f.Pread(buffer, 5); return n }() != 10 {
		t.Error("what has no name and is open cannot be read")
	}
	f.Close()
	if s.used > 2*scratchCost {
		t.Errorf("%d bytes are in use after all", s.used)
	}
	if size := s.in.linear.Reallocate(64 << 10); size == nil {
		t.Error("memory cannot grow although there is room")
	}
	s.in.linear.Free()

	for _, size := range []int64{limit + 1, 1 << 40, 1 << 62, 1<<63 - 1} {
		f, _ := s.OpenFile("sparse", create, 0)
		want := fmt.Sprint(wasiTooLarge)
		if size == limit+1 {
			want = fmt.Sprint(wasiNoSpace)
		}
		if got := s.says(f.Truncate(size)); got != want {
			t.Errorf("a file of %d bytes: %s, want %s", size, got, want)
		}
		if _, errno := f.Pwrite([]byte("xy"), size-1); s.says(errno) != want {
			t.Errorf("a byte at %d: %v, want %s", size, errno, want)
		}
		if at, errno := f.Seek(size, 0); at != size || errno != 0 {
			t.Errorf("seek to %d: %v", size, errno)
		}
		if _, errno := f.Write([]byte("xy")); s.says(errno) != want && size != limit+1 {
			t.Errorf("a write at %d: %v, want %s", size, errno, want)
		}
		if errno := f.Truncate(-size); errno != esys.EINVAL {
			t.Errorf("a file of %d bytes: %v", -size, errno)
		}
		f.Close()
	}
	if s.pages.made > limit/scratchPage {
		t.Errorf("%d pages were made", s.pages.made)
	}
}

// Neither the number of files nor of descriptors is without end, and folders in each other are only as deep as a path is long.
func TestScratchMany(t *testing.T) {
	t.Parallel()
	s := newTestScratch(t, 1<<30)
	n := 0
	var errno esys.Errno
	for ; errno == 0; n++ {
		var f esys.File
		if f, errno = s.OpenFile(fmt.Sprintf("tmp/file%d", n), create, 0); errno == 0 {
			if n%16 == 0 {
				_, _ = f.Write([]byte("x"))
			}
			f.Close()
		}
	}
	if n != mostScratch+1 || s.says(errno) != fmt.Sprint(wasiNoSpace) {
		t.Errorf("after %d files: %v", n, errno)
	}
	dir, _ := s.OpenFile("tmp", 0, 0)
	seen := 0
	for {
		part, errno := dir.Readdir(1000)
		seen += len(part)
		if len(part) < 1000 || errno != 0 {
			break
		}
		for _, e := range part { // none is left out, or comes twice, as others are removed
			_ = s.Unlink("tmp/" + e.Name)
			_ = s.Rename(fmt.Sprintf("tmp/file%d", mostScratch-1), "tmp/renamed")
		}
	}
	if seen < mostScratch-1 || seen > mostScratch || s.nodes > 1000 {
		t.Errorf("saw %d of %d, and %d are left", seen, mostScratch, s.nodes)
	}
	dir.Close()

	var open []esys.File
	for errno = 0; errno == 0; {
		var f esys.File
		if f, errno = s.OpenFile("one", create, 0); errno == 0 {
			open = append(open, f)
		}
	}
	if len(open) != mostFiles || s.says(errno) != fmt.Sprint(wasiManyOpen) {
		t.Errorf("%d are open at once: %v", len(open), errno)
	}
	for _, f := range open {
		f.Close()
	}
	name := "deep"
	for errno = 0; errno == 0; name += "/d" {
		errno = s.Mkdir(name, 0)
	}
	if errno != esys.ENAMETOOLONG || len(name) < mostPath {
		t.Errorf("a path of %d bytes: %v", len(name), errno)
	}
	if s.in.files != 0 {
		t.Errorf("%d files are open", s.in.files)
	}
}

func TestScratchNames(t *testing.T) {
	t.Parallel()
	s := newTestScratch(t, 1<<30)
	s.put(t, "file", "content")
	for name, want := range map[string]esys.Errno{
		"a\x00b": esys.EINVAL, strings.Repeat("x", 256): esys.ENAMETOOLONG, strings.Repeat("x/", 40_000): esys.ENAMETOOLONG, "none/x": esys.ENOENT, "file/x": esys.ENOTDIR, "file/": esys.ENOTDIR,
		"new/": esys.EISDIR, "": esys.EISDIR, ".": esys.EISDIR, "tmp": esys.EISDIR, "tmp//x": 0, "./tmp/../y": 0, "/tmp/./z": 0, strings.Repeat("x", 255): 0, "é": 0, "tmp/" + strings.Repeat("/", 1000) + "q": 0,
	} {
		f, errno := s.OpenFile(name, create, 0)
		if errno != want {
			t.Errorf("%.40q: %v, want %v", name, errno, want)
		}
		if errno == 0 {
			f.Close()
		}
	}
	for what, errno := range map[string]esys.Errno{"a link": s.Link("file", "other"), "a symbolic link": s.Symlink("file", "other")} {
		if errno != esys.ENOTSUP {
			t.Errorf("%s: %v", what, errno)
		}
	}
	if _, errno := s.Readlink("file"); errno != esys.EINVAL {
		t.Errorf("reading a link that is a file: %v", errno)
	}
	if errno := s.Rmdir(""); s.says(errno) != fmt.Sprint(wasiBusy) {
		t.Errorf("removing the root: %v", errno)
	}
	for _, name := range []string{"tmp/q", "tmp/x", "tmp/z"} {
		_ = s.Unlink(name)
	}
	if errno := s.Rmdir("tmp"); errno != 0 {
		t.Errorf("removing tmp: %v", errno)
	}
}

// Numbers and times are those of the call: the same in each.
func TestScratchDeterministic(t *testing.T) {
	t.Parallel()
	s := newTestScratch(t, 1<<30)
	look := func() string {
		s.put(t, "tmp/a", "one")
		_ = s.Mkdir("tmp/b", 0)
		s.in.clock.nanosleep(5_000_000)
		s.put(t, "tmp/b/c", "two")
		_ = s.Utimens("tmp/a", 3, esys.UTIME_OMIT)
		text := ""
		for _, name := range []string{"", "tmp", "tmp/a", "tmp/b", "tmp/b/c"} {
			st, errno := s.Stat(name)
			text += fmt.Sprint(name, st, errno, "\n")
		}
		s.in.clock = clock{in: s.in}
		return text
	}
	f, _ := s.OpenFile("early", create, 0)
	_, _ = f.Write([]byte("x"))
	s.empty()
	one := look()
	s.empty()
	if two := look(); one != two || !strings.Contains(one, fmt.Sprint(epoch+5_000_000)) {
		t.Errorf("first\n%s, then\n%s", one, two)
	}
	if _, errno := f.Write([]byte("x")); errno != esys.EBADF {
		t.Errorf("writing to what was opened before: %v", errno)
	}
	if _, errno := f.Stat(); errno != esys.EBADF || f.Close() != 0 || s.in.files != 0 {
		t.Errorf("looking at what was opened before: %v", errno)
	}
}

// A command finds an empty folder, and its result may be a file of it.
func TestCommandFiles(t *testing.T) {
	t.Parallel()
	m := guesttest.Build(t, "testdata/command")
	h := newHost(t, Config{Grants: map[string]Grants{"files": {ResultFile: "result"}, "none": {ResultFile: "/tmp/none"}, "folder": {ResultFile: "tmp"}}})
	slot := newSlot(t, h)
	plain := taskOf(t, load(t, h, m), "command")
	want := fmt.Sprintf("d tmp/\n999999 %d symlink /tmp/moved /tmp/link: Not supported\n", epoch)
	for range 2 {
		if got := run(t, slot, plain, "files"); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if used := slot.Usage().Memory; used < 1_000_000+4<<20 {
			t.Errorf("it used %d bytes of memory, with its files", used)
		}
	}
	task := taskOf(t, load(t, h, m.WithName("files")), "files")
	if got := run(t, slot, task, "files"); got != "the result" {
		t.Errorf("got %q", got)
	}
	for name, message := range map[string]string{
		"none":   "the command wrote no file /tmp/none, which its result is to be in: it wrote /result, /tmp/moved",
		"folder": "the command's result is to be in the file /tmp, which is a folder",
	} {
		e := runFailing(t, slot, taskOf(t, load(t, h, m.WithName(name)), name), "files")
		if e.Kind != KindBadResult || e.Message != message || !strings.Contains(e.Stderr, "d tmp/") {
			t.Errorf("%s: %+v, want %q", name, e, message)
		}
	}
	limited := func(l Limits) *Error {
		_, err := slot.Run(t.Context(), task, &Call{Number: 1, Arg: []byte("files"), Limits: &l})
		return errorOf(t, err)
	}
	if e := limited(Limits{Output: 9}); e.Kind != KindOutput || !strings.Contains(e.Message, "longer than the limit of 9 bytes") {
		t.Errorf("a long result: %v", e)
	}
	if used := h.memory.Used(); used > 1<<30 {
		t.Errorf("guests hold %d bytes", used)
	}
}

// A command that fills its memory with files, and its files with memory, is told so, in numbers that every run has.
func TestCommandFillsMemory(t *testing.T) {
	t.Parallel()
	m := guesttest.Module(t, "m", `(module
		(import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
		(import "wasi_snapshot_preview1" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
		(memory (export "memory") 1)
		(data (i32.const 0) "\00\00\00\00\00\00\01\00") (data (i32.const 128) "x") (data (i32.const 136) "\90\00\00\00\0c\00\00\00")
		(func (export "_start") (local $n i32)
			(drop (memory.grow (i32.const 9)))
			(drop (call $open (i32.const 3) (i32.const 0) (i32.const 128) (i32.const 1) (i32.const 5) (i64.const 66) (i64.const 0) (i32.const 0) (i32.const 16)))
			(loop
				(local.set $n (i32.add (local.get $n) (i32.const 1)))
				(i32.store (i32.const 144) (call $write (i32.load (i32.const 16)) (i32.const 0) (i32.const 1) (i32.const 8)))
				(br_if 0 (i32.eqz (i32.load (i32.const 144)))))
			(i32.store (i32.const 148) (local.get $n))
			(i32.store (i32.const 152) (memory.grow (i32.const 1)))
			(drop (call $write (i32.const 1) (i32.const 136) (i32.const 1) (i32.const 8)))))`)
	const limit = 8 << 20
	h := newHost(t, Config{Limits: Limits{Memory: limit}})
	slot := newSlot(t, h)
	task := taskOf(t, load(t, h, m), "m")
	for range 2 {
		got := []byte(run(t, slot, task, ""))
		errno, writes, grown := binary.LittleEndian.Uint32(got), binary.LittleEndian.Uint32(got[4:]), int32(binary.LittleEndian.Uint32(got[8:]))
		if errno != wasiNoSpace || writes != (limit-10<<16)>>16 || grown != -1 {
			t.Errorf("error %d at write %d, and the memory grew from %d pages", errno, writes, grown)
		}
		if used := slot.Usage(); used.Memory > limit || used.Memory < limit-2<<16 {
			t.Errorf("it used %d bytes", used.Memory)
		}
	}
	if _, err := slot.Run(t.Context(), task, &Call{Number: 1, Limits: &Limits{Instructions: 100_000}}); errorOf(t, err).Kind != KindBudget {
		t.Errorf("with a budget: %v", err)
	}
}

// The place of a result that no command could write to is refused.
func TestResultFilePlace(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	m := guesttest.Module(t, "m", `(module (memory (export "memory") 1) (func (export "_start")))`)
	for want, g := range map[string]Grants{
		"the result file /data/x lies in /data, ":           {ResultFile: "data/x", Folders: map[string]string{"/data": dir}},
		"the result file /shared/x lies in /shared, ":       {ResultFile: "/shared/x"},
		"the result file /x lies in /, ":                    {ResultFile: "x", Folders: map[string]string{"/": dir}},
		"the result file /y lies in /, ":                    {ResultFile: "y", Folders: map[string]string{".": dir}},
		"the result file /tmp/x lies in /tmp, ":             {ResultFile: "/tmp/x", Folders: map[string]string{"/": dir, "/tmp": dir}},
		`"/tmp/" cannot be the name of a result file`:       {ResultFile: "/tmp/"},
		`"." cannot be the name of a result file`:           {ResultFile: "."},
		`"a\x00" cannot be the name of a result file`:       {ResultFile: "a\x00"},
		"writes its results to standard output":             {ResultFile: "x", Keep: KeepLine},
		"a folder is granted as . and one as /, which are ": {Folders: map[string]string{"/": dir, ".": dir}},
		"a folder is granted as /a and one as a/, which":    {Folders: map[string]string{"/a": dir, "a/": dir}},
		"the result file /z lies in /, ":                    {ResultFile: "z", Folders: map[string]string{"//": dir}},
		"the result file /tmp/z lies in /tmp, ":             {ResultFile: "/tmp/z", Folders: map[string]string{"/": dir, "/tmp/": dir}},
	} {
		if _, err := New(Config{Grants: map[string]Grants{EveryModule: g}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", g, err, want)
		}
	}
	for _, g := range []Grants{{ResultFile: "tmp/x", Folders: map[string]string{".": dir}}, {ResultFile: "database/x", Folders: map[string]string{"/data": dir}}, {ResultFile: "x", Folders: map[string]string{"/tmp": dir}}} {
		h := newHost(t, Config{Grants: map[string]Grants{EveryModule: g}})
		if e := runFailing(t, newSlot(t, h), taskOf(t, load(t, h, m), "m"), ""); e.Kind != KindBadResult {
			t.Errorf("%+v: %v", g, e)
		}
	}
}

// leavesWAT answers each line with WASI's errors: of making a file that must not be there, of writing to the one that it made
// for the line before, and to the new one, all of which it leaves open.
const leavesWAT = `(module
	(import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
	(import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
	(import "wasi_snapshot_preview1" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
	(memory (export "memory") 1)
	(data (i32.const 0) "\40\00\00\00\40\00\00\00") (data (i32.const 128) "x")
	(data (i32.const 136) "\90\00\00\00\03\00\00\00")
	(func (export "_start") (local $old i32)
		(local.set $old (i32.const 99))
		(loop
			(drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
			(if (i32.load (i32.const 8)) (then
				(i32.store8 (i32.const 144) (i32.add (i32.const 48) (call $open (i32.const 3) (i32.const 0) (i32.const 128) (i32.const 1) (i32.const 5) (i64.const 66) (i64.const 0) (i32.const 0) (i32.const 16))))
				(i32.store8 (i32.const 145) (i32.add (i32.const 48) (call $write (local.get $old) (i32.const 0) (i32.const 1) (i32.const 8))))
				(local.set $old (i32.load (i32.const 16)))
				(i32.store8 (i32.const 146) (i32.add (i32.const 48) (call $write (local.get $old) (i32.const 0) (i32.const 1) (i32.const 8))))
				(drop (call $write (i32.const 1) (i32.const 136) (i32.const 1) (i32.const 8)))
				(br 1))))))`

// What a call leaves is gone before the next one, however the command is kept.
func TestKeptFiles(t *testing.T) {
	t.Parallel()
	m := guesttest.Module(t, "m", leavesWAT)
	for isolation := IsolationReuse; isolation <= IsolationFresh; isolation++ {
		h := newHost(t, Config{Isolation: isolation, Grants: map[string]Grants{EveryModule: {Keep: KeepLine}}})
		slot, task := newSlot(t, h), taskOf(t, load(t, h, m), "m")
		for range 5 {
			if got := run(t, slot, task, "x"); got != "080" {
				t.Errorf("%v: got %q", isolation, got)
			}
			if in := slot.instance; in != nil && (in.scratch.used != 0 || in.scratch.pages.space != nil) {
				t.Errorf("%v: %d bytes are in use after a call", isolation, in.scratch.used)
			}
		}
	}
}

// The folder that is granted as "." is called so, which older programs look for.
func TestWorkingFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "file"), nil)
	h := newHost(t, Config{Grants: map[string]Grants{EveryModule: {Folders: map[string]string{".": dir, "+": dir}}}})
	slot := newSlot(t, h)
	mod := load(t, h, guesttest.Module(t, "m", `(module
		(import "wasmpool" "output_write" (func $output (param i32 i32)))
		(import "wasi_snapshot_preview1" "fd_prestat_get" (func $get (param i32 i32) (result i32)))
		(import "wasi_snapshot_preview1" "fd_prestat_dir_name" (func $name (param i32 i32 i32) (result i32)))
		(memory (export "memory") 1)
		(func (export "name") (result i32)
			(drop (call $get (i32.const 4) (i32.const 0)))
			(drop (call $name (i32.const 4) (i32.const 64) (i32.const 0)))
			(i32.store8 (i32.const 64) (i32.const 95))
			(drop (call $name (i32.const 4) (i32.const 65) (i32.load (i32.const 4))))
			(drop (call $name (i32.const 3) (i32.const 66) (i32.const 1)))
			(drop (call $name (i32.const 4) (i32.const -1) (i32.const 1)))
			(call $output (i32.const 64) (i32.const 4)) (i32.const 0)))`))
	if got := run(t, slot, taskOf(t, mod, "name"), ""); got != "_.+\x00" {
		t.Errorf("got %q", got)
	}
	if got := run(t, slot, taskOf(t, load(t, h, guesttest.Module(t, "open", strings.ReplaceAll(openWAT, "(i32.const 3) (i32.const 1)", "(i32.const 4) (i32.const 1)"))), "open"), "file"); got != "" {
		t.Errorf("got %q", got)
	}
}
