package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/host"
)

func TestRecordWriter(t *testing.T) {
	t.Parallel()
	tests := []struct{ out, want string }{
		{``, `{"i":7,"of":"f@0123456789ab","arg":"0000000000000abc","ok":true,"out":""}`},
		{`12`, `{"i":7,"of":"f@0123456789ab","arg":"0000000000000abc","ok":true,"out":12}`},
		{`-1.50e+3`, `{"i":7,"of":"f@0123456789ab","arg":"0000000000000abc","ok":true,"out":-1.50e+3}`},
		{`12345678901234567890123`, `{"i":7,"of":"f@0123456789ab","arg":"0000000000000abc","ok":true,"out":12345678901234567890123}`},
		{`012`, `{"i":7,"of":"f@0123456789ab","arg":"0000000000000abc","ok":true,"out":"012"}`},
		{`1 2`, `{"i":7,"of":"f@0123456789ab","arg":"0000000000000abc","ok":true,"out":"1 2"}`},
		{` `, `{"i":7,"of":"f@0123456789ab","arg":"0000000000000abc","ok":true,"out":" "}`},
		{`null`, `{"i":7,"of":"f@0123456789ab","arg":"0000000000000abc","ok":true,"out":null}`},
		{`nullable`, `{"i":7,"of":"f@0123456789ab","arg":"0000000000000abc","ok":true,"out":"nullable"}`},
		{"[1,\n 2]\n", `{"i":7,"of":"f@0123456789ab","arg":"0000000000000abc","ok":true,"out":[1,2]}`},
		{`{"a": "<&> \n"}`, `{"i":7,"of":"f@0123456789ab","arg":"0000000000000abc","ok":true,"out":{"a":"<&> \n"}}`},
		{`{"a":`, `{"i":7,"of":"f@0123456789ab","arg":"0000000000000abc","ok":true,"out":"{\"a\":"}`},
		{"\"a\xff\"", `{"i":7,"of":"f@0123456789ab","arg":"0000000000000abc","ok":true,"out_b64":"ImH/Ig=="}`},
		{"tab\tquote\" back\\ bell\a é", `{"i":7,"of":"f@0123456789ab","arg":"0000000000000abc","ok":true,"out":"tab\tquote\" back\\ bell\u0007 é"}`},
	}
	w := newRecordWriter("f@0123456789ab", false)
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want+"\n", string(w.success(nil, &record{i: 7, arg: 0xabc}, []byte(tt.out)))); diff != "" {
			t.Errorf("success(%q) (-want +got):\n%s", tt.out, diff)
		}
	}
	want := `{"i":8,"of":"f@0123456789ab","ok":false,"error":{"kind":"trap","message":"a \"bad\" ` + "\uFFFD" + ` byte"}}` + "\n"
	if diff := cmp.Diff(want, string(w.failure(nil, &record{i: 8}, &executor.TaskError{Kind: host.KindTrap, Message: "a \"bad\" \xff byte"}))); diff != "" {
		t.Errorf("failure (-want +got):\n%s", diff)
	}
	want = `{"i":8,"of":"f@0123456789ab","ok":false,"error":{"kind":"application","code":70,"message":"seventy"}}` + "\n"
	if diff := cmp.Diff(want, string(w.failure(nil, &record{i: 8}, &executor.TaskError{Kind: host.KindApplication, Code: 70, Message: "seventy"}))); diff != "" {
		t.Errorf("failure (-want +got):\n%s", diff)
	}
	want = `{"i":9,"of":"f@0123456789ab","arg":"000000000000000d","file":"a \"b\".txt","ok":true,"out":1}` + "\n"
	if diff := cmp.Diff(want, string(w.success(nil, &record{i: 9, arg: 13, file: `a "b".txt`}, []byte("1")))); diff != "" {
		t.Errorf("success (-want +got):\n%s", diff)
	}
}

// A line says how its call ran.
func TestRecordWriterRun(t *testing.T) {
	t.Parallel()
	w := newRecordWriter("f@0123456789ab", false)
	for took, want := range map[time.Duration]string{
		0: "0", 499 * time.Nanosecond: "0", 500 * time.Nanosecond: "0.000001", 12*time.Microsecond + 345: "0.000012",
		100 * time.Millisecond: "0.1", time.Second: "1", time.Hour + 20*time.Microsecond: "3600.00002", -1: "0", 1000*time.Hour + 40*time.Millisecond: "3600000.04",
	} {
		want = `{"i":9,"of":"f@0123456789ab","arg":"000000000000000d","file":"a","s":` + want + `,"rank":12,"attempt":3,"ok":true,"out":1}` + "\n"
		if diff := cmp.Diff(want, string(w.success(nil, &record{9, 13, "a", run{took, 12, 3}}, []byte("1")))); diff != "" {
			t.Errorf("%d ns (-want +got):\n%s", took, diff)
		}
	}
}

