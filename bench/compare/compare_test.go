package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/wasmpool/wasmpool/internal/bench"
)

// TestComparisonsAreConsistent checks that the cases of wasmpool exist and that
// each goal finds its figures.
func TestComparisonsAreConsistent(t *testing.T) {
	t.Parallel()
	for _, c := range comparisons {
		values := round{}
		for _, p := range c.programs {
			for _, name := range p.figures(t) {
				values[p.subject+" "+name] = 1
			}
		}
		for _, g := range c.goals {
			if _, ok := g.derive(values); !ok {
				t.Errorf("%s: the goal %q misses a figure of %v", c.name, g.name, values)
			}
		}
	}
}

// figures returns the names of what a program reports.
func (p program) figures(t *testing.T) []string {
	t.Helper()
	if p.timed {
		return []string{"start"}
	}
	if p.tool != ours {
		return p.args
	}
	cases := strings.Split(p.args[len(p.args)-1], ",")
	if err := (bench.Options{Cases: cases}).Validate(); err != nil {
		t.Error(err)
	}
	return cases
}

// echoes is a comparison with three rounds of figures.
func echoes() report {
	r := newReport(comparison{name: "echo", title: "echoes", goals: []goal{
		{name: "fast", unit: "GB/s", must: 3, aim: 5, derive: figure("wasmpool echo")},
		{name: "faster than others", unit: "×", must: 0.5, derive: ratio("wasmpool echo", "a echo", "b echo")},
		{name: "small", unit: "MB", most: true, must: 3, aim: 2, derive: figure("wasmpool echo")},
		{name: "slow", unit: "MB", most: true, must: 6, aim: 4, derive: figure("wasmpool echo")},
		{name: "no promise", unit: "GB/s", derive: figure("a echo")},
		{name: "never measured", unit: "s", must: 1, derive: figure("c echo")},
	}})
	for _, v := range []float64{4, 2, 6} {
		values := round{}
		for _, subject := range []string{"wasmpool", "a", "b"} {
			value := map[string]float64{"wasmpool": v, "a": 4, "b": 8}[subject]
			r.add(program{subject: subject}, []bench.Result{{Case: "echo", Value: value, Unit: "GB/s", Ranks: 3}}, values)
		}
		r.derive(values)
	}
	return r
}

func TestReport(t *testing.T) {
	t.Parallel()
	var markdown, verdicts strings.Builder
	writeMarkdown(&markdown, []report{echoes()})
	writeVerdicts(&verdicts, []report{echoes()})
	for _, want := range []string{
		"| fast | GB/s | ≥ 3.00 | ≥ 5.00 | 4.00 (2.00 to 6.00) | met |",
		"| faster than others | × | ≥ 0.500 |  | 0.500 (0.250 to 0.750) | met |",
		"| small | MB | ≤ 3.00 | ≤ 2.00 | 4.00 (2.00 to 6.00) | missed |",
		"| slow | MB | ≤ 6.00 | ≤ 4.00 | 4.00 (2.00 to 6.00) | aim reached |",
		"| no promise | GB/s |  |  | 4.00 (4.00 to 4.00) |  |",
		"| never measured | s | ≥ 1.00 |  | – | not measured |",
		"| wasmpool | echo | 4.00 (2.00 to 6.00) | GB/s |",
	} {
		if !strings.Contains(markdown.String(), want+"\n") {
			t.Errorf("no line %q in\n%s", want, &markdown)
		}
		if words := strings.Fields(strings.Trim(want, "| ")); strings.HasSuffix(want, "met |") && !hasLine(verdicts.String(), words) {
			t.Errorf("no line like %q in\n%s", want, &verdicts)
		}
	}
}

// hasLine reports whether a line of text has the words, whatever is between them.
func hasLine(text string, words []string) bool {
	words = slices.DeleteFunc(words, func(w string) bool { return w == "|" })
	for line := range strings.Lines(text) {
		if slices.Equal(strings.Fields(line), words) {
			return true
		}
	}
	return false
}

// Each second round goes the other way, and no round changes the comparison.
func TestTurns(t *testing.T) {
	t.Parallel()
	c := comparison{programs: []program{{subject: "a"}, {subject: "b"}}}
	for i, want := range []string{"a", "b", "a"} {
		if got := c.turns(i); len(got) != 2 || got[0].subject != want {
			t.Errorf("round %d begins with %q, want %q", i, got[0].subject, want)
		}
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	got, err := parse([]byte(`{"case":"a","value":1e6,"unit":"calls/s"}` + "\n" + `{"case":"b","value":2.5}` + "\n"))
	if err != nil || len(got) != 2 || got[0].Value != 1e6 || got[1].Case != "b" {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{"", "hello"} {
		if _, err := parse([]byte(bad)); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

func TestChosen(t *testing.T) {
	t.Parallel()
	if got, err := (settings{cases: "map,submit"}).chosen(); err != nil || len(got) != 2 || got[0].name != "submit" {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := (settings{cases: "nonsense"}).chosen(); err == nil {
		t.Error("an unknown comparison is accepted")
	}
}
