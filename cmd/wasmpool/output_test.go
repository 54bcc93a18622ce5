package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A file has one name, also before it is there.
func TestRealName(t *testing.T) {
	t.Parallel()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(os.MkdirAll(filepath.Join(dir, "a/b"), 0o700), writeFile(filepath.Join(dir, "a/old"), nil))
	for _, link := range []struct{ name, to string }{
		{"folder", "a/b"}, {"old", "a/old"}, {"new", "a/new"}, {"far", "new"}, {"up", "folder/../up"}, {"self", "self"}, {"absolute", filepath.Join(dir, "a/new")},
	} {
		err = errors.Join(err, os.Symlink(link.to, filepath.Join(dir, link.name)))
	}
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"a/old": "a/old", "old": "a/old", "folder/../old": "a/old",
		"a/new": "a/new", "new": "a/new", "far": "a/new", "absolute": "a/new", "folder/x": "a/b/x", "folder/../new": "a/new",
		"up": "a/up", "nosuch/x": "nosuch/x", "self": "self",
	} {
		if got := realName(dir + "/" + name); got != filepath.Join(dir, want) { // not cleaned
			t.Errorf("realName(%s) = %s, want %s", name, got, want)
		}
	}
}

// What belongs to the results is no input, and all else is.
func TestOwns(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := errors.Join(os.Mkdir(filepath.Join(dir, "a"), 0o700), os.Symlink("a", filepath.Join(dir, "link"))); err != nil {
		t.Fatal(err)
	}
	a, _ := trialApp()
	f := &mapFlags{out: filepath.Join(dir, "link/out")} // which is not there yet
	own := f.owns(a)
	for name, want := range map[string]bool{
		"link/out.lock": true, "a/out.next": true, "link/out.gone": true, "link/out.txt": false, "link/out.old.lock": false, "link/out.x.gone": false, "link/lock": false,
	} {
		if got := own(filepath.Join(dir, name)); got != want {
			t.Errorf("%s belongs to the results: %t", name, got)
		}
	}
}

// A file that only has the name of the new results stays.
func TestClearNext(t *testing.T) {
	t.Parallel()
	out := filepath.Join(t.TempDir(), "out")
	if err := clearNext(out); err != nil {
		t.Error(err)
	}
	for text, foreign := range map[string]bool{"": false, `{"i":5,"of`: false, "\x00\x00\x00": false, `{"ok":true,"i":1,"of":"f@01"}`: false, "my text\n": true} {
		if err := os.WriteFile(out+nextSuffix, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		err := clearNext(out)
		if _, gone := os.Stat(out + nextSuffix); (err != nil) != foreign || (gone == nil) != foreign {
			t.Errorf("%q: %v, removed: %v", text, err, gone)
		}
	}
}

// Results in a file that is not there any more are no success.
func TestOutputReplaced(t *testing.T) {
	t.Parallel()
	a, _ := trialApp()
	out := filepath.Join(t.TempDir(), "out")
	lock, err := a.lockOut(t.Context(), "--out", out)
	if err != nil {
		t.Fatal(err)
	}
	o, _, err := a.openLocked(t.Context(), &mapFlags{out: out}, nil, nil, "f@01", lock)
	if err != nil {
		t.Fatal(err)
	}
	defer o.close() //nolint:errcheck // of a test
	if err := o.sync(); err != nil {
		t.Error(err)
	}
	if err := errors.Join(os.WriteFile(out+".new", nil, 0o600), os.Rename(out+".new", out)); err != nil { // as editors do
		t.Fatal(err)
	}
	if err := o.sync(); err == nil || !strings.Contains(err.Error(), "out was removed, renamed or replaced while the map wrote to it") {
		t.Errorf("another file has the name: %v", err)
	}
}
