package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/host"
)

func TestStored(t *testing.T) {
	t.Parallel()
	tests := []struct {
		line string
		want stored // without line and rest
		err  error
		as7  string // as the result of input 7
	}{
		{`{"i":5,"of":"f@01","arg":"00000000000000ff","ok":true,"out":1}`, stored{i: 5, of: "f@01", arg: 255, ok: true, whole: true}, nil, `{"i":7,"of":"f@01","arg":"00000000000000ff","ok":true,"out":1}`},
		{`{"i":5,"of":"f@01","arg":"00000000000000ff","file":"a/b","ok":true,"out_b64":"AA=="}`, stored{i: 5, of: "f@01", arg: 255, file: "a/b", ok: true, whole: true}, nil, `{"i":7,"of":"f@01","arg":"00000000000000ff","file":"a/b","ok":true,"out_b64":"AA=="}`},
		{`{"i":5,"of":"f@01","arg":"00000000000000ff","file":"a\"b","ok":true,"out":{"a":[1]}}`, stored{i: 5, of: "f@01", arg: 255, file: `a"b`, ok: true, whole: true}, nil, `{"i":7,"of":"f@01","arg":"00000000000000ff","file":"a\"b","ok":true,"out":{"a":[1]}}`},
		{` {"ok":true, "out":1,"more":"x", "of":"f@01", "arg":"00000000000000ff","i":5}`, stored{i: 5, of: "f@01", arg: 255, ok: true, whole: true}, nil, `{"i":7,"of":"f@01","arg":"00000000000000ff","ok":true,"more":"x","out":1}`},
		{`{"i":5,"of":"f@01","arg":"00000000000000ff","ok":false,"error":{"kind":"trap","message":"x"},"rank":0,"attempt":1}`, stored{i: 5, of: "f@01", arg: 255, whole: true}, nil, ""},
		{`{"i":5,"of":"f@01","arg":"00000000000000ff","s":0.25,"rank":2,"attempt":1,"ok":true,"out":1}`, stored{i: 5, of: "f@01", arg: 255, ok: true, whole: true}, nil, `{"i":7,"of":"f@01","arg":"00000000000000ff","s":0.25,"rank":2,"attempt":1,"ok":true,"out":1}`},
		{` {"i":5,"of":"f@01","arg":"00000000000000ff","ok":true,"out":1,"attempt":1,"rank":2,"s":1e-6}`, stored{i: 5, of: "f@01", arg: 255, ok: true, whole: true}, nil, `{"i":7,"of":"f@01","arg":"00000000000000ff","s":1e-6,"rank":2,"attempt":1,"ok":true,"out":1}`},
		{`{"i":5,"of":"f@01","arg":"00000000000000ff","s":0.25,"rank":2,"attempt":1,"ok":false,"error":{"kind":"trap","message":"x"}}`, stored{i: 5, of: "f@01", arg: 255, whole: true}, nil, ""},
		{`{"i":5,"of":"f@01","ok":false,"error":{"kind":"input","message":"x"}}`, stored{i: 5, of: "f@01", whole: true}, nil, ""},
		{`{"i":5,"of":"f@01","arg":"00000000000000ff","ok":true,"out_file":"a/b","out_digest":"0000000000000abc"}`, stored{i: 5, of: "f@01", arg: 255, out: storedFile{"a/b", 0xabc}, ok: true, whole: true}, nil, `{"i":7,"of":"f@01","arg":"00000000000000ff","ok":true,"out_digest":"0000000000000abc","out_file":"a/b"}`},
		{`{"i":5,"of":"f@01","arg":"00000000000000ff","ok":true,"out_file":"a/b"}`, stored{i: 5, of: "f@01", arg: 255, ok: true}, nil, ""},
		{`{"i":5,"of":"f@01","arg":"00000000000000ff","ok":true}`, stored{i: 5, of: "f@01", arg: 255, ok: true}, nil, ""},
		{`{"i":5,"of":"f@01","arg":"00000000000000ff","ok":false}`, stored{i: 5, of: "f@01", arg: 255}, nil, ""},
		{`{"i":5,"of":"f@01","arg":"00000000000000ff","out":1}`, stored{i: 5, of: "f@01", arg: 255}, nil, ""},
		{`{"i":5,"of":"f@01","arg":"00000000000000ff","ok":true,"out":1`, stored{}, errTorn, ""},
		{`{"i":5,"of":"f@01","arg":"00000000000000ff","ok":true,"out":}`, stored{}, errTorn, ""},
		{`{"i":5,"of":"f@01","arg":"00000000000000ff","ok":true,"out":1}{"i":6,"of":"f@01","arg":"00000000000000ff","ok":true,"out":1}`, stored{}, errTorn, ""},
		{`{"i":5,"of":"f@01","arg":"00000000000000ff","ok":true,"out":{"i":6,"of":"f@01","arg":"00000000000000ff","ok":true,"out":1}`, stored{}, errTorn, ""},
		{`{"i":5,"of":"f@01","arg":"00000000000000ff","ok":true,"out":"ab{"i":6,"of":"f@01","arg":"00000000000000ff","ok":true,"out":"1"}`, stored{}, errTorn, ""},
		{`{"i":5,"of":"f@01","arg":"00000000000000ff","ok":false,"error":{"kind":"trap","mess`, stored{}, errTorn, ""},
		{`{"i":5,"of":"f@01","arg":"00000000000000ff","s":0.2.5,"rank":2,"attempt":1,"ok":true,"out":1}`, stored{}, errTorn, ""},
		{`{"i":5,"of":"f@01","arg":"00000000000000ff","s":0.25,"rank":,"attempt":1,"ok":true,"out":1}`, stored{}, errTorn, ""},
		{"\x00\x00\x00", stored{}, errTorn, ""},
		{"{\"i\":5,\"of\":\"f@\x00\x00\",\"arg\":\"00000000000000ff\",\"ok\":true,\"out\":1}", stored{}, errTorn, ""},
		{`{"i":5,"ok":true,"out":1}`, stored{}, errOld, ""},
		{`{"name":"x"}`, stored{}, errForeign, ""},
		{`{"i":-5,"of":"f@01"}`, stored{}, errForeign, ""},
		{`{"i":"x","of":"f@01"}`, stored{}, errForeign, ""},
		{`5`, stored{}, errForeign, ""},
	}
	for _, tt := range tests {
		var got stored
		err := got.parse([]byte(tt.line))
		if tt.as7 != "" {
			if diff := cmp.Diff(tt.as7+"\n", string(got.renumbered(nil, 7))); diff != "" {
				t.Errorf("%s of input 7 (-want +got):\n%s", tt.line, diff)
			}
		}
		got.line, got.rest = nil, 0
		if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(stored{}, storedFile{})); diff != "" && err == nil || !errors.Is(err, tt.err) {
			t.Errorf("%s: error %v, want %v (-want +got):\n%s", tt.line, err, tt.err, diff)
		}
	}
}

