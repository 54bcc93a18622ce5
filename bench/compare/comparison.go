package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/wasmpool/wasmpool/internal/bench"
)

// A comparison is what is measured together.
type comparison struct {
	name     string
	title    string
	programs []program // they take turns in this order
	goals    []goal
	once     bool // one round is enough
}

// A goal is what wasmpool promises about figures of one round.
type goal struct {
	name   string
	unit   string
	must   float64
	aim    float64 // 0 is none
	most   bool    // must and aim are upper bounds
	derive func(figures round) (float64, bool)
}

// A round holds one value for each figure, by "subject figure".
type round map[string]float64

// run measures a comparison. Next to an error it returns what it has.
func (c comparison) run(ctx context.Context, t *tools, rounds int) (report, error) {
	r := newReport(c)
	if c.once {
		rounds = 1
	}
	for i := range rounds {
		values := round{}
		for _, p := range c.turns(i) {
			results, err := p.run(ctx, t)
			if err != nil {
				return r, fmt.Errorf("%s: %w", c.name, err)
			}
			r.add(p, results, values)
		}
		r.derive(values)
	}
	return r, nil
}

// turns returns the programs in the order of a round: that of every second one is reversed, so
// that nobody always runs behind the same other.
func (c comparison) turns(round int) []program {
	programs := slices.Clone(c.programs)
	if round%2 == 1 {
		slices.Reverse(programs)
	}
	return programs
}

// figure is the value of a figure itself.
func figure(name string) func(round) (float64, bool) {
	return func(r round) (float64, bool) {
		v, ok := r[name]
		return v, ok
	}
}

// ratio is a figure as a multiple of the best, that is largest, of others.
func ratio(name string, others ...string) func(round) (float64, bool) {
	return func(r round) (float64, bool) {
		best := 0.0
		for _, other := range others {
			best = max(best, r[other])
		}
		v, ok := r[name]
		return v / best, ok && best > 0
	}
}

// A series is what a figure was in each round.
type series struct {
	subject, name, unit string
	ranks               int
	values              []float64
}

// A verdict is a goal with what was reached in each round.
type verdict struct {
	goal
	values []float64
}

// word says whether the goal is met, or nothing where there is none to meet.
func (v verdict) word() string {
	switch {
	case len(v.values) == 0:
		return "not measured"
	case v.must == 0:
		return ""
	case v.aim != 0 && v.met(v.aim):
		return "aim reached"
	case v.met(v.must):
		return "met"
	default:
		return "missed"
	}
}

// met reports whether the median reaches a bound.
func (v verdict) met(bound float64) bool {
	m := bench.Median(v.values)
	return m >= bound && !v.most || m <= bound && v.most
}
