package toolchain

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wasmpool/wasmpool/internal/wasmbin"
)

// write writes files into a new folder, which is named tasks.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "tasks")
	for name, text := range files {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// A folder is compiled from the files that its language wants.
func TestFind(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		files []string
		path  string // within the folder
		lang  *Language
		want  []string
		err   string
	}{
		{"all C files", []string{"a.c", "b.c", "b_test.c", "a.h", ".c.c"}, "", C, []string{"a.c", "b.c"}, ""},
		{"no options", []string{"-c.c", "b.c"}, "", C, []string{"./-c.c", "b.c"}, ""},
		{"one C file", []string{"a.c", "b.c"}, "b.c", C, []string{"b.c"}, ""},
		{"the only file", []string{"mean.zig", "README.md"}, "", Zig, []string{"mean.zig"}, ""},
		{"the file named tasks", []string{"mean.zig", "tasks.zig"}, "", Zig, []string{"tasks.zig"}, ""},
		{"none named tasks", []string{"mean.rs", "sum.rs"}, "", Rust, nil, "the folder has 2 .rs files, and none is tasks.rs: name the one that has the tasks"},
		{"no declarations", []string{"sum.ts", "sum.d.ts"}, "", AssemblyScript, []string{"sum.ts"}, ""},
		{"a Cargo package", []string{"Cargo.toml", "glue.c"}, "", Rust, nil, ""},
		{"nothing", []string{"README.md"}, "", nil, nil, ""},
		{"no source file", []string{"README.md"}, "README.md", nil, nil, ""},
		{"no file", nil, "none.c", nil, nil, "no such file"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			files := map[string]string{}
			for _, name := range tt.files {
				files[name] = ""
			}
			s, found, err := Find(filepath.Join(write(t, files), tt.path))
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("error %v, want %s", err, tt.err)
				}
				return
			}
			if err != nil || found != (tt.lang != nil) || s.Language != tt.lang {
				t.Fatalf("%+v, %v, %v", s, found, err)
			}
			if diff := cmp.Diff(tt.want, s.Files); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// compileIn compiles a folder.
func compileIn(t *testing.T, dir string) ([]byte, error) {
	t.Helper()
	s, found, err := Find(dir)
	if err != nil || !found {
		t.Fatalf("%v, %v", found, err)
	}
	return s.Compile(t.Context())
}

// exports compiles a folder, and returns what its module exports, but for memory.
func exports(t *testing.T, files map[string]string) string {
	t.Helper()
	wasm, err := compileIn(t, write(t, files))
	if err != nil {
		t.Fatal(err)
	}
	m, err := wasmbin.Parse(wasm)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range m.Exports {
		if e.Kind == wasmbin.KindFunc {
			names = append(names, e.Name)
		}
	}
	return strings.Join(names, " ")
}

const cTask = `__attribute__((export_name("twice"))) double twice(double x) { return 2 * x; }`

// C that exports functions is a module of tasks, another program a command. The usual headers are there.
func TestC(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		files map[string]string
		want  string
	}{
		"tasks":   {map[string]string{"a.c": "#include <math.h>\n#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n" + cTask, "b_test.c": "#error not this"}, "_initialize twice"},
		"command": {map[string]string{"a.c": "#include <stdio.h>\nint main(void) { return puts(\"hello\") < 0; }"}, "_start"},
		"flags":   {map[string]string{"a.c": "#ifdef WITH\n" + cTask + "\n#endif", "compile_flags.txt": "-DWITH\n\n-O3\n"}, "_initialize twice"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := exports(t, tt.files); got != tt.want {
				t.Errorf("exports %q, want %q", got, tt.want)
			}
		})
	}
}

// What clang says is told in a line for each error.
func TestCErrors(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ text, want string }{
		"compile error":   {"int f(void) { return x; }\nint g(void) { return y; }", "a.c:1:22: error: use of undeclared identifier 'x'; a.c:2:22: error: use of undeclared identifier 'y'"},
		"misspelt":        {"int f(void) { return undefined(1); }\nint g(void) { return 1; }", "a.c:1:22: error: implicit declaration of function 'undefined'"},
		"own header":      {`#include "own.h"`, "a.c:1:10: fatal error: 'own.h' file not found"},
		"neither":         {"int f(void) { return 1; }", `no function is exported, and there is no main: mark tasks with __attribute__((export_name("NAME")))`},
		"not defined":     {"int f(void);\n__attribute__((export_name(\"g\"))) int g(void) { return f(); }", "undefined symbol: f"},
		"main that fails": {"int f(void);\nint main(void) { return f(); }", "undefined symbol: f"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := compileIn(t, write(t, map[string]string{"a.c": tt.text}))
			var failed *Failure
			if !errors.As(err, &failed) || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want %s", err, tt.want)
			}
		})
	}
}

// tool writes a script in place of a compiler.
func tool(t *testing.T, dir, name, script string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script), 0o755); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
}