// Both ways to read a line say the same of what map has written, and of any part of it that
// is missing.
func FuzzStored(f *testing.F) {
	for _, seed := range []string{"", "12", "{\"a\":\n1}", "a\nb", "\xff", `"`, "[1,", `{"i":6,"of":"x"}`} {
		f.Add([]byte(seed), "file", uint16(20), uint16(30))
	}
	f.Fuzz(func(t *testing.T, out []byte, file string, from, to uint16) {
		w := newRecordWriter("f@0123456789ab", false)
		this := record{5, digestOf(out), file, run{time.Millisecond, 3, 1}}
		success := string(w.success(nil, &this, out))
		failure := string(w.failure(nil, &this, &executor.TaskError{Kind: host.KindTrap, Message: string(out)}))
		for n, line := range []string{success, failure} {
			line = strings.TrimSuffix(line, "\n")
			var own, other stored
			if err := own.parse([]byte(line)); err != nil || !own.whole || own.ok != (n == 0) || own.i != 5 || own.arg != digestOf(out) || own.file != strings.ToValidUTF8(file, "\uFFFD") {
				t.Fatalf("%q is read as %+v, %v", line, own, err)
			}
			if err := other.parseAny([]byte(line)); err != nil || !cmp.Equal(own, other, cmp.AllowUnexported(stored{}, storedFile{}), cmp.FilterPath(func(p cmp.Path) bool { return p.String() == "rest" }, cmp.Ignore())) {
				t.Fatalf("%q is read as %+v and as %+v, %v", line, own, other, err)
			}
			if from < to && int(to) <= len(line) {
				cut := line[:from] + line[to:]
				own, other = stored{}, stored{}
				fast, err := own.parseOwn([]byte(cut)), other.parseAny([]byte(cut))
				if fast && (err != nil || own.i != other.i || own.arg != other.arg || own.ok != other.ok || !other.whole) {
					t.Fatalf("%q is read as %+v, and as %+v, %v", cut, own, other, err)
				}
			}
		}
	})
}

