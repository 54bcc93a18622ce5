package examples_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

// A module that requires wasmpool builds and runs a program with a task of its
// own, as after go get. It lies outside the checkout and finds it by a replace.
func TestUseFromAnotherModule(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/user")); err != nil {
		t.Fatal(err)
	}
	requireCheckout(t, dir)

	program := filepath.Join(dir, "user")
	command(t, dir, "go", "build", "-o", program, ".")
	if got, want := command(t, dir, program), "hypot: 5\n"; got != want {
		t.Errorf("the program printed %q, want %q", got, want)
	}
}

// requireCheckout gives a folder a go.mod with this checkout as a requirement.
// The versions of everything else, and their sums, are those of the checkout,
// so that the module cache holds them already.
func requireCheckout(t *testing.T, dir string) {
	t.Helper()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"go.mod", "go.sum"} {
		data, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		data = regexp.MustCompile(`(?m)^module .*`).ReplaceAll(data, []byte("module example.com/user"))
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const path = "github.com/wasmpool/wasmpool"
	command(t, dir, "go", "mod", "edit", "-require", path+"@v0.0.0", "-replace", path+"="+root)
}

// command runs a program in a folder and returns what it prints.
func command(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	cmd.Env = append(cmd.Environ(), "GOWORK=off")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return string(out)
}
