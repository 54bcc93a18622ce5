package wasmtasks

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func build(t testing.TB, dir string) *Module {
	t.Helper()
	m, err := Build(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

const program = `package main

//go:wasmexport answer
func answer() int32 { return 42 }

func main() {}
`

func TestBuild(t *testing.T) {
	t.Parallel()
	m, err := Open(t.Context(), "testdata/stars")
	if err != nil {
		t.Fatal(err)
	}
	i32, none := []string{"i32"}, []string{}
	want := []Task{
		{Name: "add", Kind: KindRaw, Signature: "(i32, i32) -> i32", Params: []string{"i32", "i32"}, Results: i32, Doc: "add adds two numbers."},
		{Name: "brightest", Kind: KindTask, Signature: "() -> i32", Params: none, Results: i32, Doc: "Brightest finds the brightest star.", In: "[]Star", Out: "*Star"},
		{Name: "count", Kind: KindTask, Signature: "() -> i32", Params: none, Results: i32, In: "struct{ Stars []Star }", Out: "int"},
		{Name: "half", Kind: KindRaw, Signature: "(f64) -> f64", Params: []string{"f64"}, Results: []string{"f64"}, Doc: "half halves a number."},
		{Name: "reverse", Kind: KindTask, Signature: "() -> i32", Params: none, Results: i32, Doc: "reverse turns a text around.", In: "[]byte", Out: "[]byte"},
		{Name: "same", Kind: KindTask, Signature: "() -> i32", Params: none, Results: i32, Doc: "Same returns its argument.", In: "string", Out: "string"},
	}
	if diff := cmp.Diff(want, m.Tasks()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if d := m.Describe(); m.Name() != "stars" || !d.Memory.Exported || d.Memory.MinPages == 0 {
		t.Errorf("module %s, memory %+v", m.Name(), d.Memory)
	}
}

func TestBuildCommand(t *testing.T) {
	t.Parallel()
	got := build(t, "testdata/greet").Tasks()
	want := []Task{{Name: "greet", Kind: KindCommand, Signature: "() -> ()", Params: []string{}, Results: []string{}, Doc: "Greet greets whom its input names."}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// An unchanged folder is answered from the cache, a changed one is built.
func TestBuildCache(t *testing.T) {
	cache := t.TempDir()
	t.Setenv("WASMPOOL_CACHE", cache)
	dir := goModule(t, "answers", program)
	first := build(t, dir)

	kept, err := filepath.Glob(filepath.Join(cache, "build", "*.wasm"))
	if err != nil || len(kept) != 1 {
		t.Fatalf("the cache holds %q, %v", kept, err)
	}
	marked := appendSection(bytes.Clone(first.Bytes()), "mark", nil)
	writeFile(t, kept[0], string(marked))
	if got := build(t, dir); !bytes.Equal(got.Bytes(), marked) {
		t.Error("an unchanged folder was built again")
	}
	if got := build(t, copyDir(t, dir)); !bytes.Equal(got.Bytes(), marked) {
		t.Error("a copy of the folder was built again")
	}

	writeFile(t, kept[0], string(marked[:len(marked)/2]))
	// It is built anew, in another folder: so a memo knows the tasks again.
	if got := build(t, copyDir(t, dir)); got.Digest() != first.Digest() {
		t.Error("a damaged result was used, or the build is not reproducible")
	}

	for file, content := range map[string]string{
		"main.go":  strings.ReplaceAll(program, "answer", "reply"),
		"more.go":  "package main\n\n//go:wasmexport more\nfunc more(i int32) int32 { return i }\n",
		"data.txt": "", // embedded, see below
	} {
		before := build(t, dir)
		if file == "data.txt" {
			writeFile(t, filepath.Join(dir, file), "one")
			writeFile(t, filepath.Join(dir, "embed.go"), "package main\n\nimport _ \"embed\"\n\n//go:embed data.txt\nvar data string\n\n//go:wasmexport size\nfunc size() int32 { return int32(len(data)) }\n")
			before, content = build(t, dir), "three"
		}
		writeFile(t, filepath.Join(dir, file), content)
		if after := build(t, dir); after.Digest() == before.Digest() {
			t.Errorf("a changed %s does not change the module", file)
		}
	}
}

func copyDir(t *testing.T, dir string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), filepath.Base(dir))
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return to
}

func TestBuildErrors(t *testing.T) {
	t.Parallel()
	empty := t.TempDir()
	file := filepath.Join(empty, "a.wasm")
	writeFile(t, file, "")
	noModule := filepath.Join(t.TempDir(), "alone")
	writeFile(t, filepath.Join(noModule, "main.go"), program)
	tests := []struct{ name, dir, want string }{
		{"missing", filepath.Join(empty, "none"), "no such file or directory"},
		{"a file", file, "it is no folder and no source file: a .wasm file is loaded, not built"},
		{"no sources", folder(t, "a.txt", ""), "the folder holds no sources in Go, C, Rust, Zig or AssemblyScript"},
		{"a module", empty, "name the file that you mean, such as " + file},
		{"a library", goModule(t, "lib", "package lib\n"), "this is package lib"},
		{"compile error", goModule(t, "wrong", strings.Replace(program, "42", "x", 1)), "./main.go:4:30: undefined: x"},
		{"syntax error", goModule(t, "broken", "package main\n\nfunc {\n"), "main.go:3:6:"},
		{"missing import", goModule(t, "imports", "package main\n\nimport _ \"example.com/imports/none\"\n"), "main.go:3:8: no required module provides package example.com/imports/none; to add it: go get example.com/imports/none"},
		{"not for wasm", goModule(t, "tagged", "//go:build linux\n\npackage main\n"), "build constraints exclude all Go files"},
		{"outside a module", noModule, "go.mod file not found in current directory or any parent directory: make the folder a module with go mod init NAME"},
		{"a space in the directive", goModule(t, "slip", strings.Replace(program, "//go:wasmexport", "// go:wasmexport", 1)), "write //go:wasmexport, without the space"},
		{"syntax errors beside tasks", goModule(t, "slips", program+"\nfunc f() { x := }\n\nfunc g( {}\n"), "; "},
		{"bad export", goModule(t, "export", strings.Replace(program, "int32 { return 42 }", `string { return "" }`, 1)), "main.go:4:6: go:wasmexport: unsupported result type string"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := Build(t.Context(), tt.dir)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("error %v, want %q", err, tt.want)
			}
			if prefix := "wasmtasks: building " + tt.dir + ": "; !strings.HasPrefix(err.Error(), prefix) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %q", err)
			}
		})
	}
	if _, err := Build(t.Context(), tests[0].dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}

func TestBuildError(t *testing.T) {
	t.Parallel()
	dir := goModule(t, "wrong", "package main\n\nfunc main() { a(); b() }\n")
	_, err := Build(t.Context(), dir)
	var failed *BuildError
	if !errors.As(err, &failed) {
		t.Fatalf("error %v", err)
	}
	if failed.Dir != dir || !strings.Contains(failed.Output, "undefined: a\n") || !strings.Contains(failed.Output, "undefined: b\n") {
		t.Errorf("%+v", failed)
	}
	if want := ": ./main.go:3:15: undefined: a; ./main.go:3:20: undefined: b"; !strings.HasSuffix(err.Error(), want) {
		t.Errorf("error %v, want all of it: %s", err, want)
	}
	for _, tt := range []struct{ output, want string }{
		{"# p\na.go:1:2: one:\n\tmore\n\thave (int)\na.go:2:2: two\n", "a.go:1:2: one: more have (int); a.go:2:2: two"},
		{strings.Repeat("x\n", 11), strings.Repeat("x; ", 10) + "and 1 more error"},
		{strings.Repeat("x\n", 30), strings.Repeat("x; ", 10) + "and 20 more errors"},
	} {
		if got := (&BuildError{Dir: "d", Output: tt.output}).Error(); got != "wasmtasks: building d: "+tt.want {
			t.Errorf("error %s, want %s", got, tt.want)
		}
	}
	if got := (&BuildError{Dir: "d", Output: "# x\n"}).Error(); got != "wasmtasks: building d: the go command failed without a message" {
		t.Errorf("error %s", got)
	}
}

func TestBuildWithoutGo(t *testing.T) {
	t.Setenv("PATH", "")
	_, err := Build(t.Context(), "testdata/greet")
	if !errors.Is(err, exec.ErrNotFound) || !strings.Contains(err.Error(), "install Go") {
		t.Errorf("error %v", err)
	}
}

// Flags of the go command that are meant for other programs do not stop a build.
func TestBuildForeignFlags(t *testing.T) {
	want := map[string]*Module{}
	folders := map[string]string{"tasks": goModule(t, "answers", program), "a command": goModule(t, "command", "package main\n\nfunc main() {}\n")}
	for name, dir := range folders {
		want[name] = build(t, dir)
	}
	for _, flags := range []string{"-buildmode=pie", "-race", "-linkshared", "-msan"} {
		t.Setenv("GOFLAGS", flags)
		for name, dir := range folders {
			if got := build(t, dir); got.Digest() != want[name].Digest() {
				t.Errorf("GOFLAGS=%s makes another module of %s", flags, name)
			}
		}
	}
}

// Without a place for a cache a module is built all the same.
func TestBuildWithoutCache(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	writeFile(t, file, "")
	t.Setenv("WASMPOOL_CACHE", file)
	if got := build(t, goModule(t, "answers", program)).Tasks(); len(got) != 1 {
		t.Errorf("tasks %v", got)
	}
}

func TestBuildCancelled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Build(ctx, "testdata/greet"); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// A builder that waits for another gives up with its context.
func TestBuildWaits(t *testing.T) {
	t.Parallel()
	c := buildCache{t.TempDir()}
	unlock, err := c.lock(t.Context(), "key")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("stop")
	done := make(chan error)
	go func() {
		_, err := c.get(ctx, "key", func() ([]byte, bool, error) { return nil, false, errors.New("built while locked") })
		done <- err
	}()
	cancel(stop)
	if err := <-done; !errors.Is(err, stop) {
		t.Errorf("error %v", err)
	}
	unlock()
	if _, err := c.get(t.Context(), "key", func() ([]byte, bool, error) { return nil, false, stop }); !errors.Is(err, stop) {
		t.Errorf("after the unlock: %v", err)
	}
}

// Builders in one process and in several get the same module.
func TestBuildConcurrently(t *testing.T) {
	t.Parallel()
	dir := goModule(t, "shared", program)
	digests := make([]string, 6)
	var group sync.WaitGroup
	for i := range digests {
		group.Go(func() {
			if i%2 == 0 {
				m, err := Build(t.Context(), dir)
				if err != nil {
					t.Error(err)
					return
				}
				digests[i] = m.Digest().String()
				return
			}
			cmd := exec.CommandContext(t.Context(), os.Args[0])
			cmd.Env = append(os.Environ(), childEnv+"="+dir)
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Errorf("child: %v\n%s", err, out)
			}
			digests[i] = string(out)
		})
	}
	group.Wait()
	for i, d := range digests {
		if d != digests[0] || len(d) != 64 {
			t.Errorf("builder %d made %q, builder 0 %q", i, d, digests[0])
		}
	}
}
