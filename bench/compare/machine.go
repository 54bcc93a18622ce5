package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"

	"github.com/wasmpool/wasmpool/internal/bench"
)

// machineSpeed is measured before each comparison. It has no goals: it says how fast the machine
// is, and by its spread whether it stayed so.
var machineSpeed = comparison{
	title: "How fast this machine is", once: true,
	programs: []program{{subject: "MPI in C", tool: floor, ranks: 2, args: []string{"loop", "ping"}}},
}

// sampleMachine adds one measurement to a report on the machine.
func sampleMachine(ctx context.Context, t *tools, machine *report) error {
	sample, err := machineSpeed.run(ctx, t, 1)
	if err != nil {
		return fmt.Errorf("the machine's speed: %w", err)
	}
	for _, s := range sample.figures {
		all := machine.series(s.subject, bench.Result{Case: s.name, Unit: s.unit, Ranks: s.ranks})
		all.values = append(all.values, s.values...)
	}
	return nil
}

// writeMachine writes what the machine is, and how fast, as one line.
func writeMachine(out io.Writer, machine report) {
	fmt.Fprintf(out, "\nmachine: %s", describeMachine())
	names := map[string]string{"loop": "a step of a loop of integers", "ping": "raw MPI's round trip", "ping_p99": "99 % of them"}
	for _, s := range machine.figures {
		fmt.Fprintf(out, "; %s %s %s", names[s.name], spread(s.values), s.unit)
	}
	fmt.Fprintln(out)
}

// describeMachine returns the kind of CPU, where Linux tells it, and how many there are.
func describeMachine() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		text = nil
	}
	return fmt.Sprintf("%d × %s, %s/%s", runtime.NumCPU(), cpuModel(text), runtime.GOOS, runtime.GOARCH)
}

// cpuModel finds the kind of CPU in /proc/cpuinfo.
func cpuModel(text []byte) string {
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ":")
		if strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown CPU"
}

// loadOfMachine returns the load of the last minute, where Linux tells it.
func loadOfMachine() (load float64) {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0
	}
	fmt.Sscan(string(text), &load) //nolint:errcheck // 0 then
	return load
}
