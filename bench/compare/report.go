package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/wasmpool/wasmpool/internal/bench"
)

// A report is what came out of a comparison.
type report struct {
	name     string
	title    string
	figures  []*series
	verdicts []*verdict
}

func newReport(c comparison) report {
	r := report{name: c.name, title: c.title}
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

// writeText writes the figures for people.
func (r report) writeText(out io.Writer) {
	fmt.Fprintf(out, "\n%s\n", r.title)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, s := range r.figures {
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s\n", s.subject, s.name, spread(s.values), s.unit)
	}
	w.Flush() //nolint:errcheck // an error of stdout
}

// writeVerdicts writes the goals of all reports as one table for people.
func writeVerdicts(out io.Writer, reports []report) {
	fmt.Fprintln(out)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "figure\tunit\tmust\taim\tmedian (least to most)\tverdict")
	for _, r := range reports {
		for _, v := range r.verdicts {
			fmt.Fprintln(w, strings.Join(v.row(), "\t"))
		}
	}
	w.Flush() //nolint:errcheck // an error of stdout
}

// writeMarkdown writes the reports as the tables of docs/benchmarks.md.
func writeMarkdown(out io.Writer, reports []report) {
	fmt.Fprint(out, "\n| figure | unit | must | aim | measured | |\n|---|---|---|---|---|---|\n")
	for _, r := range reports {
		for _, v := range r.verdicts {
			fmt.Fprintf(out, "| %s |\n", strings.Join(v.row(), " | "))
		}
	}
	for _, r := range reports {
		fmt.Fprintf(out, "\n**%s**\n\n| | figure | median (least to most) | unit |\n|---|---|---|---|\n", r.title)
		for _, s := range r.figures {
			fmt.Fprintf(out, "| %s | %s | %s | %s |\n", s.subject, s.name, spread(s.values), s.unit)
		}
	}
}

// row returns the verdict's line in a table.
func (v verdict) row() []string {
	return []string{v.name, v.unit, v.bound(v.must), v.bound(v.aim), spread(v.values), v.word()}
}

// bound writes one of the goal's bounds.
func (g goal) bound(value float64) string {
	switch {
	case value == 0:
		return ""
	case g.most:
		return "≤ " + bench.Format(value)
	default:
		return "≥ " + bench.Format(value)
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
