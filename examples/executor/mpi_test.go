//go:build mpi

package main

import (
	"context"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/internal/mpitest"
)

// Under mpirun only the root runs the root's code, the workers run the calls,
// and all ranks join again.
func TestRunUnderMPI(t *testing.T) {
	program := mpitest.Build(t, ".")
	for _, ranks := range []int{1, 2, 4} {
		t.Run(strconv.Itoa(ranks), func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			out, err := mpitest.Command(ctx, t, ranks, program, "-tasks", "tasks").CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			check(t, ranks, string(out))
		})
	}
}

func check(t *testing.T, ranks int, out string) {
	t.Helper()
	// Lines of different ranks may come in any order.
	const join = "All processes join again here.\n"
	if n := strings.Count(out, join); n != ranks {
		t.Errorf("%d of %d ranks join again:\n%s", n, ranks, out)
	}
	lines := strings.Split(strings.ReplaceAll(out, join, ""), "\n")
	if len(lines) != 4 || lines[0] != "Only the root executes this code." {
		t.Fatalf("printed:\n%s", out)
	}
	powers, squares := numbersAfter(t, "power:", lines[1]), numbersAfter(t, "square:", lines[2])
	for x := range 100 {
		if !isPower(x, powers[x], ranks) {
			t.Errorf("%g is not %d to the rank of a worker", powers[x], x)
		}
		if squares[x] != float64(x*x) {
			t.Errorf("the square of %d is %g", x, squares[x])
		}
	}
}

// isPower reports whether y is x to the rank of one of the workers; with one
// rank that is the root.
func isPower(x int, y float64, ranks int) bool {
	first := min(1, ranks-1)
	for rank := first; rank < ranks; rank++ {
		if math.Pow(float64(x), float64(rank)) == y {
			return true
		}
	}
	return false
}

// numbersAfter returns the 100 numbers of a line.
func numbersAfter(t *testing.T, name, line string) []float64 {
	t.Helper()
	rest, ok := strings.CutPrefix(line, name)
	fields := strings.Fields(rest)
	if !ok || len(fields) != 100 {
		t.Fatalf("want %s and 100 numbers: %s", name, line)
	}
	numbers := make([]float64, len(fields))
	for i, field := range fields {
		var err error
		if numbers[i], err = strconv.ParseFloat(field, 64); err != nil {
			t.Fatal(err)
		}
	}
	return numbers
}
