package main

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/executor"
)

// Other ranks leave errors that all have, and help, to rank 0.
func TestOtherRanksAreSilent(t *testing.T) {
	t.Parallel()
	tests := []struct {
		args string
		want int
	}{
		{"run m --nonsense", exitSetup},
		{"map m", exitSetup},
		{"frobnicate", exitSetup},
		{"run --help", 0},
		{"version", 0},
		{"inspect nosuch", 0}, // rank 0 does it
		{"results nosuch", 0},
		{"status", 0},
		{"kill 1", 0},
		{"init testdata", 0},
	}
	for _, tt := range tests {
		var out bytes.Buffer
		a := &app{in: strings.NewReader(""), out: &out, err: &out, rank: 2}
		if code := a.execute(t.Context(), strings.Fields(tt.args)); code != tt.want || out.Len() > 0 {
			t.Errorf("%s on rank 2: exit code %d, output %q, want %d and none", tt.args, code, &out, tt.want)
		}
	}
}

func TestOneLine(t *testing.T) {
	t.Parallel()
	inner := errors.New("wasmtasks: first\n\n\tsecond ")
	got := oneLine(errors.Join(fmt.Errorf("executor: %w", inner), errors.New("host: third")))
	if want := "first; second; third"; got != want {
		t.Errorf("oneLine = %q, want %q", got, want)
	}
}

func TestExitCode(t *testing.T) {
	t.Parallel()
	silent := &exitError{exitCallFailed, nil}
	if got := exitCode(errors.Join(silent, nil)); got != exitCallFailed {
		t.Errorf("exitCode = %d, want %d", got, exitCallFailed)
	}
	if got := oneLine(silent); got != "" {
		t.Errorf("a silent error says %q", got)
	}
	if got := exitCode(errors.New("any")); got != exitSetup {
		t.Errorf("exitCode of another error = %d, want %d", got, exitSetup)
	}
}

func TestByteSize(t *testing.T) {
	t.Parallel()
	tests := []struct {
		text string
		want uint64
	}{
		{"1", 1},
		{"65536", 65536},
		{"100B", 100},
		{"512MiB", 512 << 20},
		{"1.5 gib", 3 << 29},
		{"2KB", 2000},
		{"", 0},
		{"0", 0},
		{"-1MiB", 0},
		{"NaN", 0},
		{"many", 0},
		{"1TiBB", 0},
		{"99999999999GiB", 0},
	}
	for _, tt := range tests {
		var got byteSize
		err := got.Set(tt.text)
		if uint64(got) != tt.want || (err == nil) != (tt.want > 0) {
			t.Errorf("Set(%q) = %d, %v, want %d", tt.text, got, err, tt.want)
		}
	}
}

func TestSummary(t *testing.T) {
	t.Parallel()
	many := make([]executor.WorkerStats, 40)
	for i := range many {
		many[i] = executor.WorkerStats{Rank: i + 1, Calls: uint64(100 + i)}
	}
	tests := []struct {
		ok, failed int64
		took       time.Duration
		workers    []executor.WorkerStats
		want       string
	}{
		{499, 1, 12 * time.Second / 10, []executor.WorkerStats{{Rank: 1, Calls: 250}, {Rank: 2, Calls: 250, Lost: true}}, "500 calls, 499 ok, 1 failed in 1.20 s (417 calls/s); rank 1: 250, rank 2: 250 (lost)"},
		{2, 0, 20 * time.Second, []executor.WorkerStats{{Slots: 2, Calls: 2}}, "2 calls, 2 ok, 0 failed in 20.0 s (0 calls/s) on 2 local slots"},
		{20, 0, 20 * time.Second, []executor.WorkerStats{{Rank: 1, Slots: 2, Calls: 20}}, "20 calls, 20 ok, 0 failed in 20.0 s (1 calls/s); rank 1: 20"},
		{0, 0, 0, nil, "0 calls, 0 ok, 0 failed in 0.00 s (0 calls/s)"},
		{4780, 0, time.Second, many, "4780 calls, 4780 ok, 0 failed in 1.00 s (4780 calls/s); 40 workers ran 100 to 139 each"},
	}
	for _, tt := range tests {
		if got := summary("calls", tt.ok, tt.failed, tt.took, tt.workers); got != tt.want {
			t.Errorf("summary = %q\nwant      %q", got, tt.want)
		}
	}
}

// trialApp is an app for tests of what it says.
func trialApp() (*app, *bytes.Buffer) {
	said := new(bytes.Buffer)
	return &app{in: strings.NewReader(""), out: new(bytes.Buffer), err: said}, said
}
