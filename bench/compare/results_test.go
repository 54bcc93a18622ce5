package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wasmpool/wasmpool/internal/bench"
)

// runOf returns the results of a run a day after its commit.
func runOf(hash string, day int) results {
	at := time.Date(2026, 1, day, 12, 30, 0, 0, time.UTC)
	machine := newReport(machineSpeed)
	machine.add(program{subject: "MPI in C"}, []bench.Result{{Case: "loop", Value: 1.25, Unit: "ns", Ranks: 2}}, round{})
	return newResults(at.AddDate(0, 0, 1), commit{Hash: hash, Time: at}, 0.25, 3, machine, []report{echoes()}, nil)
}

// What was kept is found again: older commits first, whenever they were measured.
func TestResults(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "results")
	newer, older := runOf("bbbbbbbbbbbbbbbb", 3), runOf("aaaaaaaaaaaaaaaa", 2)
	older.Time = newer.Time.AddDate(0, 0, 5)
	older.Commit.Dirty = true
	for _, r := range []results{newer, older} {
		if err := r.write(dir); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"2026-01-04T123000Z-bbbbbbbbbbbb.json", "2026-01-09T123000Z-aaaaaaaaaaaa-dirty.json"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
	got, err := readResults(dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]results{older, newer}, got); diff != "" {
		t.Error(diff)
	}
	if err := os.WriteFile(filepath.Join(dir, "cut.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readResults(dir); err == nil || !strings.Contains(err.Error(), "cut.json") {
		t.Errorf("a file that was cut: %v", err)
	}
}

func TestNewResults(t *testing.T) {
	t.Parallel()
	r := runOf("aaaaaaaaaaaaaaaa", 2)
	want := goalResult{
		Name: "small", Unit: "MB", Must: 3, Aim: 2, Most: true, Verdict: "missed",
		Reached: &statistics{Median: 4, Least: 2, Most: 6, Rounds: []float64{4, 2, 6}},
	}
	if diff := cmp.Diff(want, r.Goals[2]); diff != "" {
		t.Error(diff)
	}
	if last := r.Goals[len(r.Goals)-1]; last.Reached != nil || last.Verdict != "not measured" {
		t.Errorf("what was not measured is %+v", last)
	}
	if len(r.Speed) != 1 || r.Speed[0].Reached.Median != 1.25 || len(r.Figures) != 3 || r.Figures[1].Comparison != "echo" {
		t.Errorf("%+v, %+v", r.Speed, r.Figures)
	}
}

// The plot is a picture with one panel for each goal that was measured, and one point for each run in each.
func TestPlot(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := plotFile(dir); err != nil {
		t.Errorf("without results: %v", err)
	}
	third := runOf("cccccccccccccccc", 4)
	third.Goals = third.Goals[:1]
	for _, r := range []results{runOf("aaaaaaaaaaaaaaaa", 2), runOf("bbbbbbbbbbbbbbbb", 3), third} {
		if err := r.write(dir); err != nil {
			t.Fatal(err)
		}
	}
	if err := plotFile(dir); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "plot.svg"))
	if err != nil {
		t.Fatal(err)
	}
	for dec := xml.NewDecoder(bytes.NewReader(text)); ; {
		if _, err := dec.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	picture := string(text)
	if panels, points := strings.Count(picture, `class="frame"`), strings.Count(picture, "<circle"); panels != 5 || points != 11 {
		t.Errorf("%d panels and %d points", panels, points)
	}
	for _, want := range []string{"faster than others", "MB, must ≤ 3.00 (dashed), aim ≤ 2.00 (dotted)", "aaaaaaaaaaaa, 2026-01-03 12:30: 4.00 GB/s (2.00 to 6.00)"} {
		if !strings.Contains(picture, want) {
			t.Errorf("no %q", want)
		}
	}
}

func TestMachine(t *testing.T) {
	t.Parallel()
	if got := cpuModel([]byte("processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\n")); got != "Some CPU @ 2 GHz" {
		t.Errorf("the CPU is %q", got)
	}
	if got := cpuModel(nil); got != "unknown CPU" {
		t.Errorf("the CPU that nobody tells is %q", got)
	}
	var out strings.Builder
	r := newReport(machineSpeed)
	for _, v := range []float64{1, 2, 3} {
		r.add(program{subject: "MPI in C"}, []bench.Result{{Case: "loop", Value: v, Unit: "ns"}}, round{})
	}
	writeMachine(&out, r)
	if !strings.HasSuffix(out.String(), "; a step of a loop of integers 2.00 (1.00 to 3.00) ns\n") {
		t.Errorf("%q", &out)
	}
}

// The commit is that of the tree; results in bench/results leave it as it was, any other file does not.
func TestCurrentCommit(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for _, args := range [][]string{
		{"init", "-q"},
		{"-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-q", "--allow-empty", "-m", "first"},
	} {
		if _, err := git(t.Context(), args...); err != nil {
			t.Fatal(err)
		}
	}
	check := func(dirty bool) {
		t.Helper()
		c, err := currentCommit(t.Context())
		if err != nil || len(c.Hash) != 40 || c.Time.IsZero() || c.Dirty != dirty {
			t.Errorf("%+v, %v", c, err)
		}
	}
	check(false)
	if err := os.MkdirAll("bench/results", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("bench/results/a.json", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	check(false)
	if err := os.WriteFile("other", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	check(true)
}
