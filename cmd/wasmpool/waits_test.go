package main

import (
	"io"
	"testing"
	"time"
)

// TestWaits looks at an input and an output that are waited for, and at some that are not.
func TestWaits(t *testing.T) {
	t.Parallel()
	var w waits
	now := time.Now()
	look := func(when string, want time.Duration) {
		t.Helper()
		now = now.Add(time.Second)
		if got := w.look(now); got != want {
			t.Errorf("%s: %v, want %v", when, got, want)
		}
	}
	look("before", 0)
	for range w.input(func(yield func(int64, item) bool) {
		look("a new wait", 0)
		look("the same one", time.Second)
		look("the same one", 2*time.Second)
		if yield(0, item{}) {
			look("the next", 0)
			look("the next", time.Second)
		}
	}) {
		look("with an item", 0)
	}
	look("after", 0)
	for range w.input(func(yield func(int64, item) bool) { yield(0, item{}) }) {
		break
	}
	look("after an input that was not read on", 0)
	if _, err := w.output(io.Discard).Write([]byte("x")); err != nil {
		t.Error(err)
	}
	look("after a write", 0)
	w.begin()
	look("while another one lasts", 0)
	look("while another one lasts", time.Second)
}
