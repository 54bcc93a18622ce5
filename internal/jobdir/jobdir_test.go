package jobdir_test

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/internal/jobdir"
)

func TestCurrent(t *testing.T) {
	t.Setenv(jobdir.DirVar, "")
	if dir, found := jobdir.Current(); found {
		t.Errorf("a process that was started by itself is in the job of %q", dir)
	}
	t.Setenv(jobdir.DirVar, "/some/folder")
	if dir, found := jobdir.Current(); !found || dir != "/some/folder" {
		t.Errorf("Current() = %q, %t", dir, found)
	}
}

// TestStart has launch read what the root writes.
func TestStart(t *testing.T) {
	t.Parallel()
	dir := jobdir.Dir(t.TempDir())
	if s, found := dir.ReadStart(); found {
		t.Errorf("before the start there is %+v", s)
	}
	for _, want := range []jobdir.Start{
		{PID: 4711, Rank: 3, Host: "node7.example.org", Patience: 10 * time.Second},
		{PID: 1, Host: "n"},
	} {
		if err := dir.WriteStart(want); err != nil {
			t.Fatal(err)
		}
		if got, found := dir.ReadStart(); !found || got != want {
			t.Errorf("launch reads %+v, %t, want %+v", got, found, want)
		}
	}
	isWhole(t, dir, "started")
}

// TestStop has the root read what launch writes.
func TestStop(t *testing.T) {
	t.Parallel()
	dir := jobdir.Dir(t.TempDir())
	if s, found := dir.ReadStop(); found {
		t.Errorf("before a signal there is %v", s)
	}
	if err := dir.WriteStop(15); err != nil {
		t.Fatal(err)
	}
	if s, found := dir.ReadStop(); !found || s != 15 {
		t.Errorf("the root reads signal %d, %t", int(s), found)
	}
	isWhole(t, dir, "stop")
}

// isWhole checks that a folder holds one file, and nothing half-written.
func isWhole(t *testing.T, dir jobdir.Dir, want string) {
	t.Helper()
	entries, err := os.ReadDir(string(dir))
	if err != nil || len(entries) != 1 || entries[0].Name() != want {
		t.Errorf("the folder holds %v, %v, want %s", entries, err, want)
	}
}

// TestMissingFolder checks that a rank on another host, where the folder is not, is told so.
func TestMissingFolder(t *testing.T) {
	t.Parallel()
	dir := jobdir.Dir(filepath.Join(t.TempDir(), "elsewhere"))
	if err := dir.WriteStart(jobdir.Start{PID: 1, Host: "n"}); err == nil {
		t.Error("the root has written into no folder")
	}
	if _, found := dir.ReadStop(); found {
		t.Error("the root has read in no folder")
	}
	if _, found := dir.ReadExit(0); found || dir.ReadExits() != nil || dir.ReadSpaces() != nil {
		t.Error("there are notes in no folder")
	}
}

// TestSpoilt checks that what is no note, or not a whole one, is none.
func TestSpoilt(t *testing.T) {
	t.Parallel()
	dir := jobdir.Dir(t.TempDir())
	for name, text := range map[string]string{
		"started": "12 0", "stop": "soon", "shell.0": "", "exit.0": "zero", "exit.1.part": "1", "exit.x": "1", "exit": "1", "exit.2": "7\n",
	} {
		if err := os.WriteFile(filepath.Join(string(dir), name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if s, found := dir.ReadStart(); found || s != (jobdir.Start{}) {
		t.Errorf("the start is %+v, %t", s, found)
	}
	if s, found := dir.ReadStop(); found {
		t.Errorf("the signal is %v", s)
	}
	if pid, found := dir.ReadShell(0); found {
		t.Errorf("the shell is process %d", pid)
	}
	exits := dir.ReadExits()
	if len(exits) != 1 || exits[0].Rank != 2 || exits[0].Code != 7 || time.Since(exits[0].At) > time.Hour {
		t.Errorf("the exits are %+v", exits)
	}
	if exits != nil && !reflect.DeepEqual(firstExit(dir, 2), exits[0]) {
		t.Errorf("the exit of rank 2 is %+v, among all it is %+v", firstExit(dir, 2), exits[0])
	}
}

func firstExit(dir jobdir.Dir, rank int) jobdir.Exit {
	e, _ := dir.ReadExit(rank)
	return e
}