// A result in a file has its name and its digest in the line.
func TestRecordWriterInFile(t *testing.T) {
	t.Parallel()
	w := newRecordWriter("f@0123456789ab", false)
	want := `{"i":9,"of":"f@0123456789ab","arg":"000000000000000d","file":"../a","ok":true,"out_file":"a","out_digest":"0000000000000abc"}` + "\n"
	if diff := cmp.Diff(want, string(w.inFile(nil, &record{i: 9, arg: 13, file: "../a"}, storedFile{"a", 0xabc}))); diff != "" {
		t.Errorf("inFile (-want +got):\n%s", diff)
	}
}

// With -v the line of a failure says where, and is bounded.
func TestRecordWriterVerbose(t *testing.T) {
	t.Parallel()
	w := newRecordWriter("f@0123456789ab", true)
	e := &executor.TaskError{Kind: host.KindTrap, Message: "unreachable", Stack: ".main()\n.f()", Stderr: "ow\n", Log: []string{"one", "two"}}
	want := `{"i":8,"of":"f@0123456789ab","s":1.5,"rank":3,"attempt":2,"ok":false,"error":{"kind":"trap","message":"unreachable","stack":".main()\n.f()","stderr":"ow\n","log":"one\ntwo"}}` + "\n"
	if diff := cmp.Diff(want, string(w.failure(nil, &record{i: 8, run: run{1500 * time.Millisecond, 3, 2}}, e))); diff != "" {
		t.Errorf("failure (-want +got):\n%s", diff)
	}
	e.Stack, e.Stderr = strings.Repeat("a", 1<<20), strings.Repeat("é", 1<<20)
	line := w.failure(nil, &record{i: 8}, e)
	if len(line) > 3*mostLeft || !json.Valid(line) || !utf8.Valid(line) {
		t.Errorf("a long failure has %d bytes, JSON: %v", len(line), json.Valid(line))
	}
}

// Whatever a task returns, its line is JSON, one line, and gives it back.
func FuzzRecordWriter(f *testing.F) {
	for _, seed := range []string{"", "12", "{\"a\":\n1}", "a\nb", "\xff", "\u2028", " 1", "\"\\u00e9\"", "[1,"} {
		f.Add([]byte(seed))
	}
	w := newRecordWriter("f@0123456789ab", false)
	f.Fuzz(func(t *testing.T, out []byte) {
		line := w.success(nil, &record{i: 1}, out)
		if n := len(line); line[n-1] != '\n' || !utf8.Valid(line) {
			t.Fatalf("%q becomes %q, which is no line of UTF-8", out, line)
		}
		for _, c := range line[:len(line)-1] {
			if c < ' ' {
				t.Fatalf("%q becomes %q, with a control character", out, line)
			}
		}
		var record struct {
			I   int             `json:"i"`
			OK  bool            `json:"ok"`
			Out json.RawMessage `json:"out"`
			B64 *string         `json:"out_b64"`
		}
		if err := json.Unmarshal(line, &record); err != nil || record.I != 1 || !record.OK {
			t.Fatalf("%q becomes %q, read as %+v, %v", out, line, record, err)
		}
		if got := decodeResult(t, record.Out, record.B64, out); !cmp.Equal(got, out) && len(got)+len(out) > 0 {
			t.Fatalf("%q becomes %q, which means %q", out, line, got)
		}
	})
}

// decodeResult undoes what recordWriter does with a result, as far as it can:
// JSON comes back compacted, so it is compared as such and want returned.
func decodeResult(t *testing.T, out json.RawMessage, b64 *string, want []byte) []byte {
	t.Helper()
	var text string
	switch {
	case b64 != nil:
		got, err := base64.StdEncoding.DecodeString(*b64)
		if err != nil {
			t.Fatal(err)
		}
		return got
	case json.Valid(want):
		var a, b any
		if json.Unmarshal(out, &a) != nil || json.Unmarshal(want, &b) != nil || cmp.Equal(a, b) {
			return want // also when a number is beyond float64 in both
		}
	case json.Unmarshal(out, &text) == nil:
		return []byte(text)
	}
	return out
}

func BenchmarkRecordWriter(b *testing.B) {
	for name, out := range map[string]string{
		"number": "144",
		"object": `{"words":12345,"lines":678,"longest":"incomprehensibilities"}`,
		"text":   "the quick brown fox jumps over the lazy dog",
	} {
		b.Run("result="+name, func(b *testing.B) {
			w := newRecordWriter("f@0123456789ab", false)
			b.ReportAllocs()
			var line []byte
			for b.Loop() {
				line = w.success(line[:0], &record{i: 123456, arg: digestOf([]byte(out)), run: run{12 * time.Microsecond, 0, 1}}, []byte(out))
			}
		})
	}
}

// A counter appends any number, whatever came before it.
func TestCounter(t *testing.T) {
	t.Parallel()
	var c counter
	for _, n := range []int64{1, 0, 1, 2, 8, 9, 10, 11, 12, 12, 7, 98, 99, 100, 101, -3, -2, -1, 0, 1, 1 << 62, 1<<62 + 1} {
		if got, want := string(c.append([]byte("n"), n)), fmt.Sprintf("n%d", n); got != want {
			t.Errorf("it is %s, want %s", got, want)
		}
	}
}