// A compiler that is missing, or a part of it, is an error that says how to get it.
func TestMissing(t *testing.T) {
	const rust = `case "$*" in --version) echo rustc 9.9;; *) echo /nowhere;; esac`
	const bare = `case "$*" in *print-file-name*) echo crt1-reactor.o;; *) echo "a.c:1:10: fatal error: 'math.h' file not found" >&2; exit 1;; esac`
	const noLinker = `case "$*" in *print-file-name*) echo /lib/crt1-reactor.o;; *) echo 'clang: error: unable to execute command: Executable "wasm-ld" does not exist!' >&2; exit 1;; esac`
	tests := []struct {
		name, file string
		tools      map[string]string
		want       string
	}{
		{"no clang", "a.c", nil, "clang is not on the PATH; to compile C: " + C.get},
		{"no C library", "a.c", map[string]string{"clang": bare}, "a.c:1:10: fatal error: 'math.h' file not found; clang finds no C library for wasm; to compile C: " + C.get},
		{"no linker", "a.c", map[string]string{"clang": noLinker}, "clang finds no linker for wasm; to compile C: " + C.get},
		{"no rustc", "a.rs", nil, "rustc is not on the PATH; to compile Rust: " + Rust.get},
		{"no target", "a.rs", map[string]string{"rustc": rust}, "(rustc 9.9) has no standard library for wasm; to compile Rust: " + Rust.get},
		{"no zig", "a.zig", nil, "zig is not on the PATH; to compile Zig: " + Zig.get},
		{"no asc", "a.ts", nil, "asc is not on the PATH; to compile AssemblyScript: " + AssemblyScript.get},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bin := t.TempDir()
			t.Setenv("PATH", bin)
			for name, script := range tt.tools {
				tool(t, bin, name, script)
			}
			_, err := compileIn(t, write(t, map[string]string{tt.file: ""}))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %s", err, tt.want)
			}
		})
	}
}

// Without a C library what needs none is compiled.
func TestCWithoutLibrary(t *testing.T) {
	sdk := t.TempDir()
	tool(t, filepath.Join(sdk, "bin"), "clang", `case "$*" in *print-file-name*) echo crt1-reactor.o;; *) exec clang "$@";; esac`)
	t.Setenv(wasiSDKVar, sdk)
	if got := exports(t, map[string]string{"a.c": cTask}); got != "twice" {
		t.Errorf("exports %q", got)
	}
	_, err := compileIn(t, write(t, map[string]string{"a.c": "int main(void) { return 0; }"}))
	if missing := (*MissingError)(nil); !errors.As(err, &missing) || !strings.Contains(err.Error(), "for a program with main clang finds no C library for wasm") {
		t.Errorf("error %v", err)
	}
}

// The clang of a wasi-sdk goes before the one on the PATH, with the sdk's name of the target.
func TestWASISDK(t *testing.T) {
	sdk := t.TempDir()
	t.Setenv(wasiSDKVar, sdk)
	dir := write(t, map[string]string{"a.c": cTask})
	if here, err := os.Getwd(); err == nil { // named from here it is found, too
		if relative, err := filepath.Rel(here, sdk); err == nil {
			t.Setenv(wasiSDKVar, relative)
		}
	}
	if _, err := compileIn(t, dir); err == nil || !strings.Contains(err.Error(), "WASI_SDK_PATH is "+sdk+", which has no bin/clang; to compile C") {
		t.Errorf("error %v", err)
	}
	for _, target := range []string{"wasm32-wasi", "wasm32-wasip1"} {
		if err := os.MkdirAll(filepath.Join(sdk, "share", "wasi-sysroot", "lib", target), 0o755); err != nil {
			t.Fatal(err)
		}
		tool(t, filepath.Join(sdk, "bin"), "clang", `case "$*" in *print-file-name*) echo /lib/crt1-reactor.o;; *) echo "error: $*" >&2; exit 1;; esac`)
		if _, err := compileIn(t, dir); err == nil || !strings.Contains(err.Error(), "--target="+target+" ") {
			t.Errorf("error %v", err)
		}
	}
}

// What compilers say, line by line.
func TestMessages(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ output, want string }{
		"clang":      {"a.c:1:2: warning: w\na.c:1:22: error: use of x\n  code\n  ^\nclang: error: linker command failed with exit code 1\n", "a.c:1:22: error: use of x"},
		"linker":     {"wasm-ld-14: error: /tmp/x.o: undefined symbol: f\nwasm-ld-14: error: /tmp/x.o: undefined symbol: f\nclang: error: linker command failed with exit code 1 (use -v)\n", "wasm-ld-14: error: /tmp/x.o: undefined symbol: f"},
		"rustc":      {"a.rs:1:16: error[E0425]: cannot find value `x`\nerror: aborting due to previous error\n", "a.rs:1:16: error[E0425]: cannot find value `x`"},
		"asc":        {"ERROR TS2304: Cannot find name 'x'.\n   :\n 1 │ x\n   │ ~\n   └─ in tasks.ts(1,44)\n\nFAILURE 1 compile error(s)\n", "ERROR TS2304: Cannot find name 'x'. (tasks.ts(1,44))"},
		"other":      {"something\n\n  is wrong\n", "something; is wrong"},
		"no message": {"\n", "exit status 7"},
	} {
		if got := strings.Join(messages(tt.output, errors.New("exit status 7")), "; "); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}
