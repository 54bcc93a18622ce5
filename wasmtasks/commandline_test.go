package wasmtasks_test

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"github.com/wasmpool/wasmpool/internal/guesttest"
	"github.com/wasmpool/wasmpool/internal/unittest"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// A command brings its command line along, in place of the one before.
func TestCommandLine(t *testing.T) {
	t.Parallel()
	m := guesttest.Module(t, "tool", `(module (memory (export "memory") 1) (func (export "_start")))`)
	if got, found := m.CommandLine(); found {
		t.Errorf("it has %v from the start", got)
	}
	first := wasmtasks.CommandLine{Args: []string{"-c", "print(1)\n\x00\"é"}, Keep: "frame", Program: "python"}
	second := wasmtasks.CommandLine{Args: []string{"-n"}}
	with := m
	for _, want := range []wasmtasks.CommandLine{first, second, first} {
		var err error
		if with, err = with.WithCommandLine(want); err != nil {
			t.Fatal(err)
		}
		if got, found := with.CommandLine(); !found || !reflect.DeepEqual(got, want) {
			t.Errorf("it has %v, %t, want %v", got, found, want)
		}
	}
	once, err := m.WithCommandLine(first)
	if err != nil || !bytes.Equal(once.Bytes(), with.Bytes()) || once.Digest() == m.Digest() || once.Name() != "tool" {
		t.Errorf("the same command line makes another module: %v, %v", with, err)
	}
	tasks := guesttest.Module(t, "tasks", `(module (func (export "f") (result i32) (i32.const 0)))`)
	if _, err := tasks.WithCommandLine(first); err == nil || !strings.Contains(err.Error(), "module tasks is no command") {
		t.Errorf("of a module of tasks: %v", err)
	}
}

// What cannot be read of a command line is not passed over: the program would be started otherwise than was meant.
func TestCommandLineBad(t *testing.T) {
	t.Parallel()
	const command = `(module (memory (export "memory") 1) (func (export "_start")))`
	for _, text := range []string{"", "{", `{"args":"x"}`, `{"args":["x"],"later":1}`, `{} {}`, "{}}", `{"program":"\u001b[2J"}`} {
		wasm := unittest.Assemble(t, command)
		content := append([]byte{byte(len("wasmpool.command"))}, "wasmpool.command"+text...)
		wasm = append(append(wasm, 0, byte(len(content))), content...)
		if _, err := wasmtasks.Load("tool", wasm); err == nil || !strings.Contains(err.Error(), "module tool: the command line that it brings along, in its section wasmpool.command, cannot be read") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// What cannot be a script, or a function of one, is refused where the module is made.
func TestScriptBad(t *testing.T) {
	t.Parallel()
	m := guesttest.Module(t, "tool", `(module (memory (export "memory") 1) (func (export "_start")))`)
	for _, c := range []struct{ file, script, function, want string }{
		{"job.py", "\xff", "f", "job.py is no Python script: it is not UTF-8"},
		{"job.js", "x = 1\x00", "f", "job.js is no JavaScript script: it has a zero byte"},
		{"job.lua", "", "", "cannot be the name of a task"},
		{"job.lua", "", "f(os", "cannot be the name of a function"},
		{"job.rb", "", "f", "job.rb is no script: want a name that ends with .py, .js or .lua"},
	} {
		if _, err := wasmtasks.Script(m, c.file, []byte(c.script), c.function); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s, %q: %v, want %q", c.file, c.function, err, c.want)
		}
	}
}
