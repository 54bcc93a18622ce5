package wasmtasks

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/wasmpool/wasmpool/internal/unittest"
)

// childEnv names the folder that a child process of the tests builds.
const childEnv = "WASMTASKS_TEST_BUILD"

// TestMain keeps the tests out of the user's cache.
func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		os.Exit(buildInChild(dir))
	}
	dir, err := os.MkdirTemp("", "wasmtasks-test-")
	if err != nil {
		panic(err)
	}
	os.Setenv("WASMPOOL_CACHE", dir)
	code := m.Run()
	if left, err := filepath.Glob(filepath.Join(dir, "build", "*.tmp")); err != nil || len(left) > 0 {
		fmt.Fprintf(os.Stderr, "left behind: %q, %v\n", left, err)
		code = 1
	}
	os.RemoveAll(dir)
	os.Exit(code)
}

func buildInChild(dir string) int {
	m, err := Build(context.Background(), dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Print(m.Digest())
	return 0
}

func writeFile(t testing.TB, file, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// load loads a module written in the text format.
func load(t testing.TB, name, wat string) *Module {
	t.Helper()
	m, err := Load(name, unittest.Assemble(t, wat))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// folder writes a file into a new folder, and returns that.
func folder(t testing.TB, name, content string) string {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, name), content)
	return dir
}

// goModule writes a Go module of one package and returns its folder.
func goModule(t testing.TB, name, main string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	writeFile(t, filepath.Join(dir, "go.mod"), "module example.com/"+name+"\n\ngo 1.24\n")
	writeFile(t, filepath.Join(dir, "main.go"), main)
	return dir
}
