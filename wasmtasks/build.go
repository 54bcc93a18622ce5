package wasmtasks

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"go/scanner"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/wasmpool/wasmpool/internal/abi"
	"github.com/wasmpool/wasmpool/internal/toolchain"
	"github.com/wasmpool/wasmpool/internal/wasmbin"
)

// Open makes a module of what the command line calls MODULE: a folder or a source file is
// built, as by [Build]; another file is loaded, as by [LoadFile].
func Open(ctx context.Context, path string) (*Module, error) {
	info, err := os.Stat(path)
	if err == nil && info.IsDir() || slices.Contains(sourceExtensions, filepath.Ext(path)) {
		return Build(ctx, path)
	}
	return LoadFile(path)
}

// sourceExtensions are those of files that alone make a module.
var sourceExtensions = toolchain.Extensions()

// Build compiles a folder to a module, which is named after the folder, or one source file in C, Rust, Zig or AssemblyScript (.c, .rs, .zig, .ts), of
// which the module has the name.
//
// A folder with Go files is a Go package. It must be a main package. With //go:wasmexport
// functions, in it or in a package it imports, it becomes a module of tasks;
// without, a WASI command. In other languages, too, a source that exports functions becomes a module of tasks, and
// one that does not a command.
//
// Build runs the go command that is on the PATH, with the environment of this
// process but for GOOS=wasip1, GOARCH=wasm and CGO_ENABLED=0, and without what
// GOFLAGS says of -buildmode, -race, -msan, -asan and -linkshared. What the
// compiler has to say comes back as a [*BuildError].
//
// The result is kept in wasmpool/build in the user's cache folder, or in build
// in the folder that WASMPOOL_CACHE names, under a key made of all source
// files. A folder that others can write to is not used. So building an unchanged package takes only the time of a go list,
// less than 0.1 s for a small one. When several processes build the same
// package at once, one does and the others wait for it.
//
// Build also reads the sources: the module's [Task.Doc] is the first sentence
// of a task's comment, and [Task.In] and [Task.Out] are the types of the
// function given to sdk.JSON, sdk.StrictJSON or sdk.Bytes.
//
// For other languages it runs clang, rustc or cargo, zig, or asc each time: only they know all that they read. A compiler that is missing is an
// error that says how to get it. docs/languages.md has which files of a folder are compiled, and by which compiler.
func Build(ctx context.Context, path string) (*Module, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, buildFailed(path, err)
	}
	if info.IsDir() {
		files, err := fs.Glob(os.DirFS(path), "*.go")
		if err != nil {
			return nil, buildFailed(path, err)
		}
		if len(files) > 0 {
			return buildGo(ctx, path)
		}
	}
	return buildOther(ctx, path, info.IsDir())
}

func buildGo(ctx context.Context, dir string) (*Module, error) {
	full, err := filepath.Abs(dir)
	if err != nil {
		return nil, buildFailed(dir, err)
	}
	src, err := listSources(ctx, full)
	if err != nil {
		return nil, buildFailed(dir, err)
	}
	wasm, err := openBuildCache().get(ctx, src.key, func() ([]byte, bool, error) { return src.build(ctx) })
	if err != nil {
		return nil, buildFailed(dir, err)
	}
	return Load(filepath.Base(full), wasm)
}

// buildOther builds a folder or a file in another language.
func buildOther(ctx context.Context, path string, isDir bool) (*Module, error) {
	src, found, err := toolchain.Find(path)
	if err != nil {
		return nil, buildFailed(path, err)
	}
	if !found {
		return nil, buildFailed(path, noSources(path, isDir))
	}
	wasm, err := src.Compile(ctx)
	if failed := (*toolchain.Failure)(nil); errors.As(err, &failed) {
		return nil, &BuildError{Dir: path, Output: failed.Output, messages: failed.Messages}
	}
	if err != nil {
		return nil, buildFailed(path, err)
	}
	return Load(src.Name, wasm)
}

// noSources says why nothing is built.
func noSources(path string, isDir bool) error {
	if !isDir {
		return errors.New("it is no folder and no source file: a .wasm file is loaded, not built")
	}
	for _, pattern := range []string{"*.py", "*.js", "*.lua", "*.wasm"} {
		if files, err := fs.Glob(os.DirFS(path), pattern); err == nil && len(files) > 0 {
			return fmt.Errorf("the folder holds no sources that are compiled: name the file that you mean, such as %s", filepath.Join(path, files[0]))
		}
	}
	return errors.New("the folder holds no sources in Go, C, Rust, Zig or AssemblyScript")
}

// A BuildError says that the go command, or another compiler, failed.
type BuildError struct {
	Dir    string // as given to Build: a folder, or a file
	Output string // all that it said

	messages []string // of another compiler than Go's
}

