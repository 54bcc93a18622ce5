package memo_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/memo"
)

// quiet is a store that says nothing.
func quiet(dir string, cfg memo.Config) *memo.Store {
	cfg.Logger = slog.New(slog.DiscardHandler)
	return memo.New(dir, cfg)
}

// opened is quiet for a store that is open until the test ends, or is closed.
func opened(t *testing.T, dir string, cfg memo.Config) *memo.Store {
	t.Helper()
	s := quiet(dir, cfg)
	if err := s.Open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// resultOf is the i-th result: some are empty, and some so long that they have files of their own with Large: 300.
func resultOf(i int) []byte { return bytes.Repeat([]byte{byte(i + 1), byte(i >> 8)}, i%7*(i%7)*5) }

func keep(t *testing.T, s *memo.Store, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		s.Keep(keyOf(someTask, i), resultOf(i))
	}
	if err := s.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// missing returns how many of the results are not found. A wrong one fails the test.
func missing(t *testing.T, s *memo.Store, from, to int) (n int) {
	t.Helper()
	for i := from; i < to; i++ {
		switch got, ok := s.Find(t.Context(), keyOf(someTask, i)); {
		case !ok:
			n++
		case !bytes.Equal(got, resultOf(i)):
			t.Errorf("result %d is %q, want %q", i, got, resultOf(i))
		}
	}
	return n
}

// What was kept is found, also by those who open the folder later, and as often as they like.
func TestFind(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new", "memo")
	s := opened(t, dir, memo.Config{Large: 300})
	if n := missing(t, s, 0, 1000); n != 1000 {
		t.Errorf("%d of 1000 are missing in an empty store", n)
	}
	keep(t, s, 0, 1000)
	if n := missing(t, s, 0, 1000); n != 0 {
		t.Errorf("%d are missing", n)
	}
	keep(t, s, 0, 1000) // again: nothing comes of it
	if got, want := s.Counts(), (memo.Counts{Found: 1000, Kept: 1000, Durable: 2000}); got != want {
		t.Errorf("it counts %+v, want %+v", got, want)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s.Keep(keyOf(someTask, 1), nil)
	if _, ok := s.Find(t.Context(), keyOf(someTask, 1)); ok || s.Counts().Lost != 1 {
		t.Errorf("a closed store finds (%v) or has not lost what it was given: %+v", ok, s.Counts())
	}
	for range 3 {
		if err := s.Open(); err != nil {
			t.Fatal(err)
		}
		if n := missing(t, s, 0, 1000); n != 0 || s.Len() != 1000 {
			t.Errorf("%d are missing, of %d", n, s.Len())
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	reader := opened(t, dir, memo.Config{ReadOnly: true})
	s = opened(t, dir, memo.Config{}) // a reader keeps nobody from writing
	s.Drop(keyOf(someTask, 4))
	keep(t, s, 1000, 1001)
	if n := missing(t, s, 0, 1001); n != 1 {
		t.Errorf("%d are missing, want the one that was dropped", n)
	}
	if n := missing(t, reader, 0, 1001); n != 1 {
		t.Errorf("%d are missing for a reader, want the new one", n)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = opened(t, dir, memo.Config{})
	if n := missing(t, s, 0, 1001); n != 1 {
		t.Errorf("%d are missing, want the one that was dropped", n)
	}
	s.Drop(keyOf(someTask, 7))
	keep(t, s, 0, 10)
	if n := missing(t, s, 0, 1001); n != 0 {
		t.Errorf("%d are missing that were kept again", n)
	}
}

// A second writer learns who has the folder, and a folder of somebody's own is left alone.
func TestOpen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := opened(t, dir, memo.Config{})
	err := quiet(dir, memo.Config{}).Open()
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("another job writes to it, process %d on ", os.Getpid())) {
		t.Errorf("a second writer: %v", err)
	}
	if err := s.Open(); err != nil {
		t.Errorf("the same store again: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	keep(t, s, 0, 3)
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("closed too often: %v", err)
	}
	opened(t, dir, memo.Config{})

	mine := t.TempDir()
	if err := os.WriteFile(filepath.Join(mine, "thesis.tex"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := quiet(mine, memo.Config{}).Open(); err == nil || !strings.Contains(err.Error(), "holds something else (thesis.tex)") {
		t.Errorf("a folder with something else: %v", err)
	}
	if left, err := os.ReadDir(mine); err != nil || len(left) != 1 {
		t.Errorf("it has %v, %v", left, err)
	}
	newer := t.TempDir()
	if err := os.WriteFile(filepath.Join(newer, "memo2-00000001-0123456789abcdef"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := quiet(newer, memo.Config{}).Open(); err == nil || !strings.Contains(err.Error(), "another version of wasmpool") {
		t.Errorf("a folder of another version: %v", err)
	}
	if err := quiet(filepath.Join(mine, "thesis.tex"), memo.Config{}).Open(); err == nil {
		t.Error("a file is opened as a memo")
	}
}

// files returns the files of a folder but for its lock.
func files(t *testing.T, dir string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && d.Name() != "lock" {
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// Each byte of a store is changed, and each file is cut behind each byte: no result is a wrong one, and no more are missing than those
// that the byte belongs to. Behind a cut these are all.
func TestDamage(t *testing.T) {
	t.Parallel()
	const entries = 9
	dir := t.TempDir()
	s := opened(t, dir, memo.Config{Large: 300})
	keep(t, s, 0, entries/2)
	keep(t, s, entries/2, entries)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	look := func() (lost int) {
		s := quiet(dir, memo.Config{ReadOnly: true})
		if err := s.Open(); err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		return missing(t, s, 0, entries)
	}
	names, seen := files(t, dir), 0
	if len(names) != 2 {
		t.Fatalf("there are %v, want a segment and a large result", names)
	}
	for _, name := range names {
		whole, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		write := func(b []byte) {
			if err := os.WriteFile(name, b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		for at := range whole {
			changed := bytes.Clone(whole)
			changed[at] ^= byte(1 + rand.IntN(255)) //nolint:gosec // of a test
			write(changed)
			lost := look()
			if lost > 1 {
				t.Errorf("%s: with byte %d changed %d are missing", name, at, lost)
			}
			seen += lost
			write(whole[:at])
			look()
			write(append(bytes.Clone(whole[:at]), whole[at+1:]...))
			if lost := look(); lost > 1 {
				t.Errorf("%s: without byte %d %d are missing", name, at, lost)
			}
		}
		write(whole)
	}
	if lost := look(); lost != 0 || seen < 1000 {
		t.Errorf("%d are missing in the end, and %d were before", lost, seen)
	}
}

// What is damaged is kept again, also a large result, and gc removes what is left of it.
func TestRepair(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := opened(t, dir, memo.Config{Large: 300})
	keep(t, s, 0, 100)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range files(t, dir) {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		b[len(b)/2] ^= 1
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	look := func() []string {
		f, err := memo.Read(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		found, err := f.Damaged(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	if found := look(); len(found) < 2 {
		t.Errorf("damaged are %q", found)
	}
	s = opened(t, dir, memo.Config{Large: 300})
	lost := missing(t, s, 0, 100)
	if lost < 2 || lost > 60 {
		t.Errorf("%d are missing", lost)
	}
	keep(t, s, 0, 100)
	if n := missing(t, s, 0, 100); n != 0 {
		t.Errorf("%d are missing that were kept again", n)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if found := look(); len(found) != 1 {
		t.Errorf("damaged are %q, want a part of the segment", found)
	}
	if _, err := memo.GC(dir, memo.Keep{}); err != nil {
		t.Fatal(err)
	}
	if found := look(); len(found) != 0 {
		t.Errorf("after gc damaged are %q", found)
	}
	s = opened(t, dir, memo.Config{})
	if n := missing(t, s, 0, 100); n != 0 {
		t.Errorf("%d are missing after gc", n)
	}
}

// sizeOf returns how many bytes a folder has.
func sizeOf(t *testing.T, dir string) (n int64) {
	t.Helper()
	for _, name := range files(t, dir) {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		n += info.Size()
	}
	return n
}

// A bound holds while results are kept, when the folder is opened, and for gc: the last ones stay.
func TestMaxBytes(t *testing.T) {
	t.Parallel()
	const most, results = 8 << 20, 800
	result := func(i int) []byte { return bytes.Repeat([]byte{byte(i)}, 20_000+i%2*50_000) }
	dir := t.TempDir()
	s := opened(t, dir, memo.Config{MaxBytes: most})
	for i := range results {
		s.Keep(keyOf(someTask, i), result(i))
		if i%20 == 0 {
			if err := s.Sync(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	check := func(least, most int64) {
		t.Helper()
		if n := sizeOf(t, dir); n > most || n < least {
			t.Errorf("the folder has %d bytes, want %d to %d", n, least, most)
		}
	}
	last := func(s *memo.Store) (n int) {
		for i := results - 1; i >= 0; i-- {
			got, ok := s.Find(t.Context(), keyOf(someTask, i))
			if !ok {
				break
			}
			if !bytes.Equal(got, result(i)) {
				t.Fatalf("result %d is another one", i)
			}
			n++
		}
		return n
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	check(most/2, most+2<<20)
	s = opened(t, dir, memo.Config{MaxBytes: most / 2})
	check(most/8, most/2+1<<20)
	if n := last(s); n < 30 {
		t.Errorf("the last %d are left", n)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	removed, err := memo.GC(dir, memo.Keep{MaxBytes: 1 << 20})
	if err != nil || removed.Entries == 0 || removed.Bytes == 0 {
		t.Errorf("gc removes %+v, %v", removed, err)
	}
	check(900_000, 1<<20)
	s = opened(t, dir, memo.Config{})
	if n := last(s); n < 10 || n < s.Len()-20 { // those of one commit have no order
		t.Errorf("the last %d are left, of %d", n, s.Len())
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if removed, err := memo.GC(dir, memo.Keep{Since: time.Now().Add(time.Hour)}); err != nil || removed.Entries < 10 {
		t.Errorf("gc of all that is older than an hour from now removes %+v, %v", removed, err)
	}
	if left := files(t, dir); len(left) != 0 {
		t.Errorf("%v are left", left)
	}
}

// What gc is told to leave, by task, it leaves, with what it says of the tasks.
func TestRead(t *testing.T) {
	t.Parallel()
	other := &executor.MemoTask{Digest: [32]byte{9}, Name: "cube@0123456789ab", Settings: `{"task":"cube"}`}
	dir := t.TempDir()
	s := opened(t, dir, memo.Config{Large: 300})
	keep(t, s, 0, 10)
	for i := 100; i < 110; i++ {
		s.Keep(keyOf(other, i), resultOf(i))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	count := func() (n map[string]int) {
		f, err := memo.Read(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		n = map[string]int{}
		for e, err := range f.All(true) {
			if err != nil || e.Err != nil {
				t.Fatal(err, e.Err)
			}
			n[e.Task+string(e.Settings)]++
			if int64(len(e.Result)) != e.Size || time.Since(e.Kept).Abs() > time.Hour {
				t.Errorf("an entry is %+v", e)
			}
		}
		return n
	}
	if n := count(); n[someTask.Name+someTask.Settings] != 10 || n[other.Name+other.Settings] != 10 || len(n) != 2 {
		t.Errorf("there are %v", n)
	}
	removed, err := memo.GC(dir, memo.Keep{Only: func(e memo.Entry) bool { return e.Task == other.Name }})
	if err != nil || removed.Entries != 10 {
		t.Errorf("gc removes %+v, %v", removed, err)
	}
	if n := count(); n[other.Name+other.Settings] != 10 || len(n) != 1 {
		t.Errorf("there are %v", n)
	}
	if _, err := memo.Read(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder that is not there: %v", err)
	}
}

// A store that cannot write says so once, finds what it has, and keeps nobody waiting.
func TestFull(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := opened(t, dir, memo.Config{Large: 300})
	keep(t, s, 0, 10)
	if err := os.WriteFile(filepath.Join(dir, "blobs"), nil, 0o600); err == nil {
		t.Fatal("there is no folder for large results")
	}
	if err := os.RemoveAll(filepath.Join(dir, "blobs")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "blobs"), nil, 0o600); err != nil { // where a folder is wanted
		t.Fatal(err)
	}
	for i := range 2000 {
		s.Keep(keyOf(someTask, 1000+i), make([]byte, 100<<10)) // 200 MB: more than may wait
		s.Find(t.Context(), keyOf(someTask, 0))
	}
	if err := s.Sync(t.Context()); err == nil {
		t.Error("Sync of what cannot be written: no error")
	}
	if _, ok := s.Find(t.Context(), keyOf(someTask, 1)); !ok {
		t.Error("what was kept before is not found")
	}
	if s.Counts().Lost != 2000 {
		t.Errorf("it counts %+v", s.Counts())
	}
	if err := s.Close(); err == nil {
		t.Error("Close after a failure: no error")
	}
}

// A waiter whose context ends waits no longer.
func TestSyncEnds(t *testing.T) {
	t.Parallel()
	s := opened(t, t.TempDir(), memo.Config{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for i := range 1000 {
		s.Keep(keyOf(someTask, i), nil)
		if err := s.Sync(ctx); err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
}
