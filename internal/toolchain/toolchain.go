package toolchain

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/wasmpool/wasmpool/internal/wasmbin"
)

// A Source is what a module is compiled from: one file, or a folder.
type Source struct {
	Name     string // the folder's, or the file's without its extension
	Language *Language
	Dir      string   // absolute; compilers run in it
	Files    []string // within Dir: what the compiler is given; none for a Cargo package
}

// Extensions returns the names' ends of the files that alone are sources.
func Extensions() []string {
	list := make([]string, len(languages))
	for i, l := range languages {
		list[i] = l.ext
	}
	return list
}

// Find returns the source that a path names. It reports false when there is none in a language of this
// package. A folder with a Cargo.toml is a Cargo package. In another one all C files are one module, but for those whose
// names end in _test.c; in Rust, Zig and AssemblyScript the file that includes the others is named tasks, or is the only one.
func Find(path string) (Source, bool, error) {
	full, err := filepath.Abs(path)
	if err != nil {
		return Source{}, false, err
	}
	info, err := os.Stat(full)
	if err != nil {
		return Source{}, false, err
	}
	if info.IsDir() {
		return findIn(full)
	}
	for _, l := range languages {
		if filepath.Ext(full) == l.ext {
			base := filepath.Base(full)
			return Source{strings.TrimSuffix(base, l.ext), l, filepath.Dir(full), []string{asFile(base)}}, true, nil
		}
	}
	return Source{}, false, nil
}

func findIn(dir string) (Source, bool, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return Source{}, false, err
	}
	files := make(map[string][]string) // by extension
	for _, e := range entries {
		name := e.Name()
		if name == cargoFile {
			return Source{filepath.Base(dir), Rust, dir, nil}, true, nil
		}
		if ext := filepath.Ext(name); !e.IsDir() && name[0] != '.' && !strings.HasSuffix(name, "_test"+ext) && !strings.HasSuffix(name, ".d.ts") {
			files[ext] = append(files[ext], asFile(name))
		}
	}
	for _, l := range languages {
		if list := files[l.ext]; len(list) > 0 {
			list, err := l.roots(list)
			return Source{filepath.Base(dir), l, dir, list}, err == nil, err
		}
	}
	return Source{}, false, nil
}

// asFile keeps compilers from taking a name for an option.
func asFile(name string) string {
	if name[0] == '-' {
		return "./" + name
	}
	return name
}

// roots picks the files that the compiler is given.
func (l *Language) roots(files []string) ([]string, error) {
	if l == C || len(files) == 1 {
		return files, nil
	}
	main := "tasks" + l.ext
	for _, name := range files {
		if name == main {
			return []string{main}, nil
		}
	}
	return nil, fmt.Errorf("the folder has %d %s files, and none is %s: name the one that has the tasks", len(files), l.ext, main)
}

// Compile runs the compiler and returns the module: one with tasks where the source exports functions, otherwise a
// WASI command. It blocks until the compiler ends, or ends it with ctx. Its error is a [*MissingError] or a [*Failure], the context's, or one of files.
func (s Source) Compile(ctx context.Context) ([]byte, error) {
	tmp, err := os.MkdirTemp("", "wasmpool-build-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	out := filepath.Join(tmp, "module.wasm")
	if err := s.Language.compile(ctx, s, out); err != nil {
		return nil, err
	}
	return readModule(out)
}

func readModule(file string) ([]byte, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if err := wasmbin.CheckSize(info.Size()); err != nil {
		return nil, err
	}
	return os.ReadFile(file)
}

// exportsFunctions reports whether a module exports a function that can be a task.
func exportsFunctions(file string) (bool, error) {
	wasm, err := readModule(file)
	if err != nil {
		return false, err
	}
	m, err := wasmbin.Parse(wasm)
	if err != nil {
		return false, err
	}
	for _, e := range m.Exports {
		if e.Kind == wasmbin.KindFunc && !strings.HasPrefix(e.Name, "_") {
			return true, nil
		}
	}
	return false, nil
}

// noMain matches what linkers and compilers say of a program without a main function.
var noMain = regexp.MustCompile(`undefined symbol: (?:main|__main_void)\b|E0601|has no member named 'main'`)

// tasksOrCommand compiles a module of tasks, or where the source exports none, a command. Mark says how to export a function.
func (s Source) tasksOrCommand(out, mark string, tasks, command func() error) error {
	if err := tasks(); err != nil {
		return err
	}
	if has, err := exportsFunctions(out); err != nil || has {
		return err
	}
	err := command()
	if failed := (*Failure)(nil); errors.As(err, &failed) && noMain.MatchString(failed.Output) {
		failed.Messages = []string{fmt.Sprintf("no function is exported, and there is no main: mark tasks with %s", mark)}
	}
	return err
}
