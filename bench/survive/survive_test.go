//go:build mpi

package main

import (
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/internal/mpitest"
)

// TestMPI runs each scenario a few times: make survive runs them often.
func TestMPI(t *testing.T) {
	t.Chdir("../..") // as the flags' defaults are meant
	program := mpitest.Build(t, "./bench/survive")
	wasmpool := filepath.Join(t.TempDir(), "wasmpool")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", wasmpool, "./cmd/wasmpool").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	launch := wasmpool + " launch"
	mpirun := "mpirun --allow-run-as-root --oversubscribe --bind-to none"
	hurry := []string{"-calls", "1500", "-within", "1500ms", "-steps", "500000000"}
	for _, tc := range []struct {
		name, scenario, launch string
		ranks                  int
	}{
		{"quiet", "quiet", launch, 4},
		{"a worker killed", "kill", launch, 5},
		{"a worker killed while others compute", "compute", launch, 3},
		{"a worker stopped", "stop", launch, 4},
		{"the root killed", "root", launch, 4},
		{"the root killed under mpirun", "root", mpirun, 4},
		{"the root killed under mpirun with recovery", "root", mpirun + " --enable-recovery", 4},
		{"the root stopped", "pause", launch, 3},
		{"the launcher killed", "wrapper", launch, 4},
		{"a rank killed at the start", "start", launch, 4},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := driver{scenario: tc.scenario, launch: tc.launch, program: program, runs: 2, ranks: tc.ranks, within: 1500 * time.Millisecond}
			d.args = append([]string{"-scenario", tc.scenario}, hurry...)
			if err := d.run(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	// A host is cut off. The hosts are network namespaces.
	for _, scenario := range []string{"flicker", "cut"} {
		t.Run("the link of a host: "+scenario, func(t *testing.T) {
			args := append([]string{program, "-launch", launch, "-program", program, "-runs", "1", "-ranks", "6", "-scenario", scenario}, hurry...)
			out, err := exec.CommandContext(t.Context(), "scripts/netns", args...).CombinedOutput()
			if err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}
