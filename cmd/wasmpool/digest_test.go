package main

import (
	"bytes"
	"testing"
)

// A digester gives what digestOf gives, of arguments of any length.
func TestDigester(t *testing.T) {
	t.Parallel()
	d := newDigester()
	if d.state == nil {
		t.Error("this SHA-256 has no state as expected: short arguments are slower")
	}
	arg := bytes.Repeat([]byte("\xff"), 200)
	for range 2 { // the second time, after others
		for n := range len(arg) {
			if got, want := d.of(arg[:n]), digestOf(arg[:n]); got != want {
				t.Errorf("%d bytes: %x, want %x", n, got, want)
			}
		}
	}
	if d.state = nil; d.of(nil) != digestOf(nil) {
		t.Error("without the state it gives something else")
	}
}

func BenchmarkDigest(b *testing.B) {
	d, arg := newDigester(), []byte("1234567")
	for name, of := range map[string]func([]byte) digest{"digester": d.of, "digestOf": digestOf} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				of(arg)
			}
		})
	}
}
