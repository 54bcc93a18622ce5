package compile

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/tetratelabs/wazero"

	"github.com/wasmpool/wasmpool/internal/guesttest"
	"github.com/wasmpool/wasmpool/internal/unittest"
	"github.com/wasmpool/wasmpool/internal/wasmbin"
)

// What the engine knows of a module after it has loaded its code is the same whether it was
// given the module or the skeleton: all that it decodes, but for the bodies.
func TestSkeleton(t *testing.T) {
	t.Parallel()
	modules := [][]byte{rewritten(t, guesttest.Build(t, "../../host/testdata/guest").Bytes())}
	for i, wasm := range specModules(t) {
		if !unittest.Race || i%10 == 0 { // one goroutine has no races
			modules = append(modules, wasm)
		}
	}
	compared := 0
	for _, wasm := range modules {
		whole, err := decoded(t, wasm)
		if err != nil {
			continue
		}
		bones, err := skeleton(wasm)
		if err != nil {
			t.Fatal(err)
		}
		left, err := decoded(t, bones)
		if err != nil {
			t.Errorf("the engine takes a module, and not its skeleton: %v\n%x", err, wasm)
			continue
		}
		for name, want := range whole {
			if got := left[name]; !reflect.DeepEqual(got, want) {
				t.Errorf("%s is %v, of the skeleton %v\n%x", name, want, got, wasm)
			}
		}
		compared++
	}
	if compared < len(modules)/10 {
		t.Errorf("%d modules of %d were compared", compared, len(modules))
	}
	t.Logf("%d modules were compared", compared)
}

// decoded returns the engine's own fields of a module that it takes, without the bodies, and its name, the sum of all
// that it was given.
func decoded(t *testing.T, wasm []byte) (map[string]any, error) {
	t.Helper()
	rt := wazero.NewRuntimeWithConfig(t.Context(), bounded(wazero.NewRuntimeConfigInterpreter()).WithDebugInfoEnabled(false))
	defer rt.Close(t.Context())
	c, err := rt.CompileModule(t.Context(), wasm)
	if err != nil {
		return nil, err
	}
	all := map[string]any{}
	m := reflect.ValueOf(c).Elem().FieldByName("module").Elem()
	for i := range m.NumField() {
		f := m.Field(i)
		switch name := m.Type().Field(i).Name; name {
		case "ID":
		case "CodeSection":
			all[name] = f.Len()
		default:
			all[name] = reflect.NewAt(f.Type(), unsafe.Pointer(f.UnsafeAddr())).Elem().Interface()
		}
	}
	if len(all) < 20 {
		t.Fatalf("a module has the fields %v", all)
	}
	return all, nil
}

// rewritten returns what the pipeline compiles of a module.
func rewritten(t *testing.T, wasm []byte) []byte {
	t.Helper()
	m, err := Gate(wasm, usual())
	if err == nil {
		wasm, err = Rewrite(wasm, m, usual())
	}
	if err != nil {
		t.Fatal(err)
	}
	return wasm
}

// A look into a folder finds the module's code and that of no other, and compiles nothing: a
// skeleton's own code would stand for the module's.
func TestLookUp(t *testing.T) {
	t.Parallel()
	dir, facts := t.TempDir(), &wasmbin.Module{}
	own := rewritten(t, guesttest.Module(t, "answer", answerWAT).Bytes())
	other := rewritten(t, guesttest.Module(t, "answer", strings.Replace(answerWAT, "i32.const 100", "i32.const 101", 1)).Bytes())
	ownBones, _ := skeleton(own)
	otherBones, _ := skeleton(other)
	if n := len(ownBones) - 32; !bytes.Equal(ownBones[:n], otherBones[:n]) || bytes.Equal(ownBones, otherBones) {
		t.Fatalf("the skeletons are to differ in the sum alone:\n%x\n%x", ownBones, otherBones)
	}
	missing := func(wasm []byte, files int) {
		t.Helper()
		if c, err := lookUp(dir, wasm, facts); !errors.Is(err, errMissing) {
			t.Errorf("got %v, %v; want %v", c, err, errMissing)
		}
		if got := (entry{dir: dir}).files(); len(got) != files {
			t.Errorf("the folder holds %q, want %d files", got, files)
		}
	}
	missing(own, 0)
	if err := store(t.Context(), dir, own); err != nil {
		t.Fatal(err)
	}
	missing(other, 1)
	c, err := lookUp(dir, own, facts)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	answer(t, c)
	left, err := filepath.Glob(filepath.Join(dir, "*"+tempSuffix))
	if err != nil || len(left) > 0 {
		t.Errorf("it left %q, %v", left, err)
	}
}

// An engine that would compile what it should only look up is given whole modules, and no folder.
func TestEngineThatCompiles(t *testing.T) { // alone, as it changes what all pipelines ask
	defer func(was func() bool) { onlyLooks = was }(onlyLooks)
	onlyLooks = func() bool { return false }
	dir, m := t.TempDir(), guesttest.Module(t, "answer", answerWAT)
	for range 2 {
		if n := loadAndRun(t, dir, m); n == 0 {
			t.Error("it took code from the cache folder")
		}
	}
}

// Code for another kind of CPU, or another engine, stays where it is, and so does that which is added.
func TestOtherCPU(t *testing.T) {
	t.Parallel()
	dir, m := t.TempDir(), guesttest.Module(t, "answer", answerWAT)
	loadAndRun(t, dir, m)
	file := cached(t, dir)
	other := filepath.Join(filepath.Dir(file), strings.Repeat("ab", 32))
	for _, suffix := range []string{"", sumSuffix} {
		if err := os.Rename(file+suffix, other+suffix); err != nil {
			t.Fatal(err)
		}
	}
	left, busy := filepath.Join(dir, m.Digest().String(), "1"+tempSuffix), filepath.Join(dir, m.Digest().String(), "2"+tempSuffix)
	for _, work := range []string{left, busy} {
		if err := os.MkdirAll(filepath.Join(work, "module"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chtimes(left, time.Time{}, time.Now().Add(-2*leftAfter)); err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{1, 0} {
		if n := loadAndRun(t, dir, m); n != want {
			t.Errorf("load %d: compiled %d, want %d", i, n, want)
		}
	}
	for work, want := range map[string]bool{left: false, busy: true} {
		if _, err := os.Stat(work); (err == nil) != want {
			t.Errorf("%s, which a compilation has left behind: %v, is to be there: %t", work, err, want)
		}
	}
	var files []string
	err := filepath.WalkDir(filepath.Dir(file), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, path)
		}
		return err
	})
	want := []string{file, file + sumSuffix, other, other + sumSuffix}
	slices.Sort(want)
	if err != nil || !slices.Equal(files, want) {
		t.Errorf("the folder holds\n%q, %v; want\n%q", files, err, want)
	}
}
