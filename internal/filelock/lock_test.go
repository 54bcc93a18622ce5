package filelock

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

const suffix = ".lock"

// subject is a file of results in errors, of which what is said is kept.
func subject(out string) (Subject, *bytes.Buffer) {
	said := new(bytes.Buffer)
	return Subject{What: "--out", File: out, User: "another map", Say: said}, said
}

// take takes the lock of a file.
func take(t *testing.T, out string) (*Lock, error) {
	t.Helper()
	of, _ := subject(out)
	return Take(t.Context(), out+suffix, of)
}

// writeHolder writes the file of a lock as another process would.
func writeHolder(t *testing.T, out string, h holder) {
	t.Helper()
	text, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(out+suffix, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// showLife has the holder of a lock show that it is alive, until the returned function is called.
func showLife(t *testing.T, out string) (stop func()) {
	t.Helper()
	quit := make(chan struct{})
	var beats sync.WaitGroup
	beats.Go(func() {
		for at := time.Now(); ; at = at.Add(time.Second) {
			os.Chtimes(out+suffix, at, at) //nolint:errcheck // then the lock is taken, which fails the test
			select {
			case <-quit:
				return
			case <-time.After(50 * time.Millisecond):
			}
		}
	})
	return func() {
		close(quit)
		beats.Wait()
	}
}

// One map at a time has a file of results, and nothing is left beside it.
func TestLock(t *testing.T) {
	t.Parallel()
	out := filepath.Join(t.TempDir(), "out")
	first, err := take(t, out)
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Beat(); err != nil {
		t.Error(err)
	}
	if _, err := take(t, out); err == nil || !strings.Contains(err.Error(), "another map writes to it, process ") {
		t.Errorf("a second lock: %v", err)
	}
	first.Release()
	second, err := take(t, out)
	if err != nil {
		t.Fatal(err)
	}
	second.Release()
	if left, err := os.ReadDir(filepath.Dir(out)); err != nil || len(left) > 0 {
		t.Errorf("%v are left, %v", left, err)
	}
}

// A file that only has the name of a lock is somebody's, and one that is empty, or of which a
// crash has left nothing, is of no one.
func TestLockForeign(t *testing.T) {
	t.Parallel()
	out := filepath.Join(t.TempDir(), "out")
	for text, foreign := range map[string]bool{"": false, "\x00\x00": false, `{"host":"a`: false, "my text\n": true, `{"packages":{}}`: true} {
		if err := os.WriteFile(out+suffix, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		l, err := take(t, out)
		if (err != nil) != foreign || err != nil && !strings.Contains(err.Error(), "holds something else: give another --out") {
			t.Errorf("a lock of %q: %v", text, err)
		}
		if err == nil {
			l.Release()
		}
		if got, err := os.ReadFile(out + suffix); foreign && (string(got) != text || err != nil) {
			t.Errorf("%q became %q, %v", text, got, err)
		}
	}
}

// A file that has another name, too, is locked itself.
func TestLockOfData(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	one, two := filepath.Join(dir, "one"), filepath.Join(dir, "two")
	if err := os.WriteFile(one, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(one, two); err != nil {
		t.Fatal(err)
	}
	first, err := take(t, one)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Release()
	second, err := take(t, two)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Release()
	if err := first.LockFile(); err != nil {
		t.Error(err)
	}
	if err := second.LockFile(); err == nil || !strings.Contains(err.Error(), "another process has locked it") {
		t.Errorf("a second lock: %v", err)
	}
}

// What a process of this host has left does not count, and a holder elsewhere counts as long as
// it shows that it is alive.
func TestLockLeft(t *testing.T) { // not parallel: it changes lockPatience
	patience := lockPatience
	lockPatience = 500 * time.Millisecond
	defer func() { lockPatience = patience }()
	out := filepath.Join(t.TempDir(), "out")
	mine := self()
	mine.PID = 1 << 30
	elsewhere := holder{"elsewhere", 7, time.Now()}
	of, said := subject(out)
	for _, left := range []holder{mine, elsewhere} {
		writeHolder(t, out, left)
		l, err := Take(t.Context(), out+suffix, of)
		if err != nil {
			t.Fatalf("a lock of %v: %v", left, err)
		}
		l.Release()
	}
	if !strings.Contains(said.String(), "process 7 on elsewhere has it, or died with it: looking for 500ms") {
		t.Errorf("it says %q", said)
	}
	lockPatience = time.Minute // a sign of life may be late, and ends the wait
	writeHolder(t, out, elsewhere)
	defer showLife(t, out)()
	if _, err := take(t, out); err == nil || !strings.Contains(err.Error(), "process 7 on elsewhere, since") {
		t.Errorf("a lock whose holder lives: %v", err)
	}
}

// Who lost the lock learns that.
func TestLockTaken(t *testing.T) {
	t.Parallel()
	out := filepath.Join(t.TempDir(), "out")
	l, err := take(t, out)
	if err != nil {
		t.Fatal(err)
	}
	os.Remove(out + suffix)
	writeHolder(t, out, holder{"elsewhere", 7, time.Now()})
	if err := l.Beat(); err == nil || !strings.Contains(err.Error(), "was taken away") {
		t.Errorf("beat: %v", err)
	}
	l.Release()
	if _, err := os.Stat(out + suffix); err != nil {
		t.Errorf("the other's lock: %v", err)
	}
}

// Where the system has no locks, a process whose number the holder had before a restart does not
// count for ever.
func TestLockReused(t *testing.T) { // not parallel: it changes lockPatience
	patience := lockPatience
	lockPatience = 500 * time.Millisecond
	defer func() { lockPatience = patience }()
	out := filepath.Join(t.TempDir(), "out")
	mine := self()
	writeHolder(t, out, mine)
	of, _ := subject(out)
	l := &Lock{of: of, name: out + suffix}
	noLocks := errors.New("no locks available")
	if err := l.mayTake(t.Context(), false, false, noLocks); err != nil {
		t.Errorf("a holder that shows nothing: %v", err)
	}
	lockPatience = time.Minute // a sign of life may be late, and ends the wait
	defer showLife(t, out)()
	if err := l.mayTake(t.Context(), false, false, noLocks); err == nil || !strings.Contains(err.Error(), "another map writes to it") {
		t.Errorf("a holder that lives: %v", err)
	}
}

// A lock shows that its holder is alive from the start, as reading what is there may take long.
func TestLockBeats(t *testing.T) { // not parallel: it changes beatEvery
	every := beatEvery
	beatEvery = 10 * time.Millisecond
	defer func() { beatEvery = every }()
	l, err := take(t, filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Release()
	first, err := beatOf(l.name)
	for start := time.Now(); err == nil; time.Sleep(10 * time.Millisecond) {
		var last time.Time
		if last, err = beatOf(l.name); !last.Equal(first) {
			break
		}
		if time.Since(start) > time.Minute {
			t.Fatal("no sign of life after a minute")
		}
	}
	if err != nil {
		t.Error(err)
	}
}

// Who wakes up after a long time, and has lost the lock, writes no more.
func TestLockLostAsleep(t *testing.T) {
	t.Parallel()
	out := filepath.Join(t.TempDir(), "out")
	l, err := take(t, out)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Release()
	file, err := os.Create(out)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	write := func(text string) error {
		if err := l.Hold(); err != nil {
			return err
		}
		_, err := file.WriteString(text)
		return err
	}
	if err := write("one\n"); err != nil {
		t.Error(err)
	}
	l.beaten.Store(time.Now().Add(-time.Hour).UnixNano())
	if err := write("two\n"); err != nil {
		t.Errorf("a lock that nobody took: %v", err)
	}
	writeHolder(t, out, holder{"elsewhere", 7, time.Now()})
	l.beaten.Store(time.Now().Add(-time.Hour).UnixNano())
	if err := write("three\n"); err == nil || !strings.Contains(err.Error(), "was taken away") {
		t.Errorf("a lock that another has: %v", err)
	}
	if text, err := os.ReadFile(out); string(text) != "one\ntwo\n" || err != nil {
		t.Errorf("the file has %q, %v", text, err)
	}
}
