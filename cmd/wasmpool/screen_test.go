package main

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

// A footer stays below whole lines, in as much room as there is.
func TestScreen(t *testing.T) {
	t.Parallel()
	var tty bytes.Buffer
	columns := 12
	s := &screen{tty: &tty, columns: func() int { return columns }}
	p := pane{s, &tty}
	io.WriteString(p, "first\n") //nolint:errcheck // a buffer
	s.set("half")
	s.set("half")                 // once is enough
	io.WriteString(p, "second\n") //nolint:errcheck // a buffer
	io.WriteString(p, "a part")   //nolint:errcheck // a buffer
	s.set("more")                 // waits
	io.WriteString(p, " of it\n") //nolint:errcheck // a buffer
	columns = 5
	s.set("almost all")
	columns = 0
	s.set("all")
	s.set("")
	io.WriteString(p, "last\n") //nolint:errcheck // a buffer
	const c = clearLine
	want := "first\nhalf" + c + "second\nhalf" + c + "a part of it\nmore" + c + "almo" + c + "all" + c + "last\n"
	if got := tty.String(); got != want {
		t.Errorf("the terminal got %q\nwant             %q", got, want)
	}
	if n, err := p.Write(nil); n != 0 || err != nil {
		t.Errorf("nothing was written: %d, %v", n, err)
	}
}

func TestCutTo(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 100)
	for _, tt := range []struct {
		line    string
		columns int
		want    string
	}{
		{"abc", 4, "abc"},
		{"abc", 3, "ab"},
		{"äöü", 3, "äö"},
		{"abc", 2, "a"},
		{long, 0, long[:79]},
	} {
		if got := cutTo(tt.line, tt.columns); got != tt.want {
			t.Errorf("cutTo(%q, %d) = %q, want %q", tt.line, tt.columns, got, tt.want)
		}
	}
}
