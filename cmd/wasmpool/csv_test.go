package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

func TestCSVInput(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, text string
		numbers    bool
		want       []string
	}{
		{"strings", "a,b\n1,x\n2.5,\n", false, []string{`0 {"a":"1","b":"x"}`, `1 {"a":"2.5","b":""}`}},
		{"numbers", "a,b\n1,x\n-2.5e3,\n007,+1\n 1,1 \n", true, []string{
			`0 {"a":1,"b":"x"}`, `1 {"a":-2.5e3,"b":""}`, `2 {"a":"007","b":"+1"}`, `3 {"a":" 1","b":"1 "}`,
		}},
		{"quotes, line ends, blank lines", "\"a \"\"1\"\"\",b\r\n\"x,\ny\",z\r\n\r\n\"\",\"é\\\"\r\n", false, []string{
			`0 {"a \"1\"":"x,\ny","b":"z"}`, `1 {"a \"1\"":"","b":"é\\"}`,
		}},
		{"a byte-order mark", "\uFEFFa\n1", false, []string{`0 {"a":"1"}`}},
		{"a header alone", "a,b\n", false, nil},
		{"a name that is empty, as of an index", ",a\n0,x\n", false, []string{`0 {"":"0","a":"x"}`}},
		{"rows that are none", "a,b\n1\n1,2\n1,2,3\n1,\"2\"3\n\xff,2\nx\"y,1\n5,6\n", false, []string{
			"0 line 2 of standard input: it has 1 fields, and the header has 2",
			`1 {"a":"1","b":"2"}`,
			"2 line 4 of standard input: it has 3 fields, and the header has 2",
			`3 line 5 of standard input: it is not CSV: extraneous or missing " in quoted-field`,
			"4 line 6 of standard input: it is not UTF-8",
			`5 line 7 of standard input: it is not CSV: bare " in non-quoted-field`,
			`6 {"a":"5","b":"6"}`,
		}},
		{"a quote that does not end", "a,b\n1,2\n\"3,4\n5,6\n", false, []string{
			`0 {"a":"1","b":"2"}`,
			`1 line 3 of standard input: it is not CSV: extraneous or missing " in quoted-field`,
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			in, err := openCSV("-", iotest.OneByteReader(strings.NewReader(tt.text)), tt.numbers)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for i, it := range in.items(new(plan)) {
				if it.bad != nil {
					got = append(got, fmt.Sprint(i, " ", it.bad))
				} else {
					got = append(got, fmt.Sprintf("%d %s", i, it.arg))
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" || in.err() != nil {
				t.Errorf("items (-want +got), error %v:\n%s", in.err(), diff)
			}
		})
	}
}

// A header that makes no sense ends the map: of a file before anything begins, of a pipe when it is read.
func TestCSVHeader(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":            "has no header: its first line names the fields",
		"\n\n":        "has no header",
		"a,b,a\n1\n":  `has "a" twice`,
		"\xff\xfea\n": "is not UTF-8",
		"a,b\r1,2\r":  "has a carriage return in it",
		"a\"\n1\n":    `line 1 of`,
		"\"a\n1\n":    `line 1 of`,
	} {
		name := filepath.Join(t.TempDir(), "table.csv")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := openCSV(name, nil, false); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("a file of %q: %v, want %q", text, err, want)
		}
		in, err := openCSV("-", strings.NewReader(text), false)
		if err != nil {
			t.Fatal(err)
		}
		if got := len(arguments(in)); got != 0 || in.err() == nil || !strings.Contains(in.err().Error(), want) {
			t.Errorf("a pipe of %q: %d rows and %v, want %q", text, got, in.err(), want)
		}
	}
}

// What cannot be read on ends the input with an error, also a row that has no end.
func TestCSVErrors(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken pipe")
	in, err := openCSV("-", io.MultiReader(strings.NewReader("a\n1\n2"), iotest.ErrReader(broken)), false)
	if err != nil {
		t.Fatal(err)
	}
	if got := len(arguments(in)); got != 1 || !errors.Is(in.err(), broken) {
		t.Errorf("%d rows and %v, want 1 and %v", got, in.err(), broken)
	}
	endless := &boundedReader{r: strings.NewReader("a\n\"" + strings.Repeat("x\n", 1000)), left: 100}
	if in, err = openCSV("-", endless, false); err != nil {
		t.Fatal(err)
	}
	if got := len(arguments(in)); got != 0 || in.err() == nil || !strings.Contains(in.err().Error(), "is a quote missing?") {
		t.Errorf("%d rows and %v, want an error about a long row", got, in.err())
	}
}

// A file is counted, and then read from its beginning.
func TestCSVCount(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "table.csv")
	if err := os.WriteFile(name, []byte("a\n"+strings.Repeat("1\n", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	in, err := openCSV(name, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	defer in.close()
	if n, rows := in.count(), len(arguments(in)); n != 1000 || rows != 1000 {
		t.Errorf("count = %d, and %d rows, want 1000", n, rows)
	}
}
