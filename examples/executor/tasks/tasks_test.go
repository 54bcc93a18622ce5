package main

import (
	"errors"
	"testing"

	"github.com/wasmpool/wasmpool/sdk"
)

// The functions of tasks are tested as any others are.
func TestSquare(t *testing.T) {
	t.Parallel()
	for x, want := range map[float64]float64{0: 0, 12: 144, -3: 9, 0.5: 0.25} {
		if got, err := Square(x); got != want || err != nil {
			t.Errorf("Square(%g) = %g, %v; want %g", x, got, err, want)
		}
	}
}

// A trial runs the export as a worker would, JSON and rank included.
func TestPowerOfRank(t *testing.T) {
	t.Parallel()
	for rank, want := range []string{"1", "3", "9", "27"} {
		got, err := sdk.Trial{Arg: []byte("3"), Rank: rank}.Run(power)
		if string(got) != want || err != nil {
			t.Errorf("power of 3 on rank %d = %s, %v; want %s", rank, got, err, want)
		}
	}
}

func TestSpinReturnsItsArgument(t *testing.T) {
	t.Parallel()
	for _, ms := range []float64{0, 0.25, 2} {
		if got, err := Spin(ms); got != ms || err != nil {
			t.Errorf("Spin(%g) = %g, %v", ms, got, err)
		}
	}
}

func TestBadInput(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		export func() int32
		arg    string
	}{
		{"square", square, "twelve"},
		{"square", square, ""},
		{"spin", spin, "-1"},
		{"spin", spin, "1e300"},
	} {
		_, err := sdk.Trial{Arg: []byte(tc.arg)}.Run(tc.export)
		var failed *sdk.Error
		if !errors.As(err, &failed) || failed.Code != 3 {
			t.Errorf("%s(%q): %v, want bad input", tc.name, tc.arg, err)
		}
	}
}
