package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/wasmpool/wasmpool/internal/bench"
)

// Results are what is kept of a run: a file in bench/results.
type results struct {
	Time    time.Time    `json:"time"`
	Commit  commit       `json:"commit"`
	Go      string       `json:"go"`
	Machine string       `json:"machine"`
	Load    float64      `json:"load"` // of the minute before
	Rounds  int          `json:"rounds"`
	Speed   []measured   `json:"speed"` // of the machine
	Goals   []goalResult `json:"goals"`
	Figures []measured   `json:"figures"`
	Failed  []string     `json:"failed,omitempty"` // comparisons that came to no end
}

// A goalResult is a goal, and what was reached.
type goalResult struct {
	Name    string      `json:"name"`
	Unit    string      `json:"unit"`
	Must    float64     `json:"must,omitempty"`
	Aim     float64     `json:"aim,omitempty"`
	Most    bool        `json:"most,omitempty"` // must and aim are upper bounds
	Verdict string      `json:"verdict,omitempty"`
	Reached *statistics `json:"reached,omitempty"`
}

// A measured figure is one of a program.
type measured struct {
	Comparison string      `json:"comparison,omitempty"`
	Subject    string      `json:"subject"`
	Figure     string      `json:"figure"`
	Unit       string      `json:"unit"`
	Ranks      int         `json:"ranks,omitempty"`
	Reached    *statistics `json:"reached,omitempty"`
}

// Statistics are those of the rounds.
type statistics struct {
	Median float64   `json:"median"`
	Least  float64   `json:"least"`
	Most   float64   `json:"most"`
	Rounds []float64 `json:"rounds"`
}

func statisticsOf(values []float64) *statistics {
	if len(values) == 0 {
		return nil
	}
	return &statistics{Median: bench.Median(values), Least: slices.Min(values), Most: slices.Max(values), Rounds: values}
}

// newResults returns what is to be kept of a run that began at a time.
func newResults(began time.Time, c commit, load float64, rounds int, machine report, reports []report, failed []string) results {
	r := results{
		Time: began.UTC().Truncate(time.Second), Commit: c, Go: runtime.Version(), Machine: describeMachine(),
		Load: load, Rounds: rounds, Speed: machine.measured(), Failed: failed,
	}
	for _, report := range reports {
		r.Figures = append(r.Figures, report.measured()...)
		for _, v := range report.verdicts {
			r.Goals = append(r.Goals, goalResult{
				Name: v.name, Unit: v.unit, Must: v.must, Aim: v.aim, Most: v.most,
				Verdict: v.word(), Reached: statisticsOf(v.values),
			})
		}
	}
	return r
}

// measured returns the figures of a report.
func (r report) measured() []measured {
	var list []measured
	for _, s := range r.figures {
		list = append(list, measured{
			Comparison: r.name, Subject: s.subject, Figure: s.name, Unit: s.unit, Ranks: s.ranks, Reached: statisticsOf(s.values),
		})
	}
	return list
}

// file returns the name of the results' file.
func (r results) file() string {
	return fmt.Sprintf("%s-%s.json", r.Time.Format("2006-01-02T150405Z"), r.Commit.name())
}

// write writes the results into a file of a folder.
func (r results) write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	text, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, r.file()), append(text, '\n'), 0o644)
}

// readResults returns all results of a folder: those of older commits first, and of one commit
// those of older runs.
func readResults(dir string) ([]results, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, err
	}
	var all []results
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		var r results
		if err := json.Unmarshal(text, &r); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b results) int {
		return cmp.Or(a.Commit.Time.Compare(b.Commit.Time), cmp.Compare(a.Commit.name(), b.Commit.name()), a.Time.Compare(b.Time))
	})
	return all, nil
}
