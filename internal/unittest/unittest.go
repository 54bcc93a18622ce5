// Package unittest has what the tests of several packages share. It imports no package of
// this project, so that the tests of every package can use it; see package guesttest for
// task modules.
package unittest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// Main runs the tests of a package and returns the code to exit with. While they run, cacheDir
// is a folder of their own. Goroutines that the tests leave behind make it fail.
func Main(m *testing.M, cacheDir *string) int {
	dir, err := os.MkdirTemp("", "wasmpool-test")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	*cacheDir = dir
	code := m.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	return code
}

// Assemble returns the module that is written as text, by wat2wasm of the package wabt.
// A test that needs that fails without it, it never skips.
func Assemble(t testing.TB, wat string, flags ...string) []byte {
	t.Helper()
	wasm, err := os.ReadFile(AssembleFile(t, "module", wat, flags...))
	if err != nil {
		t.Fatal(err)
	}
	return wasm
}

// AssembleFile is Assemble for tests that need a file: it returns the path of name.wasm, which
// is removed when the test ends.
func AssembleFile(t testing.TB, name, wat string, flags ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name+".wasm")
	cmd := exec.CommandContext(t.Context(), "wat2wasm", append(flags, "--enable-all", "-", "-o", file)...)
	cmd.Stdin = strings.NewReader(wat)
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("wat2wasm (make deps installs it): %v\n%s", err, text)
	}
	return file
}

// Until waits until a condition holds, and says what it waited for when it does not within
// a minute.
func Until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited for a minute: %s", what)
		}
	}
}

// Callers returns the pattern, as go test -run takes one, of the tests in the working folder that
// call one of these functions of theirs, themselves or through others.
func Callers(t testing.TB, functions ...string) string {
	t.Helper()
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	words := map[string][]string{} // of each function
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok {
				words[f.Name.Name] = append(words[f.Name.Name], wordsOf(f)...)
			}
		}
	}
	calls := map[string]bool{}
	for _, name := range functions {
		calls[name] = true
	}
	for grown := true; grown; {
		grown = false
		for name, list := range words {
			for _, word := range list {
				if !calls[name] && calls[word] {
					calls[name], grown = true, true
				}
			}
		}
	}
	var tests []string
	for name := range words {
		if calls[name] && strings.HasPrefix(name, "Test") && name != "TestMain" {
			tests = append(tests, name)
		}
	}
	if len(tests) == 0 {
		t.Fatalf("no test calls %q", functions)
	}
	return "^(" + strings.Join(tests, "|") + ")$"
}

// wordsOf returns the identifiers in a function.
func wordsOf(f *ast.FuncDecl) (words []string) {
	ast.Inspect(f, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok {
			words = append(words, id.Name)
		}
		return true
	})
	return words
}
