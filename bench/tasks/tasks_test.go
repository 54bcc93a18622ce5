package main

import (
	"encoding/binary"
	"testing"
)

func TestBurn(t *testing.T) {
	t.Parallel()
	got, err := Burn([]byte{2, 0, 0, 0, 0, 0, 0, 0})
	step := uint64(1442695040888963407)
	want := step*6364136223846793005 + step
	if err != nil || binary.LittleEndian.Uint64(got) != want {
		t.Errorf("% x, %v", got, err)
	}
	if _, err := Burn(nil); err == nil {
		t.Error("no argument is accepted")
	}
}

// As (-z)² = z², the picture is the same when it is turned by half a turn.
func TestJuliaIsSymmetric(t *testing.T) {
	t.Parallel()
	row := func(y byte) []byte {
		out, err := Julia([]byte{y, 0, 0, 0, 64, 0, 0, 0, 40, 0, 0, 0, 200, 0, 0, 0})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	for y := byte(1); y < 20; y++ {
		top, bottom := row(y), row(40-y)
		for x := 1; x < 64; x++ {
			if top[x] != bottom[64-x] {
				t.Fatalf("point %d of row %d is %d, its image is %d", x, y, top[x], bottom[64-x])
			}
		}
	}
	if _, err := Julia(nil); err == nil {
		t.Error("no argument is accepted")
	}
}
