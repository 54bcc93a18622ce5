package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParam(t *testing.T) {
	t.Parallel()
	tests := []struct {
		flags, want []string
	}{
		{[]string{"a=1"}, []string{`{"a":1}`}},
		{[]string{"a=1,2", "b=x,y,z"}, []string{
			`{"a":1,"b":"x"}`, `{"a":1,"b":"y"}`, `{"a":1,"b":"z"}`,
			`{"a":2,"b":"x"}`, `{"a":2,"b":"y"}`, `{"a":2,"b":"z"}`,
		}},
		{[]string{"z=1..2", "a=0..1..0.5", "m=t"}, []string{
			`{"z":1,"a":0.0,"m":"t"}`, `{"z":1,"a":0.5,"m":"t"}`, `{"z":1,"a":1.0,"m":"t"}`,
			`{"z":2,"a":0.0,"m":"t"}`, `{"z":2,"a":0.5,"m":"t"}`, `{"z":2,"a":1.0,"m":"t"}`,
		}},
		{[]string{"n=7, 1..3 ,9"}, []string{`{"n":7}`, `{"n":1}`, `{"n":2}`, `{"n":3}`, `{"n":9}`}},
		{[]string{"v=1e3,-0.5,1.,.5,007,+1,0x1,1_0,NaN,true,null"}, []string{
			`{"v":1e3}`, `{"v":-0.5}`, `{"v":"1."}`, `{"v":".5"}`, `{"v":"007"}`, `{"v":"+1"}`,
			`{"v":"0x1"}`, `{"v":"1_0"}`, `{"v":"NaN"}`, `{"v":"true"}`, `{"v":"null"}`,
		}},
		{[]string{`a "b"=../x,v1..2,c=d,é\`}, []string{`{"a \"b\"":"../x"}`, `{"a \"b\"":"v1..2"}`, `{"a \"b\"":"c=d"}`, `{"a \"b\"":"é\\"}`}},
	}
	for _, tt := range tests {
		var f paramFlag
		for _, text := range tt.flags {
			if err := f.Set(text); err != nil {
				t.Fatalf("%s: %v", text, err)
			}
		}
		in := f.input()
		if diff := cmp.Diff(tt.want, texts(in)); diff != "" || in.count() != int64(len(tt.want)) {
			t.Errorf("%v has %d combinations (-want +got):\n%s", tt.flags, in.count(), diff)
		}
	}
}

func TestParamBad(t *testing.T) {
	t.Parallel()
	tests := []struct {
		flags []string
		want  string
	}{
		{[]string{"a"}, "want NAME=a,b,c or NAME=1..10"},
		{[]string{"=1"}, "want NAME=a,b,c"},
		{[]string{"a="}, "a has no values"},
		{[]string{"a= "}, "a has no values"},
		{[]string{"a=1,,2"}, "a has an empty value"},
		{[]string{"a=1,"}, "a has an empty value"},
		{[]string{"a=1,2,1"}, "a has the value 1 twice"},
		{[]string{"a=1", "b=2", "a=3"}, "a is given twice"},
		{[]string{"a=5..1"}, `a: range "5..1" has no numbers`},
		{[]string{"a=1..x"}, `"x" is no number`},
		{[]string{"a=1.."}, `"" is no number`},
		{[]string{"a=\xff"}, "not UTF-8"},
		{[]string{"a=0..9223372036854775806,x"}, "a has too many values"},
		{[]string{"a=1..4294967296", "b=1..4294967296"}, "with b there are more combinations than can be counted"},
		{[]string{"a=1..4294967296", "b=1..2147483648"}, "more combinations than can be counted"},
	}
	for _, tt := range tests {
		var f paramFlag
		var err error
		for _, text := range tt.flags {
			if err == nil {
				err = f.Set(text)
			}
		}
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: %v, want %q", tt.flags, err, tt.want)
		}
	}
}

// As many combinations as can be counted can be had.
func TestParamMost(t *testing.T) {
	t.Parallel()
	var f paramFlag
	for _, text := range []string{"a=0..2147483647", "b=0..4294967294"} {
		if err := f.Set(text); err != nil {
			t.Fatal(err)
		}
	}
	if want := int64(2147483648 * 4294967295); f.n != want {
		t.Errorf("%d combinations, want %d", f.n, want)
	}
	if got := string(f.append(nil, f.n-1)); got != `{"a":2147483647,"b":4294967294}` {
		t.Errorf("the last is %s", got)
	}
}
