package compile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/internal/cachedir"
	"github.com/wasmpool/wasmpool/internal/guesttest"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// cacheChildEnv tells a process that it is one of those that share a cache folder.
const cacheChildEnv = "WASMPOOL_COMPILE_TEST_CHILD"

// childMain loads a module and prints how many it had to compile.
func childMain() int {
	m, err := wasmtasks.LoadFile(os.Getenv(cacheChildEnv))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	p := New(Config{CacheDir: cachedir.Default("compiled")}.withDefaults())
	c, err := p.Load(context.Background(), m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println(p.Compiled())
	if err := c.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func TestProcessesCompileOnce(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "guest.wasm")
	if err := os.WriteFile(file, guesttest.Build(t, "../../host/testdata/guest").Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	out := make([]string, 4)
	var children sync.WaitGroup
	for i := range out {
		children.Go(func() {
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), cacheChildEnv+"="+file, cachedir.Env+"="+dir)
			text, err := cmd.CombinedOutput()
			out[i] = strings.TrimSpace(string(text))
			if err != nil {
				t.Errorf("process %d: %v\n%s", i, err, text)
			}
		})
	}
	children.Wait()
	compiled := 0
	for _, text := range out {
		if text == "1" {
			compiled++
		} else if text != "0" {
			t.Errorf("a process printed %q, want 0 or 1", text)
		}
	}
	if compiled != 1 {
		t.Errorf("%d processes compiled, want 1", compiled)
	}
	if _, err := os.Stat(filepath.Join(dir, "compiled")); err != nil {
		t.Errorf("the cache is not where %s says: %v", cachedir.Env, err)
	}
}

// loadAndRun loads the module of answerWAT with a new pipeline with this cache folder, runs
// its task and returns how many modules were compiled for it.
func loadAndRun(t *testing.T, dir string, m *wasmtasks.Module) int {
	t.Helper()
	p := newPipeline(t, Config{CacheDir: dir})
	answer(t, load(t, p, m))
	return p.Compiled()
}

// cached returns the one file with native code below dir.
func cached(t *testing.T, dir string) string {
	t.Helper()
	e := entry{dir: dir}
	var files []string
	for _, file := range e.files() {
		if !strings.HasSuffix(file, ".lock") && !strings.HasSuffix(file, ".wasm") {
			files = append(files, file)
		}
	}
	if len(files) != 1 {
		t.Fatalf("the cache holds %q, want one file", files)
	}
	return files[0]
}

// A module that is compiled differently has an entry of its own, so that each goes through the
// child process.
func TestCacheKeys(t *testing.T) {
	t.Parallel()
	dir, m := t.TempDir(), guesttest.Module(t, "answer", answerWAT)
	for _, cfg := range []Config{{}, {NoMeter: true}, {Reset: true}, {NoMeter: true, Reset: true}} {
		cfg.CacheDir = dir
		for _, compiles := range []int{1, 0} {
			p := newPipeline(t, cfg)
			load(t, p, m)
			if got := p.Compiled(); got != compiles {
				t.Errorf("NoMeter %t, Reset %t: %d modules were compiled, want %d", cfg.NoMeter, cfg.Reset, got, compiles)
			}
		}
	}
}

// What is no code does not have a module compiled again; other names do, as errors have them.
func TestCacheIsOfCode(t *testing.T) {
	t.Parallel()
	dir, m := t.TempDir(), guesttest.Module(t, "answer", answerWAT)
	for _, c := range []struct {
		more     []byte
		compiles int
	}{
		{nil, 1}, {sec(0, str("producers"), 1), 0}, {sec(0, str("script"), "print(1)"), 0}, {sec(0, str("name"), "\x00\x02\x01x"), 1}, {nil, 0},
	} {
		other, err := wasmtasks.Load("answer", append(bytes.Clone(m.Bytes()), c.more...))
		if err != nil {
			t.Fatal(err)
		}
		if n := loadAndRun(t, dir, other); n != c.compiles {
			t.Errorf("with %q behind it the module was compiled %d times, want %d", c.more, n, c.compiles)
		}
	}
	if kept, err := filepath.Glob(filepath.Join(dir, "*.wasm")); err != nil || len(kept) != 2 {
		t.Errorf("the cache holds the rewritten modules %q, %v; want two", kept, err)
	}
}

