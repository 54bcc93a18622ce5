package main

import "testing"

func TestFailLimit(t *testing.T) {
	t.Parallel()
	tests := []struct {
		limit        string
		failed, done int64
		want         bool
	}{
		{"1", 0, 1000, false},
		{"1", 1, 1, true},
		{"3", 2, 1000, false},
		{"3", 3, 3, true},
		{"5%", 4, 99, false},
		{"5%", 99, 99, false},
		{"5%", 4, 100, false},
		{"5%", 5, 100, true},
		{"5%", 5, 101, false},
		{"0.1%", 0, 1000, false},
		{"0.1%", 1, 1000, true},
		{"100%", 99, 100, false},
		{"100%", 100, 100, true},
	}
	for _, tt := range tests {
		var l failLimit
		if err := l.Set(tt.limit); err != nil || l.String() != tt.limit {
			t.Fatalf("Set(%q) = %v, is %q", tt.limit, err, l.String())
		}
		if got := l.reached(tt.done, tt.failed); got != tt.want {
			t.Errorf("%s: reached(%d, %d) = %v, want %v", tt.limit, tt.done, tt.failed, got, tt.want)
		}
	}
	if never := new(failLimit); never.reached(1000, 1000) {
		t.Error("a limit that was not given is reached")
	}
}
