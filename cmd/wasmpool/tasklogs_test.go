package main

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestTaskLogs checks which lines of a log are kept, and where: those that tasks print and log, whatever else
// the log has.
func TestTaskLogs(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "logs")
	var shown, said bytes.Buffer
	var inputs callInputs
	inputs.put(0, 7)
	logs := newTaskLogs(dir, &inputs, &said)
	log := slog.New(taskLogHandler{slog.NewTextHandler(&shown, nil), logs, false})
	if err := logs.open(); err != nil {
		t.Fatal(err)
	}
	log.Info("from a task", "rank", 1, "call", uint64(1))
	log.With("host", "n").Debug("and\nanother one", "rank", 1, "tags", "x", "call", uint64(1))
	log.Info("a call failed and runs again", "rank", 1, "call", uint64(1), "attempt", 1)
	log.Debug("nobody sees it")
	if err := logs.close(); err != nil {
		t.Error(err)
	}
	log.Info("too late", "rank", 1, "call", uint64(1))
	if text, err := os.ReadFile(filepath.Join(dir, "7.log")); err != nil || string(text) != "from a task\nand\nanother one\n" {
		t.Errorf("the file has %q, %v", text, err)
	}
	if text := shown.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, "runs again") || said.Len() > 0 {
		t.Errorf("shown is %q, said is %q", text, &said)
	}
}

// TestTaskLogsBounds checks that a folder of logs is bounded, and that it says what it leaves out.
func TestTaskLogsBounds(t *testing.T) {
	t.Parallel()
	var said bytes.Buffer
	logs := newTaskLogs(t.TempDir(), new(callInputs), &said)
	logs.bytes = mostLogBytes - 3
	for range 2 {
		logs.write(taskLine{1, "x"})
	}
	logs.bytes, logs.seen = 0, make(map[string]bool, mostLogFiles)
	for i := range mostLogFiles {
		logs.seen[strconv.Itoa(i)] = true
	}
	logs.write(taskLine{2, "x"})
	if err := logs.open(); err != nil {
		t.Fatal(err)
	}
	if err := logs.close(); err != nil {
		t.Error(err)
	}
	if text := said.String(); strings.Count(text, "\n") != 2 || !strings.Contains(text, "lines left out: 2") {
		t.Errorf("it says %q", text)
	}
	if names, err := os.ReadDir(logs.dir); err != nil || len(names) != 1 || names[0].Name() != "call-1.log" {
		t.Errorf("the folder has %v, %v", names, err)
	}
}
