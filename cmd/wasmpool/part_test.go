package main

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPart(t *testing.T) {
	t.Parallel()
	tests := []struct {
		where, shard string
		text         string  // of where, as it is kept
		want         []int64 // of 0 to 19
	}{
		{"3", "", "3", []int64{3}},
		{"7,3,5-6", "", "3,5-7", []int64{3, 5, 6, 7}},
		{"0-2, 2-4,1", "", "0-4", []int64{0, 1, 2, 3, 4}},
		{"18-", "", "18-", []int64{18, 19}},
		{"1,15-17,16-", "", "1,15-", []int64{1, 15, 16, 17, 18, 19}},
		{"25,30-40", "", "25,30-40", nil},
		{"18-22", "", "18-22", []int64{18, 19}},
		{"", "1/1", "", []int64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19}},
		{"", "1/8", "", []int64{0, 8, 16}},
		{"", "4/8", "", []int64{3, 11, 19}},
		{"", "30/30", "", nil},
		{"2-9,12-", "2/4", "2-9,12-", []int64{5, 9, 13, 17}},
		{"4", "1/3", "4", nil},
	}
	for _, tt := range tests {
		var p part
		if tt.where != "" {
			if err := p.where.Set(tt.where); err != nil {
				t.Fatal(err)
			}
		}
		if tt.shard != "" {
			if err := p.shard.Set(tt.shard); err != nil {
				t.Fatal(err)
			}
		}
		var got []int64
		for i := p.next(0); i >= 0 && i < 20; i = p.next(i + 1) {
			got = append(got, i)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" || p.where.String() != tt.text || p.shard.String() != tt.shard {
			t.Errorf("--where %s --shard %s is %s and %s (-want +got):\n%s", tt.where, tt.shard, &p.where, &p.shard, diff)
		}
		for i := range int64(20) {
			if p.has(i) != slices.Contains(tt.want, i) {
				t.Errorf("--where %s --shard %s: has(%d) = %v", tt.where, tt.shard, i, p.has(i))
			}
		}
		if n := p.count(20); n != int64(len(tt.want)) {
			t.Errorf("--where %s --shard %s has %d of 20, want %d", tt.where, tt.shard, n, len(tt.want))
		}
		if n := p.count(-1); n != -1 {
			t.Errorf("--where %s --shard %s has %d of an unknown number", tt.where, tt.shard, n)
		}
	}
}

func TestPartBad(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                      `"" is no number`,
		"1,":                    `"" is no number`,
		"a":                     `"a" is no number of an input, want ones such as 7, 100-199 or 500-`,
		"-5":                    `"-5" is no number`,
		"1-2-3":                 `"1-2-3" is no number`,
		"1.5":                   `"1.5" is no number`,
		"5-3":                   "5-3 ends before it begins",
		"99999999999999999999":  "is no number",
		"1-9223372036854775807": "is no number",
	} {
		var f stretchesFlag
		if err := f.Set(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("--where %q: %v, want %q", text, err, want)
		}
	}
	for text, want := range map[string]string{
		"":             "want K/N, such as 1/4",
		"1":            "want K/N",
		"1/0":          "want K/N",
		"a/4":          "want K/N",
		"1/2/3":        "want K/N",
		"1/9999999999": "want K/N",
		"0/4":          "the parts are 1/4 to 4/4",
		"5/4":          "the parts are 1/4 to 4/4",
	} {
		var f shardFlag
		if err := f.Set(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("--shard %q: %v, want %q", text, err, want)
		}
	}
}

// What a resumed plan runs are the inputs of its part that are not done.
func TestPlan(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		p := &plan{resumed: true, done: newNumberSet(), total: rnd.Int64N(300)}
		p.part.shard.of = rnd.Int64N(4)
		if rnd.IntN(2) == 0 {
			p.part.where = stretchesFlag{{rnd.Int64N(50), 60}, {70 + rnd.Int64N(100), mostNumber}}
		}
		var want, got []int64
		for i := range p.total {
			if rnd.IntN(3) == 0 {
				p.done.add(i)
			} else if p.part.has(i) {
				want = append(want, i)
			}
		}
		for i := p.next(0); i >= 0; i = p.next(i + 1) {
			got = append(got, i)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%+v runs (-want +got):\n%s", p.part, diff)
		}
	}
}

func TestNumberSet(t *testing.T) {
	t.Parallel()
	s := newNumberSet()
	numbers := []int64{0, 1, 63, 64, 32767, 32768, 1 << 40, 1<<40 + 1, 1<<62 - 1}
	for _, i := range numbers {
		if s.has(i) {
			t.Errorf("%d is there before it was added", i)
		}
		s.add(i)
		s.add(i)
	}
	for _, i := range numbers {
		for _, near := range []int64{i, i + 1, max(i-1, 0), i + 64} {
			if s.has(near) != slices.Contains(numbers, near) {
				t.Errorf("has(%d) = %v", near, s.has(near))
			}
		}
	}
}
