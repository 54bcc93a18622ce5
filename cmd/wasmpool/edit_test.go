package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// An edit that was killed as it set a line aside costs no other line.
func TestEditGoneCut(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "out")
	if err := errors.Join(os.WriteFile(name, []byte("one\ntwo\nthree\n"), 0o600), os.WriteFile(name+goneSuffix, []byte("old\ntw"), 0o600)); err != nil {
		t.Fatal(err)
	}
	old, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	e := &edit{name: name, old: old}
	if err := errors.Join(e.keep([]byte("one\n")), e.setAside([]byte("two\n")), e.setAside([]byte("three\n")), e.finish()); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{name: "one\n", name + goneSuffix: "old\ntw\ntwo\nthree\n"} {
		if got, err := os.ReadFile(file); string(got) != want || err != nil {
			t.Errorf("%s has %q, %v, want %q", filepath.Base(file), got, err, want)
		}
	}
}

// An edit that is given up leaves nothing behind.
func TestEditAbandon(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "out")
	if err := os.WriteFile(name, []byte("one\ntwo\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	old, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	e := &edit{name: name, old: old}
	if err := errors.Join(e.keep([]byte("one\n")), e.setAside([]byte("two\n"))); err != nil {
		t.Fatal(err)
	}
	e.abandon()
	if left, err := os.ReadDir(filepath.Dir(name)); len(left) != 1 || err != nil {
		t.Errorf("%v are left, %v", left, err)
	}
}

// zeros are what a crash may leave in place of results.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

// A line that is none takes no memory, however long it is, and what follows it counts.
func TestLeftoverLongTorn(t *testing.T) { // not parallel: it looks at the memory
	file, err := os.CreateTemp(t.TempDir(), "out")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	arg := []byte("1")
	w := newRecordWriter("f@01", false)
	line := string(w.success(nil, &record{arg: digestOf(arg), run: run{took: time.Microsecond, attempt: 1}}, arg))
	s := surveyOf(uint64(digestOf(arg)))
	l := &leftover{name: "out", of: "f@01", inputs: s, edit: &edit{name: file.Name(), old: file}}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	err = l.read(t.Context(), io.MultiReader(io.LimitReader(zeros{}, 64<<20), strings.NewReader("\n"+line), io.LimitReader(zeros{}, 64<<20)))
	runtime.ReadMemStats(&after)
	if err != nil || l.kept != 1 || l.torn != 2 {
		t.Errorf("%v, kept %d, torn %d, want one result and two that are torn", err, l.kept, l.torn)
	}
	if took := after.TotalAlloc - before.TotalAlloc; took > 32<<20 {
		t.Errorf("it took %s for 128MiB of zeros", formatBytes(took))
	}
	l.edit.abandon()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.read(ctx, strings.NewReader(line)); !errors.Is(err, context.Canceled) {
		t.Errorf("after a signal: %v", err)
	}
}
