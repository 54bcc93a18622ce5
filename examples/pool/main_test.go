package main

import (
	"bytes"
	"strconv"
	"strings"
	"testing"
)

// tasks is the folder of the task package, which is that of the executor.
const tasks = "../executor/tasks"

// Alone, the root's own slots run the calls, and x to the rank 0 is 1.
func TestRunAlone(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := run(t.Context(), &out, tasks); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(out.String(), "\n")
	want := []string{
		"Only the root executes this code.",
		"power: [1" + strings.Repeat(" 1", 99) + "]",
		"Done already? ", // whatever it says
		"square: [" + strings.Join(squares(), " ") + "]",
		"All processes join again here.",
		"",
	}
	for i := range max(len(lines), len(want)) {
		if i >= len(lines) || i >= len(want) || !strings.HasPrefix(lines[i], want[i]) {
			t.Fatalf("line %d of:\n%s\nwant:\n%s", i, out.String(), strings.Join(want, "\n"))
		}
	}
}

func squares() []string {
	var texts []string
	for i := range 100 {
		texts = append(texts, strconv.Itoa(i*i))
	}
	return texts
}

func TestRunWithoutTasks(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	err := run(t.Context(), &out, "nowhere")
	if err == nil || !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("error %v, want one that names the folder", err)
	}
}
