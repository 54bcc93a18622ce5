package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"github.com/wasmpool/wasmpool/internal/bench"
)

// A report is what came out of a comparison.
type report struct {
	title    string
	figures  []*series
	verdicts []*verdict
}

func newReport(c comparison) report {
	r := report{title: c.title}
	for _, g := range c.goals {
		r.verdicts = append(r.verdicts, &verdict{goal: g})
	}
	return r
}

// add files the figures of a program, also in values.
func (r *report) add(p program, results []bench.Result, values round) {
	for _, res := range results {
		s := r.series(p.subject, res)
		s.values = append(s.values, res.Value)
		values[p.subject+" "+res.Case] = res.Value
	}
}

// series returns where a figure of a subject is filed.
func (r *report) series(subject string, res bench.Result) *series {
	at := slices.IndexFunc(r.figures, func(s *series) bool { return s.subject == subject && s.name == res.Case })
	if at >= 0 {
		return r.figures[at]
	}
	s := &series{subject: subject, name: res.Case, unit: res.Unit, ranks: res.Ranks}
	r.figures = append(r.figures, s)
	return s
}

// derive notes what the figures of a round say about the goals.
func (r *report) derive(values round) {
	for _, v := range r.verdicts {
		if value, ok := v.derive(values); ok {
			v.values = append(v.values, value)
		}
	}
}

// writeText writes the report for people.
func (r report) writeText(out io.Writer) {
	fmt.Fprintf(out, "\n%s\n", r.title)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, s := range r.figures {
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s\n", s.subject, s.name, spread(s.values), s.unit)
	}
	for _, v := range r.verdicts {
		fmt.Fprintf(w, "  → %s\t%s\t%s\t%s\n", v.name, v.promise(), spread(v.values), v.unit)
	}
	w.Flush() //nolint:errcheck // an error of stdout
}

// writeMarkdown writes the reports as the tables of docs/benchmarks.md.
func writeMarkdown(out io.Writer, reports []report) {
	fmt.Fprint(out, "| figure | unit | must | aim | measured | |\n|---|---|---|---|---|---|\n")
	for _, r := range reports {
		for _, v := range r.verdicts {
			fmt.Fprintf(out, "| %s | %s | %s | %s | %s | %s |\n", v.name, v.unit, bound(v.must), bound(v.aim), spread(v.values), v.mark())
		}
	}
	for _, r := range reports {
		fmt.Fprintf(out, "\n**%s**\n\n| | figure | median (least to most) | unit |\n|---|---|---|---|\n", r.title)
		for _, s := range r.figures {
			fmt.Fprintf(out, "| %s | %s | %s | %s |\n", s.subject, s.name, spread(s.values), s.unit)
		}
	}
}

// spread writes the median of values, and the least and the most.
func spread(values []float64) string {
	switch len(values) {
	case 0:
		return "–"
	case 1:
		return bench.Format(values[0])
	}
	return fmt.Sprintf("%s (%s to %s)", bench.Format(bench.Median(values)), bench.Format(slices.Min(values)), bench.Format(slices.Max(values)))
}

func bound(v float64) string {
	if v == 0 {
		return ""
	}
	return bench.Format(v)
}

// promise says how the goal stands.
func (v *verdict) promise() string {
	if v.must == 0 {
		return ""
	}
	return fmt.Sprintf("must %s: %s", bound(v.must), v.mark())
}

// mark says whether the goal is met.
func (v *verdict) mark() string {
	switch {
	case v.must == 0 && len(v.values) > 0:
		return ""
	case v.aim != 0 && v.met(v.aim):
		return "aim reached"
	case v.met(v.must):
		return "met"
	default:
		return "missed"
	}
}
