package words_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wasmpool/wasmpool/examples/wordcount/words"
)

func TestCount(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		text string
		want words.Report
	}{
		{"", words.Report{Counts: map[string]int{}}},
		{" \n--\n", words.Report{Bytes: 5, Lines: 2, Counts: map[string]int{}}},
		{"One, two, ONE.", words.Report{Bytes: 14, Words: 3, Distinct: 2, Counts: map[string]int{"one": 2, "two": 1}}},
		{"x := f_2(x)\n", words.Report{Bytes: 12, Lines: 1, Words: 4, Distinct: 3, Counts: map[string]int{"x": 2, "f": 1, "2": 1}}},
		{"Éa éA ЖЖ 世界 ٣٤", words.Report{Bytes: 24, Words: 5, Distinct: 4, Counts: map[string]int{"éa": 2, "жж": 1, "世界": 1, "٣٤": 1}}},
		{"a\xffb\xe4\xb8c", words.Report{Bytes: 6, Words: 3, Distinct: 3, Counts: map[string]int{"a": 1, "b": 1, "c": 1}}},
	} {
		var got words.Report
		if err := json.Unmarshal(words.Count([]byte(tc.text)).JSON(), &got); err != nil {
			t.Errorf("%q: %v", tc.text, err)
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", tc.text, diff)
		}
	}
}

// The JSON is what encoding/json would write, which sorts a map's keys.
func FuzzJSON(f *testing.F) {
	f.Add("so, so: and\nSo on")
	f.Add("\u2028 <b> \"ǅ\" İ ﬀ \x00 \xff")
	f.Fuzz(func(t *testing.T, text string) {
		got := words.Count([]byte(text)).JSON()
		var report words.Report
		if err := json.Unmarshal(got, &report); err != nil {
			t.Fatalf("%s: %v", got, err)
		}
		want, err := json.Marshal(report)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
	})
}
