//go:build mpi

package main

import (
	"context"
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
	for _, ranks := range []int{2, 4} {
		t.Run(strconv.Itoa(ranks), func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			data, err := mpitest.Command(ctx, t, ranks, program, "-tasks", tasks).CombinedOutput()
			out := string(data)
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			for part, want := range map[string]int{
				"Only the root executes this code.\n":              1,
				"square: [" + strings.Join(squares(), " ") + "]\n": 1,
				"All processes join again here.\n":                 ranks,
			} {
				if n := strings.Count(out, part); n != want {
					t.Errorf("%d times, want %d: %s", n, want, part)
				}
			}
			checkPowers(t, ranks, out)
			if t.Failed() {
				t.Log(out)
			}
		})
	}
}

// checkPowers looks for x to the rank of a worker, in integers.
func checkPowers(t *testing.T, ranks int, out string) {
	t.Helper()
	_, list, _ := strings.Cut(out, "power: [")
	list, _, _ = strings.Cut(list, "]")
	fields := strings.Fields(list)
	if len(fields) != 100 {
		t.Fatalf("%d powers", len(fields))
	}
	for x, field := range fields {
		power, found := 1, false
		for range ranks - 1 {
			power *= x
			found = found || strconv.Itoa(power) == field
		}
		if !found {
			t.Errorf("%s is not %d to the rank of a worker", field, x)
		}
	}
}
