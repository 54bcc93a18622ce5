package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// A file that changes after it was read ends the map: nothing runs with what is not there any more.
func TestPriorityInputChanged(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "jobs")
	write := func(text string) {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n")
	lines, err := openLines(name, nil, checkJSON)
	if err != nil {
		t.Fatal(err)
	}
	defer lines.close()
	f := mapFlags{priority: "n"}
	in := f.prioritize(&app{err: io.Discard}, lines, lines)
	var got []string
	for _, it := range in.items(new(plan)) {
		got = append(got, string(it.arg))
		write("{\"n\":1}\n{\"m\":2}\n{\"n\":3}\n")
	}
	if len(got) != 1 || got[0] != `{"n":3}` || !errors.Is(in.err(), errReadChanged) {
		t.Errorf("inputs %q, error %v, want the largest, and that the file changed", got, in.err())
	}
}

func TestNumberIn(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		arg  string
		want float64
		ok   bool
	}{
		{`{"n":7}`, 7, true},
		{` {"a":{"n":1},"n":-2.5e3} `, -2500, true},
		{`{"n":"12"}`, 12, true},
		{`{"n":""}`, 0, false},
		{`{"n":"12 "}`, 0, false},
		{`{"n":"0x10"}`, 0, false},
		{`{"n":true}`, 0, false},
		{`{"n":[1]}`, 0, false},
		{`{"N":1}`, 0, false},
		{`[1]`, 0, false},
		{`null`, 0, false},
		{`7`, 0, false},
	} {
		if got, ok := numberIn(item{arg: []byte(tt.arg)}, "n"); got != tt.want || ok != tt.ok {
			t.Errorf("%s has %g, %t, want %g, %t", tt.arg, got, ok, tt.want, tt.ok)
		}
	}
}