// Error is one line: the folder and the first messages of the compiler.
func (e *BuildError) Error() string {
	if e.messages != nil {
		return fmt.Sprintf("wasmtasks: building %s: %s", e.Dir, joinMessages(e.messages))
	}
	text := joinMessages(messages(e.Output))
	if strings.Contains(text, "go.mod file not found") {
		text = strings.TrimSuffix(text, "; see 'go help modules'") + ": make the folder a module with go mod init NAME, or begin with wasmpool init"
	}
	return fmt.Sprintf("wasmtasks: building %s: %s", e.Dir, text)
}

// messages returns what the go command says is wrong. A line that ends in a colon
// belongs to the next one, one that is indented to the one before.
func messages(output string) []string {
	var list []string
	open := false
	for line := range strings.Lines(output) {
		text := strings.TrimSpace(line)
		switch {
		case text == "", strings.HasPrefix(text, "# "), strings.HasPrefix(text, "go: downloading "):
			continue
		case len(list) > 0 && (open || line[0] == '\t'):
			list[len(list)-1] += " " + text
		default:
			list = append(list, text)
		}
		open = strings.HasSuffix(text, ":")
	}
	return list
}

// joinMessages makes one line of messages, the first of them when there are many.
func joinMessages(list []string) string {
	const most = 10
	switch n := len(list) - most; {
	case len(list) == 0:
		return "the go command failed without a message"
	case n == 1:
		list = append(list[:most:most], "and 1 more error")
	case n > 1:
		list = append(list[:most:most], fmt.Sprintf("and %d more errors", n))
	}
	return strings.Join(list, "; ")
}

// A syntaxError is a file that does not parse, told in one line.
type syntaxError struct{ scanner.ErrorList }

func (e syntaxError) Error() string {
	list := make([]string, len(e.ErrorList))
	for i, one := range e.ErrorList {
		list[i] = one.Error()
	}
	return joinMessages(list)
}

// buildFailed names the folder in an error.
func buildFailed(dir string, err error) error {
	var failed *BuildError
	if errors.As(err, &failed) {
		failed.Dir = dir
		return failed
	}
	return fmt.Errorf("wasmtasks: building %s: %w", dir, err)
}

// build runs the compiler and adds the docs. It reports whether the sources
// are still those of the key.
func (s *sources) build(ctx context.Context) (wasm []byte, fresh bool, err error) {
	if err := checkExports(s.own()); err != nil {
		return nil, false, err
	}
	docs, err := readDocs(s.packages)
	if err != nil {
		return nil, false, err
	}
	mode := "c-shared"
	if len(docs) == 0 {
		mode, docs = "default", programDoc(s.own())
	}
	wasm, err = compile(ctx, s.dir, mode)
	if err != nil {
		return nil, false, err
	}
	wasm, err = appendDocs(wasm, docs)
	if err != nil {
		return nil, false, err
	}
	again, err := s.hash()
	return wasm, err == nil && again == s.key, nil
}

// portable undoes settings of GOFLAGS that wasm cannot have: they are meant for other programs.
var portable = []string{"-race=false", "-msan=false", "-asan=false", "-linkshared=false"}

// compile runs go build and returns the binary. -buildvcs=false keeps the
// state of the repository out of it, which is not in the key.
func compile(ctx context.Context, dir, mode string) ([]byte, error) {
	tmp, err := os.MkdirTemp("", "wasmpool-build-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	out := filepath.Join(tmp, "module.wasm")
	args := slices.Concat([]string{"build", "-trimpath", "-buildvcs=false", "-ldflags=-w", "-buildmode=" + mode, "-o", out}, portable, []string{"."})
	if _, err := runGo(ctx, dir, args...); err != nil {
		return nil, err
	}
	f, err := os.Open(out)
	if err != nil {
		return nil, err
	}
	return readModule(f)
}

// runGo runs the go command for wasip1 and returns what it prints.
func runGo(ctx context.Context, dir string, args ...string) ([]byte, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(cmd.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // so that go stops its compilers
	cmd.WaitDelay = 5 * time.Second
	err := cmd.Run()
	var failed *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case errors.Is(err, exec.ErrNotFound):
		return nil, fmt.Errorf("no go command on the PATH: install Go, or build on another machine and use the .wasm file: %w", err)
	case errors.As(err, &failed):
		return nil, &BuildError{Output: stderr.String() + stdout.String()}
	}
	return stdout.Bytes(), err
}

// appendDocs adds the custom section that describes the tasks. Go's linker
// cannot, but a section may stand at the end of the file.
func appendDocs(wasm []byte, docs []abi.TaskDoc) ([]byte, error) {
	if len(docs) == 0 {
		return wasm, nil
	}
	data, err := json.Marshal(docs)
	if err != nil {
		return nil, err
	}
	return appendSection(wasm, abi.SectionTasks, data), nil
}

// appendSection adds a custom section to a binary. Its lengths are LEB128,
// which is what encoding/binary calls a uvarint.
func appendSection(wasm []byte, name string, data []byte) []byte {
	content := binary.AppendUvarint(nil, uint64(len(name)))
	content = append(append(content, name...), data...)
	wasm = append(wasm, byte(wasmbin.SectionCustom))
	wasm = binary.AppendUvarint(wasm, uint64(len(content)))
	return append(wasm, content...)
}