// A rewritten module that is not as it was written is written again.
func TestCorruptRewritten(t *testing.T) {
	t.Parallel()
	m := guesttest.Module(t, "answer", answerWAT)
	dir := t.TempDir()
	loadAndRun(t, dir, m)
	kept, err := filepath.Glob(filepath.Join(dir, "*.wasm"))
	if err != nil || len(kept) != 1 {
		t.Fatalf("the cache holds the rewritten modules %q, %v; want one", kept, err)
	}
	good, err := os.ReadFile(kept[0])
	if err != nil {
		t.Fatal(err)
	}
	bad := bytes.Clone(good)
	bad[len(bad)-1] ^= 1
	if err := os.WriteFile(kept[0], bad, 0o600); err != nil {
		t.Fatal(err)
	}
	loadAndRun(t, dir, m)
	if got, err := os.ReadFile(kept[0]); err != nil || !bytes.Equal(got, good) {
		t.Errorf("it was not written again: %v", err)
	}
}

func TestCorruptEntry(t *testing.T) {
	t.Parallel()
	m := guesttest.Module(t, "answer", answerWAT)
	dir := t.TempDir()
	if n := loadAndRun(t, dir, m); n != 1 {
		t.Fatalf("compiled %d, want 1", n)
	}
	if n := loadAndRun(t, dir, m); n != 0 {
		t.Fatalf("compiled %d with a warm cache, want 0", n)
	}
	file := cached(t, dir)
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	damage := map[string]func() error{
		"empty":     func() error { return os.Truncate(file, 0) },
		"truncated": func() error { return os.Truncate(file, int64(len(good)/2)) },
		"one short": func() error { return os.Truncate(file, int64(len(good)-1)) },
		"no sum":    func() error { return os.Remove(file + sumSuffix) },
		"empty sum": func() error { return os.Truncate(file+sumSuffix, 0) },
		"left over": func() error { return os.WriteFile(file+".123.tmp", []byte("x"), 0o600) },
		"left work": func() error {
			work := filepath.Join(filepath.Dir(filepath.Dir(file)), "1"+tempSuffix)
			return errors.Join(os.MkdirAll(work, 0o700), os.WriteFile(filepath.Join(work, "code"), []byte("x"), 0o600))
		},
		"no file": func() error { return os.Remove(file) },
	}
	for _, at := range []int{0, 7, 20, 30, 40, len(good) / 2, len(good) - 1} {
		damage[fmt.Sprintf("flipped at %d", at)] = func() error {
			bad := append([]byte(nil), good...)
			bad[at] ^= 0x10
			return os.WriteFile(file, bad, 0o600)
		}
	}
	for name, damage := range damage {
		if err := damage(); err != nil {
			t.Fatal(err)
		}
		want := 1
		if strings.HasPrefix(name, "left") {
			want = 0 // by a process that was killed: it is not in the way
		}
		if n := loadAndRun(t, dir, m); n != want {
			t.Errorf("%s: compiled %d, want %d", name, n, want)
		}
		if n := loadAndRun(t, dir, m); n != 0 {
			t.Errorf("%s: compiled %d after the repair, want 0", name, n)
		}
	}
}

// An entry that is as it was sealed, and that wazero does not like.
func TestCorruptSealedEntry(t *testing.T) {
	t.Parallel()
	m := guesttest.Module(t, "answer", answerWAT)
	dir := t.TempDir()
	loadAndRun(t, dir, m)
	file := cached(t, dir)
	if err := os.Truncate(file, 100); err != nil {
		t.Fatal(err)
	}
	if err := writeSum(file); err != nil {
		t.Fatal(err)
	}
	if n := loadAndRun(t, dir, m); n != 1 {
		t.Errorf("compiled %d, want 1", n)
	}
	if n := loadAndRun(t, dir, m); n != 0 {
		t.Errorf("compiled %d after the repair, want 0", n)
	}
}