func TestIndex(t *testing.T) {
	t.Parallel()
	keys := []uint64{5, 0, 7, 5, 5 + 16, 5, 7}
	x, taken := newIndex(keys), newNumberSet()
	for _, want := range []struct {
		key       uint64
		i         int64
		known, ok bool
	}{{5, 0, true, true}, {7, 2, true, true}, {5, 3, true, true}, {5 + 16, 4, true, true}, {5, 5, true, true}, {5, 5, true, false}, {7, 6, true, true}, {0, 0, false, false}, {6, 0, false, false}, {5, 5, true, false}} {
		i, known, ok := x.find(want.key, taken)
		if i != want.i || known != want.known || ok != want.ok {
			t.Fatalf("find(%d) = %d, %t, %t, want %+v", want.key, i, known, ok, want)
		}
		if ok {
			taken.add(i)
		}
	}
	p := &plan{resumed: true, done: taken, total: int64(len(keys))}
	if i := p.next(0); i != 1 || p.next(2) != -1 {
		t.Errorf("%d is left, want the one without a key", i)
	}
}

// surveyOf returns the survey of inputs with some keys.
func surveyOf(keys ...uint64) *survey {
	return &survey{n: int64(len(keys)), keys: keys, key: func(i int64) uint64 { return keys[i] }, taken: newNumberSet()}
}

// A result is first of all that of its own number, also among equal inputs.
func TestSurveyFind(t *testing.T) {
	t.Parallel()
	s := surveyOf(5, 7, 5, 5)
	for _, want := range []struct {
		number, i int64
		known, ok bool
	}{{2, 2, true, true}, {2, 0, true, true}, {0, 3, true, true}, {3, 3, true, false}, {9, 3, true, false}} {
		i, known, ok, err := s.find(&stored{i: want.number, arg: 5})
		if i != want.i || known != want.known || ok != want.ok || err != nil {
			t.Fatalf("find(%d) = %d, %t, %t, %v, want %+v", want.number, i, known, ok, err, want)
		}
		s.taken.add(i)
	}
}

// Lines as map writes them are read the fast way.
func TestStoredFast(t *testing.T) {
	t.Parallel()
	w := newRecordWriter("f@0123456789ab", false)
	for _, r := range []run{{}, {0, 0, 1}, {1234 * time.Millisecond, 12, 3}} {
		this := record{5, 255, "a/b", r}
		lines := [][]byte{w.success(nil, &this, []byte("1")), w.failure(nil, &this, &executor.TaskError{Kind: host.KindTrap})}
		for _, line := range lines {
			if line = bytes.TrimSuffix(line, []byte("\n")); !new(stored).parseOwn(line) {
				t.Errorf("%s is read the slow way", line)
			}
		}
	}
}

func BenchmarkStored(b *testing.B) {
	w := newRecordWriter("square@0123456789ab", false)
	line := w.success(nil, &record{i: 123456, arg: 77, run: run{12 * time.Microsecond, 0, 1}}, []byte("144"))
	line = line[:len(line)-1]
	var s stored
	b.ReportAllocs()
	for b.Loop() {
		if s.parse(line) != nil {
			b.Fatal("no result")
		}
	}
}
