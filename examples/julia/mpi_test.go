//go:build mpi

package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/internal/mpitest"
)

// Under mpirun the program draws what it draws alone.
func TestRenderUnderMPI(t *testing.T) {
	program := mpitest.Build(t, ".")
	for _, ranks := range []int{2, 4} {
		t.Run(strconv.Itoa(ranks), func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			s := small(t)
			out, err := mpitest.Command(ctx, t, ranks, program, "-tasks", s.tasks, "-out", s.out,
				"-width", fmt.Sprint(s.width), "-height", fmt.Sprint(s.height), "-iterations", fmt.Sprint(s.iterations)).CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			checkPicture(t, s)
			if n := strings.Count(string(out), "rank "); n != ranks-1 {
				t.Errorf("%d workers, want %d:\n%s", n, ranks-1, out)
			}
		})
	}
}