// Beyond the bound the modules that were not used for longest go, but none that a
// process holds, and nothing that is not the cache's.
func TestCacheTrim(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var modules []*wasmtasks.Module
	for i := range 5 {
		modules = append(modules, guesttest.Module(t, "m", fmt.Sprintf(`(module (func (export "f") (result i32) (i32.const %d)))`, i)))
	}
	use := func(m *wasmtasks.Module, most int64) int {
		p := newPipeline(t, Config{CacheDir: dir})
		p.mostCached = most
		load(t, p, m)
		return p.Compiled()
	}
	for i, m := range modules[:4] {
		if n := use(m, 1<<30); n != 1 {
			t.Fatalf("module %d: compiled %d, want 1", i, n)
		}
		age := time.Now().Add(time.Duration(i-10) * time.Hour)
		kept, err := filepath.Glob(filepath.Join(dir, m.Digest().String()+"*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, top := range kept {
			if err := filepath.WalkDir(top, func(path string, _ fs.DirEntry, _ error) error { return os.Chtimes(path, age, age) }); err != nil {
				t.Fatal(err)
			}
		}
	}
	other := filepath.Join(dir, "other")
	if err := os.WriteFile(other, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	use(modules[0], 1<<30) // so that it is not the oldest
	held := entry{dir, modules[1].Digest().String(), slog.New(slog.DiscardHandler)}
	unlock, err := held.rlock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	total := int64(0)
	for _, m := range held.all() {
		total += m.size
	}
	use(modules[4], total) // one too many: two go, so that there is room again
	for i, want := range []int{0, 0, 1, 1, 0} {
		if n := use(modules[i], 1<<30); n != want {
			t.Errorf("module %d: compiled %d, want %d", i, n, want)
		}
	}
	if _, err := os.Stat(other); err != nil {
		t.Errorf("what is not the cache's: %v", err)
	}
}

func TestUnusableCacheFolder(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	m := guesttest.Module(t, "answer", answerWAT)
	for range 2 {
		if n := loadAndRun(t, filepath.Join(file, "below"), m); n != 1 {
			t.Errorf("compiled %d, want 1", n)
		}
	}
}

// Where there are many cores, a child does not come to its limit on memory by the
// stacks of its threads alone.
func TestCompileOnManyCores(t *testing.T) { // alone, as it is this process that has so many
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(64))
	p := newPipeline(t, Config{CacheDir: t.TempDir()})
	ended := 0
	p.childEnded = func(*os.ProcessState) { ended++ }
	load(t, p, guesttest.Build(t, "../../host/testdata/guest"))
	load(t, p, guesttest.Module(t, "small", `(module (func (export "f") (result i32) (i32.const 0)))`))
	if ended != 2 {
		t.Errorf("%d children have ended, want 2", ended)
	}
}

// A module that is refused is not taken for a fault of the cache, whatever its names are.
func TestNamesAreNoCacheError(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	p := newPipeline(t, Config{CacheDir: t.TempDir(), Logger: slog.New(slog.NewTextHandler(&log, nil))})
	ended := 0
	p.childEnded = func(*os.ProcessState) { ended++ }
	const returnLong = "\x42\x00\x0b" // where an i32 is due
	wasm := cat(wasmHead, oneType, oneFunc, sec(7, 1, str("compilationcache:"), 0, 0), fnBody(noLocals, returnLong))
	m, err := wasmtasks.Load("bad", wasm)
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Load(t.Context(), m)
	if !errors.As(err, new(*BadModuleError)) || !strings.Contains(err.Error(), "compilationcache:") {
		t.Errorf("got %v, want it refused, with its name", err)
	}
	if ended != 1 || log.Len() > 0 {
		t.Errorf("%d children have ended, want 1; the log is %q", ended, &log)
	}
}
