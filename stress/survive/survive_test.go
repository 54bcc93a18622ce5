//go:build mpi

package main

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/internal/mpitest"
)

// TestMPI runs each scenario a few times: make survive runs them often.
func TestMPI(t *testing.T) {
	t.Chdir("../..") // as the flags' defaults are meant
	program := mpitest.Build(t, "./stress/survive")
	wasmpool := filepath.Join(t.TempDir(), "wasmpool")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", wasmpool, "./cmd/wasmpool").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	launch := wasmpool + " launch"
	mpirun := "mpirun --allow-run-as-root --oversubscribe --bind-to none"
	const calls = 1500
	const gone = 20 * time.Second // as the machine may be busy; make survive asks for 5 s
	hurry := []string{"-calls", strconv.Itoa(calls), "-within", "1500ms", "-steps", "500000000", "-gone", gone.String()}
	// Each scenario runs once as it is, and once with a shared input and a memo.
	inputs := append(slices.Clone(hurry), "-shared", "16", "-memo", "-nap", "2ms", "-within", "1s")
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
		{"a worker killed that fetches", "giver", launch, 4},
		{"a worker killed that waits for another one's fetch", "waiter", launch, 4},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := driver{scenario: tc.scenario, launch: tc.launch, program: program, runs: 1, ranks: tc.ranks, calls: calls, within: time.Second, gone: gone}
			runs := [][]string{hurry, inputs}
			if tc.scenario == "giver" || tc.scenario == "waiter" { // that die while the input travels, which is longer here
				runs = [][]string{append(slices.Clone(inputs), "-shared", "128", "-nap", "100us")}
			}
			for _, flags := range runs {
				d.args = append([]string{"-scenario", tc.scenario}, flags...)
				if err := d.run(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	// Hosts are network namespaces, one of which is cut off; Slurm is one of the
	// test's own.
	for _, tc := range []struct {
		name, scenario, system string
	}{
		{"the link of a host: flicker", "flicker", "scripts/netns"},
		{"the link of a host: cut", "cut", "scripts/netns"},
		{"Slurm: a worker killed", "kill", "scripts/slurm -n 5"},
		{"Slurm: the root killed", "root", "scripts/slurm -n 5"},
		{"Slurm: the link of a host: cut", "cut", "scripts/netns scripts/slurm -n 6"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			words := append(strings.Fields(tc.system), program, "-launch", launch, "-program", program, "-runs", "1", "-scenario", tc.scenario)
			if strings.Contains(tc.system, "netns") {
				words = append(words, "-ranks", "6")
			}
			words = append(words, inputs...)
			out, err := exec.CommandContext(t.Context(), words[0], words[1:]...).CombinedOutput()
			if err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}
