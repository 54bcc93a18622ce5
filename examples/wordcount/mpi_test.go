//go:build mpi

package main

import (
	"context"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wasmpool/wasmpool/internal/mpitest"
)

var (
	secondsLine = regexp.MustCompile(`(?m)^.* seconds\n`)
	rankLine    = regexp.MustCompile(`(?m)^rank (\d+): (\d+) calls \(slots: \d+\)\n`)
)

// Under mpirun the program finds what it finds alone, and the ranks share the
// work.
func TestRunUnderMPI(t *testing.T) {
	src, err := goTree(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(src, "net")
	alone, err := count(t, settings{folder: folder, pattern: "*.go", check: true})
	if err != nil {
		t.Fatal(err)
	}
	program := mpitest.Build(t, ".")
	for _, ranks := range []int{2, 4} {
		t.Run(strconv.Itoa(ranks), func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			out, err := mpitest.Command(ctx, t, ranks, program, "-tasks", "tasks", "-dir", folder, "-check").CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if diff := cmp.Diff(found(alone), found(string(out))); diff != "" {
				t.Errorf("-alone +mpirun:\n%s", diff)
			}
			paths, err := list(folder, "*.go")
			if err != nil {
				t.Fatal(err)
			}
			checkShares(t, ranks, len(paths), string(out))
		})
	}
}

// found removes from the output what differs from run to run.
func found(out string) string {
	return rankLine.ReplaceAllString(secondsLine.ReplaceAllString(out, ""), "")
}

// checkShares fails the test unless the workers ran all calls, more than one of
// them some where there are more.
func checkShares(t *testing.T, ranks, calls int, out string) {
	t.Helper()
	sum, busy := 0, 0
	lines := rankLine.FindAllStringSubmatch(out, -1)
	for i, line := range lines {
		if line[1] != strconv.Itoa(i+1) {
			t.Errorf("rank %s, want %d", line[1], i+1)
		}
		n, err := strconv.Atoi(line[2])
		if err != nil {
			t.Fatal(err)
		}
		sum += n
		busy += min(n, 1)
	}
	if len(lines) != ranks-1 || sum != calls || busy < min(ranks-1, 2) {
		t.Errorf("%d workers, %d of them busy, ran %d of %d calls:\n%s", len(lines), busy, sum, calls, out)
	}
}
