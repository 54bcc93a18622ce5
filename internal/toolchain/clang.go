package toolchain

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// wasiSDKVar names the folder of a wasi-sdk.
const wasiSDKVar = "WASI_SDK_PATH"

// flagsFile may lie beside C files, and has flags for the compiler, one a line, as clang's own tools read it.
const flagsFile = "compile_flags.txt"

// cFlags give speed, an error for a function that is misspelt, as newer clangs do by themselves, and a stack that a library's functions can
// work with, whose overflow is a trap: it lies first.
var cFlags = []string{"-O2", "-Werror=implicit-function-declaration", "-Wl,--stack-first", "-Wl,-z,stack-size=1048576"}

// compileC compiles C by the clang of a wasi-sdk, or the one on the PATH with the system's C library for wasm. Without one
// it compiles what needs none.
func compileC(ctx context.Context, s Source, out string) error {
	clang, target, err := s.clang()
	if err != nil {
		return err
	}
	flags, err := s.ownFlags()
	if err != nil {
		return err
	}
	has, err := s.hasLibrary(ctx, clang, target)
	if err != nil {
		return err
	}
	if !has {
		target = "wasm32"
	}
	args := slices.Concat([]string{"--target=" + target}, cFlags, flags, s.Files, []string{"-o", out})
	compile := func(mode ...string) func() error {
		return func() error {
			_, err := s.run(ctx, clang, append(slices.Clone(args), mode...)...)
			return s.explain(err, has)
		}
	}
	const mark = `__attribute__((export_name("NAME")))`
	if has {
		return s.tasksOrCommand(out, mark, compile("-mexec-model=reactor"), compile("-mexec-model=command"))
	}
	return s.tasksOrCommand(out, mark, compile("-nostdlib", "-Wl,--no-entry"), func() error {
		return &MissingError{s.Language, "no function is exported as a task with " + mark + ", and for a program with main clang finds no C library for wasm"}
	})
}

// clang returns the compiler and the target of its C library.
func (s Source) clang() (path, target string, err error) {
	sdk := os.Getenv(wasiSDKVar)
	if sdk == "" {
		path, err = s.find("clang")
		return path, "wasm32-wasi", err
	}
	if sdk, err = filepath.Abs(sdk); err != nil {
		return "", "", err
	}
	if path, err = s.find(filepath.Join(sdk, "bin", "clang")); err != nil {
		return "", "", &MissingError{s.Language, fmt.Sprintf("%s is %s, which has no bin/clang", wasiSDKVar, sdk)}
	}
	const newer = "wasm32-wasip1"
	if _, err := os.Stat(filepath.Join(sdk, "share", "wasi-sysroot", "lib", newer)); err == nil {
		return path, newer, nil
	}
	return path, "wasm32-wasi", nil
}

// hasLibrary reports whether the compiler finds the C library's start of a module.
func (s Source) hasLibrary(ctx context.Context, clang, target string) (bool, error) {
	const start = "crt1-reactor.o"
	where, err := s.run(ctx, clang, "--target="+target, "--print-file-name="+start)
	where = strings.TrimSpace(where)
	return where != start && where != "", s.explain(err, true)
}

// ownFlags are those that lie beside the sources.
func (s Source) ownFlags() ([]string, error) {
	text, err := os.ReadFile(filepath.Join(s.Dir, flagsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var flags []string
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" {
			flags = append(flags, line)
		}
	}
	return flags, err
}

// clangLacks lists what clang says when a part of it is not there.
var clangLacks = []struct{ sign, what string }{
	{"unable to execute command", "clang finds no linker for wasm"},
	{"libclang_rt.builtins", "clang finds no runtime library for wasm"},
	{"No available targets are compatible", "this clang makes no code for wasm"},
	{"unable to create target", "this clang makes no code for wasm"},
}

// explain adds to what clang says which part of it is missing, if one is.
func (s Source) explain(err error, hasLibrary bool) error {
	var failed *Failure
	if !errors.As(err, &failed) {
		return err
	}
	lacks := clangLacks
	if !hasLibrary {
		lacks = append(slices.Clone(lacks), struct{ sign, what string }{".h' file not found", "clang finds no C library for wasm"})
	}
	for _, l := range lacks {
		if strings.Contains(failed.Output, l.sign) {
			failed.Messages = append(failed.Messages, (&MissingError{s.Language, l.what}).Error())
			break
		}
	}
	return failed
}
