package main

import (
	"bytes"
	"strconv"
	"strings"
	"testing"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// Alone, the root's own slots run the calls, and x to the rank 0 is 1.
func TestRunAlone(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := run(t.Context(), &out, "tasks"); err != nil {
		t.Fatal(err)
	}
	var squares strings.Builder
	for i := range 100 {
		squares.WriteString(" " + strconv.Itoa(i*i))
	}
	want := "Only the root executes this code.\n" +
		"power:" + strings.Repeat(" 1", 100) + "\n" +
		"square:" + squares.String() + "\n" +
		"All processes join again here.\n"
	if out.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", out.String(), want)
	}
}

func TestRunWithoutTasks(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	err := run(t.Context(), &out, "nowhere")
	if err == nil || !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("error %v, want one that names the folder", err)
	}
	if strings.Contains(out.String(), "join") {
		t.Errorf("printed %q", out.String())
	}
}

func TestTasksInWasm(t *testing.T) {
	t.Parallel()
	tasks, err := wasmtasks.Build(t.Context(), "tasks")
	if err != nil {
		t.Fatal(err)
	}
	ex, err := executor.Local(executor.Config{RootSlots: 2, Modules: []*wasmtasks.Module{tasks}})
	if err != nil {
		t.Fatal(err)
	}
	defer ex.Shutdown(t.Context())
	for _, tc := range []struct{ task, arg, want string }{
		{"square", "12", "144"},
		{"square", "-0.5", "0.25"},
		{"power", "7", "1"},
		{"spin", "0", "0"},
		{"spin", "2.5", "2.5"},
	} {
		got, err := ex.Call(t.Context(), tc.task, []byte(tc.arg))
		if string(got) != tc.want || err != nil {
			t.Errorf("%s(%s) = %s, %v; want %s", tc.task, tc.arg, got, err, tc.want)
		}
	}
}
