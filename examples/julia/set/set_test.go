package set_test

import (
	"bytes"
	"math"
	"math/cmplx"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wasmpool/wasmpool/examples/julia/set"
)

var small = set.Row{Width: 60, Height: 40, Iterations: 200, Reach: 1.6, C: complex(-0.8, 0.156)}

// The Julia set of z² is the unit circle, and no point within leaves it.
func TestEscapeFromCircle(t *testing.T) {
	t.Parallel()
	for _, angle := range []float64{0, 0.5, 1, 2, 3, 4, 5, 6} {
		for _, tc := range []struct {
			radius float64
			want   bool
		}{{0, false}, {0.9, false}, {0.999, false}, {1.001, true}, {1.1, true}, {1000, true}, {1e200, true}} {
			z := cmplx.Rect(tc.radius, angle)
			if _, got := set.Escape(z, 0, 50_000); got != tc.want {
				t.Errorf("%v escapes: %t, want %t", z, got, tc.want)
			}
		}
	}
}

// The Julia set of z² - 2 is the line from -2 to 2.
func TestEscapeFromLine(t *testing.T) {
	t.Parallel()
	for z, want := range map[complex128]bool{0: false, 2: false, -2: false, 1: false, 2.001: true, 0.5i: true, 1 + 0.01i: true} {
		if _, got := set.Escape(z, -2, 50_000); got != want {
			t.Errorf("%v escapes: %t, want %t", z, got, want)
		}
	}
}

// A point that is nearer takes longer, by less than it is nearer.
func TestEscapeTimeIsSmooth(t *testing.T) {
	t.Parallel()
	last := math.Inf(1)
	for radius := 1.01; radius < 100; radius *= 1.001 {
		now, escapes := set.Escape(complex(radius, 0), 0, 1000)
		if !escapes || now > last {
			t.Fatalf("time at %g: %g after %g", radius, now, last)
		}
		if last-now > 0.2 && !math.IsInf(last, 1) {
			t.Fatalf("a jump at %g: from %g to %g", radius, last, now)
		}
		last = now
	}
}

func TestPointOfTheSetIsBlack(t *testing.T) {
	t.Parallel()
	if got := set.Point(0.3, 0, 1000); got != (set.Colour{}) {
		t.Errorf("inside: %v", got)
	}
	if got := set.Point(1.5, 0, 1000); got == (set.Colour{}) {
		t.Error("outside: black")
	}
}

// As (-z)² = z², the picture is the same when it is turned by half a turn.
func TestPixelsAreSymmetric(t *testing.T) {
	t.Parallel()
	top, bottom := small, small
	for y := range small.Height / 2 {
		top.Y, bottom.Y = y, small.Height-1-y
		if !bytes.Equal(top.Pixels(), turned(bottom.Pixels())) {
			t.Fatalf("row %d is not row %d turned", top.Y, bottom.Y)
		}
	}
}

func turned(pixels []byte) []byte {
	var rows [][]byte
	for p := range slices.Chunk(pixels, 3) {
		rows = append(rows, p)
	}
	slices.Reverse(rows)
	return bytes.Join(rows, nil)
}

func TestEncode(t *testing.T) {
	t.Parallel()
	want := small
	want.Y = 17
	data, err := want.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := set.Decode(data)
	if err != nil || got != want {
		t.Errorf("%v\n%s", err, cmp.Diff(want, got))
	}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*set.Row){
		"no width":      func(r *set.Row) { r.Width = 0 },
		"too wide":      func(r *set.Row) { r.Width = 1<<16 + 1 },
		"too high":      func(r *set.Row) { r.Height = math.MaxUint32 },
		"below":         func(r *set.Row) { r.Y = r.Height },
		"no iterations": func(r *set.Row) { r.Iterations = 0 },
	} {
		r := small
		change(&r)
		data, err := r.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := set.Decode(data); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := set.Decode([]byte("short")); err == nil {
		t.Error("short: no error")
	}
}
