package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// trialApp is an app for tests of what it says.
func trialApp() (*app, *bytes.Buffer) {
	said := new(bytes.Buffer)
	return &app{in: strings.NewReader(""), out: new(bytes.Buffer), err: said}, said
}

// writeHolder writes the file of a lock as another process would.
func writeHolder(t *testing.T, out string, h holder) {
	t.Helper()
	text, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(out+lockSuffix, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// One map at a time has a file of results, and nothing is left beside it.
func TestLock(t *testing.T) {
	t.Parallel()
	a, _ := trialApp()
	out := filepath.Join(t.TempDir(), "out")
	first, err := a.lockOut(t.Context(), out)
	if err != nil {
		t.Fatal(err)
	}
	if err := first.beat(); err != nil {
		t.Error(err)
	}
	if _, err := a.lockOut(t.Context(), out); err == nil || !strings.Contains(err.Error(), "another map writes to it, process ") {
		t.Errorf("a second lock: %v", err)
	}
	first.release()
	second, err := a.lockOut(t.Context(), out)
	if err != nil {
		t.Fatal(err)
	}
	second.release()
	if left, err := os.ReadDir(filepath.Dir(out)); err != nil || len(left) > 0 {
		t.Errorf("%v are left, %v", left, err)
	}
}

// A file that has another name, too, is locked itself.
func TestLockOfData(t *testing.T) {
	t.Parallel()
	a, _ := trialApp()
	dir := t.TempDir()
	one, two := filepath.Join(dir, "one"), filepath.Join(dir, "two")
	if err := os.WriteFile(one, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(one, two); err != nil {
		t.Fatal(err)
	}
	first, err := a.lockOut(t.Context(), one)
	if err != nil {
		t.Fatal(err)
	}
	defer first.release()
	second, err := a.lockOut(t.Context(), two)
	if err != nil {
		t.Fatal(err)
	}
	defer second.release()
	if err := first.lockData(); err != nil {
		t.Error(err)
	}
	if err := second.lockData(); err == nil || !strings.Contains(err.Error(), "another process has locked it") {
		t.Errorf("a second lock: %v", err)
	}
}

// What a process of this host has left does not count, and a holder elsewhere counts as long as
// it shows that it is alive.
func TestLockLeft(t *testing.T) { // not parallel: it changes lockPatience
	patience := lockPatience
	lockPatience = 500 * time.Millisecond
	defer func() { lockPatience = patience }()
	a, said := trialApp()
	out := filepath.Join(t.TempDir(), "out")
	mine := self()
	mine.PID = 1 << 30
	elsewhere := holder{"elsewhere", 7, time.Now()}
	for _, left := range []holder{mine, elsewhere} {
		writeHolder(t, out, left)
		l, err := a.lockOut(t.Context(), out)
		if err != nil {
			t.Fatalf("a lock of %v: %v", left, err)
		}
		l.release()
	}
	if !strings.Contains(said.String(), "process 7 on elsewhere has it, or died with it: looking for 500ms") {
		t.Errorf("it says %q", said)
	}
	lockPatience = time.Minute // the sign of life may be late, and ends the wait
	writeHolder(t, out, elsewhere)
	beats := time.AfterFunc(100*time.Millisecond, func() {
		os.Chtimes(out+lockSuffix, time.Now(), time.Now().Add(time.Hour)) //nolint:errcheck // then the lock is taken, which fails the test
	})
	defer beats.Stop()
	if _, err := a.lockOut(t.Context(), out); err == nil || !strings.Contains(err.Error(), "process 7 on elsewhere, since") {
		t.Errorf("a lock whose holder lives: %v", err)
	}
}

// Who lost the lock learns that.
func TestLockTaken(t *testing.T) {
	t.Parallel()
	a, _ := trialApp()
	out := filepath.Join(t.TempDir(), "out")
	l, err := a.lockOut(t.Context(), out)
	if err != nil {
		t.Fatal(err)
	}
	os.Remove(out + lockSuffix)
	writeHolder(t, out, holder{"elsewhere", 7, time.Now()})
	if err := l.beat(); err == nil || !strings.Contains(err.Error(), "was taken away") {
		t.Errorf("beat: %v", err)
	}
	l.release()
	if _, err := os.Stat(out + lockSuffix); err != nil {
		t.Errorf("the other's lock: %v", err)
	}
}
