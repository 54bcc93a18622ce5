package main

import (
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/internal/bench"
)

const guest = "../../internal/bench/guest.wasm"

// A process that computes is seen to use CPU time, as is another process.
func TestCPUTime(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("it is read from /proc")
	}
	before, err := cpuTime([]int{os.Getpid()})
	if err != nil {
		t.Fatal(err)
	}
	for {
		after, err := cpuTime([]int{os.Getpid()})
		if err != nil {
			t.Fatal(err)
		}
		if after > before+20*time.Millisecond {
			break
		}
	}
	other := exec.Command("sleep", "60")
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := cpuTime([]int{os.Getpid(), other.Process.Pid}); err != nil {
		t.Error(err)
	}
	if err := other.Process.Kill(); err != nil {
		t.Error(err)
	}
	other.Wait() //nolint:errcheck // it was killed
	if _, err := cpuTime([]int{other.Process.Pid}); err == nil {
		t.Error("the CPU time of a process that is gone is told")
	}
}

// The numbers come back; a pool without other processes is refused, as nobody could tell its
// CPU time from the root's.
func TestRunAlone(t *testing.T) {
	m := measurement{module: guest, calls: 100, runs: 1, report: func(bench.Result) error { return nil }}
	err := executor.Run(t.Context(), executor.Config{RootSlots: 2}, m.run)
	if err == nil || !strings.Contains(err.Error(), "mpirun") {
		t.Errorf("%v", err)
	}
}
