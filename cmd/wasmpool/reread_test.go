package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// An input that changes between the two readings of --resume is found out, if the places of what
// is to run changed. What is appended is none of this map's.
func TestReread(t *testing.T) {
	t.Parallel()
	for text, changed := range map[string]bool{"1\n2\n3\n4\n": false, "1\n2\n3\n4\n5\n": false, "2\n3\n4\n5\n": true, "0\n1\n2\n3\n4\n": true, "1\n2\n3\n": true, "": true} {
		in, err := openLines("-", strings.NewReader(text), nil)
		if err != nil {
			t.Fatal(err)
		}
		var keys []uint64
		for _, line := range []string{"1", "2", "3", "4"} {
			keys = append(keys, lineKey(item{arg: []byte(line)}))
		}
		s := surveyOf(keys...)
		s.taken.add(0)
		s.taken.add(2)
		p := s.plan(part{}, 2)
		in = p.again(in)
		ran := 0
		for i, it := range in.items(p) {
			if lineKey(it) != keys[i] {
				t.Errorf("input %d is %q", i, it.arg)
			}
			ran++
		}
		if got := errors.Is(in.err(), errInputChanged); got != changed || !changed && (ran != 2 || in.err() != nil) {
			t.Errorf("%q: %d ran, %v", text, ran, in.err())
		}
	}
}

// The files of a map are those that were found first: their places do not change.
func TestSurveyFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	err := errors.Join(os.WriteFile(filepath.Join(dir, "b"), nil, 0o600), os.WriteFile(filepath.Join(dir, "c"), nil, 0o600))
	if err != nil {
		t.Fatal(err)
	}
	a, _ := trialApp()
	f := &mapFlags{in: inputFlags{kind: "files", name: filepath.Join(dir, "*")}, out: filepath.Join(t.TempDir(), "out")}
	in, err := f.in.open(a, f.owns(a))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "a"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := f.survey(t.Context(), a, in)
	if err != nil {
		t.Fatal(err)
	}
	if p := s.plan(part{}, 0); p.left() != 2 || p.again(in) != in {
		t.Errorf("%d inputs are left, want 2", p.left())
	}
}
