package main

import (
	"context"
	"fmt"

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
	for range rounds {
		values := round{}
		for _, p := range c.programs {
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

// minus is the difference of two figures.
func minus(name, other string) func(round) (float64, bool) {
	return func(r round) (float64, bool) {
		v, ok := r[name]
		w, also := r[other]
		return v - w, ok && also
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

// met reports whether the median reaches a bound.
func (v verdict) met(bound float64) bool {
	m := bench.Median(v.values)
	return m >= bound && !v.most || m <= bound && v.most
}
