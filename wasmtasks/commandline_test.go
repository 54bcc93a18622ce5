package wasmtasks_test

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"github.com/wasmpool/wasmpool/internal/guesttest"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// A command brings its command line along, in place of the one before.
func TestCommandLine(t *testing.T) {
	t.Parallel()
	m := guesttest.Module(t, "tool", `(module (memory (export "memory") 1) (func (export "_start")))`)
	if got, found := m.CommandLine(); found {
		t.Errorf("it has %v from the start", got)
	}
	first := wasmtasks.CommandLine{Args: []string{"-c", "print(1)\n\x00\"é"}, Keep: "frame"}
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
	if _, err := wasmtasks.Python(m, "job.py", []byte("\xff"), "f"); err == nil || !strings.Contains(err.Error(), "job.py is no Python script: it is not UTF-8") {
		t.Errorf("of a script that is none: %v", err)
	}
	if _, err := wasmtasks.Python(m, "job.py", []byte("x = 1\x00"), "f"); err == nil || !strings.Contains(err.Error(), "job.py is no Python script: it has a zero byte") {
		t.Errorf("of a script with a zero byte: %v", err)
	}
	if _, err := wasmtasks.Python(m, "job.py", nil, ""); err == nil || !strings.Contains(err.Error(), "cannot be the name of a task") {
		t.Errorf("of a function without a name: %v", err)
	}
}
