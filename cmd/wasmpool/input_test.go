package main

import (
	"bytes"
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

// arguments returns the arguments of an input.
func arguments(in input) [][]byte {
	var args [][]byte
	for _, it := range in.items(new(plan)) {
		if it.bad == nil {
			args = append(args, it.arg)
		}
	}
	return args
}

func TestLineInput(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 200<<10)
	tests := []struct {
		name, text string
		want       []string
	}{
		{"empty", "", nil},
		{"no newline at the end", "a\nb", []string{"a", "b"}},
		{"newline at the end", "a\nb\n", []string{"a", "b"}},
		{"empty lines", "\n\na\n", []string{"", "", "a"}},
		{"carriage returns", "a\r\nb\rc\r\n", []string{"a", "b\rc"}},
		{"long lines", long + "\na\n" + long, []string{long, "a", long}},
		{"a byte-order mark", "\uFEFFa\n\uFEFFb\n", []string{"a", "\uFEFFb"}},
		{"nothing but a byte-order mark, and a line", "\uFEFF\na", []string{"", "a"}},
		{"half a byte-order mark", "\xef\xbb", []string{"\xef\xbb"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			// Read in small pieces, so that lines are cut everywhere.
			in, err := openLines("-", iotest.HalfReader(strings.NewReader(tt.text)), nil)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, line := range arguments(in) { // all are still valid
				got = append(got, string(line))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" || in.err() != nil {
				t.Errorf("lines (-want +got), error %v:\n%s", in.err(), diff)
			}
			if n := countEnds(strings.NewReader(tt.text), '\n'); n != int64(len(tt.want)) {
				t.Errorf("countEnds = %d, want %d", n, len(tt.want))
			}
		})
	}
}

// Arguments that end in NUL bytes are taken as they are, but for these.
func TestArgsInput(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text string
		want []string
	}{
		{"", nil},
		{"a\x00b c\x00", []string{"a", "b c"}},
		{"a\n\r\x00\x00\uFEFFb", []string{"a\n\r", "", "\uFEFFb"}},
		{"\uFEFFa\x00", []string{"\uFEFFa"}},
	} {
		in, err := openArgs("-", iotest.OneByteReader(strings.NewReader(tt.text)))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.want, texts(in)); diff != "" || in.err() != nil {
			t.Errorf("%q (-want +got), error %v:\n%s", tt.text, in.err(), diff)
		}
	}
}

// A line is there as soon as it has come: nobody waits for what may be a byte-order mark.
func TestLineInputDoesNotWait(t *testing.T) {
	t.Parallel()
	read, write := io.Pipe()
	defer read.Close()
	in, err := openLines("-", read, nil)
	if err != nil {
		t.Fatal(err)
	}
	go write.Write([]byte("\n")) //nolint:errcheck // it waits for who reads
	for _, it := range in.items(new(plan)) {
		if len(it.arg) != 0 {
			t.Errorf("the line is %q", it.arg)
		}
		return
	}
}

// A line may grow without touching the next one.
func TestLineInputOwnership(t *testing.T) {
	t.Parallel()
	in, err := openLines("-", strings.NewReader("aa\nbb\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	lines := arguments(in)
	_ = append(lines[0], "XXXX"...)
	if got := string(lines[1]); got != "bb" {
		t.Errorf("the second line became %q", got)
	}
}

func TestLineInputErrors(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken pipe")
	in, err := openLines("-", io.MultiReader(strings.NewReader("1\n2"), iotest.ErrReader(broken)), checkJSON)
	if err != nil {
		t.Fatal(err)
	}
	if got := len(arguments(in)); got != 1 || !errors.Is(in.err(), broken) {
		t.Errorf("%d lines and %v, want 1 and %v", got, in.err(), broken)
	}
}

// A line that is no argument is one bad input, and the next one is read.
func TestLineInputBad(t *testing.T) {
	t.Parallel()
	in, err := openLines("-", strings.NewReader("{}\n\"\xff\"\n\noops\n3\n"), checkJSON)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for i, it := range in.items(new(plan)) {
		got = append(got, fmt.Sprintf("%d %s %v", i, it.arg, it.bad))
	}
	want := []string{
		"0 {} <nil>",
		"1 \"\xff\" line 2 of standard input: it is not JSON, as it is not UTF-8 (--lines takes any bytes)",
		"2 oops line 4 of standard input: it is not JSON: invalid character 'o' looking for beginning of value (--lines takes any text)",
		"3 3 <nil>",
	}
	if diff := cmp.Diff(want, got); diff != "" || in.err() != nil {
		t.Errorf("items (-want +got), error %v:\n%s", in.err(), diff)
	}
}

// A line that is too long is skipped to its end, if it has one.
func TestLineReaderLongLines(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 300<<10)
	lines := newLineReader(strings.NewReader(long+"\na\n"+long), '\n')
	lines.most = 200 << 10
	for _, want := range []struct {
		line string
		err  error
	}{{"", errLongLine}, {"a", nil}, {"", errLongLine}, {"", io.EOF}} {
		if line, err := lines.next(); string(line) != want.line || !errors.Is(err, want.err) {
			t.Errorf("%q, %v, want %q, %v", line, err, want.line, want.err)
		}
	}
}

func TestInputCountLeavesTheFileAlone(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "lines")
	if err := os.WriteFile(name, bytes.Repeat([]byte("line\n"), 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	in, err := openLines(name, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer in.close()
	if n := in.count(); n != 1000 {
		t.Errorf("count = %d, want 1000", n)
	}
	if n := len(arguments(in)); n != 1000 {
		t.Errorf("%d lines after count, want 1000", n)
	}
}

func BenchmarkLineInput(b *testing.B) {
	text := bytes.Repeat([]byte("{\"x\":1.25}\n"), 10_000)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		in, err := openLines("-", bytes.NewReader(text), checkJSON)
		if err != nil {
			b.Fatal(err)
		}
		for range in.items(new(plan)) {
		}
	}
}
