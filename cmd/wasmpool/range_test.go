package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// texts returns the arguments of an input, as text.
func texts(in input) []string {
	var all []string
	for _, arg := range arguments(in) {
		all = append(all, string(arg))
	}
	return all
}

func TestRange(t *testing.T) {
	t.Parallel()
	tests := []struct{ text, want string }{
		{"1..5", "1 2 3 4 5"},
		{"7..7", "7"},
		{"-2..1", "-2 -1 0 1"},
		{"1..10..4", "1 5 9"},
		{"10..1..-3", "10 7 4 1"},
		{"5..5..-1", "5"},
		{"0..1..0.25", "0.00 0.25 0.50 0.75 1.00"},
		{"0.1..0.4..0.1", "0.1 0.2 0.3 0.4"},
		{"0.05..-0.05..-0.05", "0.05 0.00 -0.05"},
		{"0..0.02..0.01", "0.00 0.01 0.02"},
		{"-1.5..0.5", "-1.5 -0.5 0.5"},
		{"9223372036854775806..9223372036854775807", "9223372036854775806 9223372036854775807"},
		{"-9223372036854775808..9223372036854775807..9223372036854775807", "-9223372036854775808 -1 9223372036854775806"},
		{"9223372036854775807..-9223372036854775808..-9223372036854775808", "9223372036854775807 -1"},
		{"0..0.000000000000000002..0.000000000000000001", "0.000000000000000000 0.000000000000000001 0.000000000000000002"},
	}
	for _, tt := range tests {
		var f rangeFlag
		if err := f.Set(tt.text); err != nil {
			t.Errorf("%s: %v", tt.text, err)
			continue
		}
		in := f.input()
		want := strings.Fields(tt.want)
		if diff := cmp.Diff(want, texts(in)); diff != "" || in.count() != int64(len(want)) {
			t.Errorf("%s has %d numbers (-want +got):\n%s", tt.text, in.count(), diff)
		}
	}
}

func TestRangeBad(t *testing.T) {
	t.Parallel()
	tests := []struct{ text, want string }{
		{"", "want FROM..TO"},
		{"5", "want FROM..TO"},
		{"1..2..3..4", "want FROM..TO"},
		{"1..", `"" is no number`},
		{"1...5", `".5" is no number`},
		{"1-5", "want FROM..TO"},
		{"a..b", `"a" is no number`},
		{"001..100", `"001" is no number`},
		{"1..1e3", `"1e3" is no number`},
		{"1..+3", `"+3" is no number`},
		{"1..5..0", "step 0"},
		{"1..5..0.0", "step 0"},
		{"5..1", "to count down, give a step below 0"},
		{"1..5..-1", "its step leads away from the end"},
		{"0..9223372036854775808", "too many digits"},
		{"0..9223372036854775807..0.5", "too many digits"},
		{"0..1..0.0000000000000000001", "more than 18 decimal places"},
		{"0..9223372036854775807", "too many numbers"},
		{"-9223372036854775808..9223372036854775807", "too many numbers"},
	}
	for _, tt := range tests {
		var f rangeFlag
		if err := f.Set(tt.text); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: %v, want %q", tt.text, err, tt.want)
		}
	}
	var f rangeFlag
	if err := f.Set("1..2"); err != nil {
		t.Fatal(err)
	}
	if err := f.Set("3..4"); err == nil {
		t.Error("a second range was taken")
	}
}

// Inputs that are computed are had by their numbers: nobody goes through those before.
func TestComputedInputJumps(t *testing.T) {
	t.Parallel()
	var f rangeFlag
	if err := f.Set("1..9000000000000000000"); err != nil {
		t.Fatal(err)
	}
	p := &plan{}
	if err := p.part.where.Set("5,4000000000000000000-4000000000000000001"); err != nil {
		t.Fatal(err)
	}
	var got []string
	for i, it := range f.input().items(p) {
		got = append(got, fmt.Sprintf("%d: %s", i, it.arg))
	}
	want := []string{"5: 6", "4000000000000000000: 4000000000000000001", "4000000000000000001: 4000000000000000002"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("items (-want +got):\n%s", diff)
	}
}
