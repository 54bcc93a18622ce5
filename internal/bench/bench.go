package bench

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/wasmpool/wasmpool/executor"
)

// began is when this process did, or nearly: the loading of its libraries comes
// before.
var began = time.Now()

// Options say what to measure. The zero value measures the standard cases.
type Options struct {
	// Cases are the names of the cases to run. They run in an order of their
	// own.
	//
	// Defaults to the standard cases.
	Cases []string

	// Runs is how often each case is measured.
	//
	// Defaults to 5, and to 1 for the cases that take long and vary little.
	Runs int

	// N is how many calls a run makes. Cases whose calls are expensive, such as
	// those with long payloads, never make more than their default.
	//
	// Defaults to what suits the case.
	N int

	// Guest is the module to call: tiny for the one written by hand, or what
	// [wasmtasks.Open] takes. It must have the tasks of bench/tasks.
	//
	// Defaults to tiny.
	Guest string

	// Report gets each result as soon as it is known. It must not be nil.
	Report func(Result) error
}

// Validate reports options that cannot be run.
func (o Options) Validate() error {
	if o.Runs < 0 {
		return fmt.Errorf("bench: runs is %d, must not be negative", o.Runs)
	}
	if o.N < 0 {
		return fmt.Errorf("bench: n is %d, must not be negative", o.N)
	}
	known := Names()
	for _, name := range o.Cases {
		if !slices.Contains(known, name) {
			return fmt.Errorf("bench: no case %q, there are: %s", name, strings.Join(known, ", "))
		}
	}
	return nil
}

// wants reports whether a case is to be run.
func (o Options) wants(c benchCase, extra bool) bool {
	if len(o.Cases) == 0 {
		return !extra
	}
	return slices.Contains(o.Cases, c.name)
}

// Run measures and reports. It uses the whole pool, and on the root whole
// CPUs: leave both alone meanwhile.
func Run(ctx context.Context, ex *executor.Executor, o Options) error {
	if err := o.Validate(); err != nil {
		return err
	}
	p, err := newPool(ctx, ex, o.Guest)
	if err != nil {
		return err
	}
	for _, g := range groups() {
		if slices.ContainsFunc(g.cases, func(c benchCase) bool { return o.wants(c, g.extra) }) {
			if err := g.run(ctx, p, o); err != nil {
				return err
			}
		}
	}
	return nil
}

// A group measures one case, or several that come from the same calls.
type group struct {
	cases   []benchCase
	n       int  // calls a run makes
	costly  bool // Options.N can only lower n
	once    bool // one run is enough
	extra   bool // not one of the standard cases
	measure func(ctx context.Context, p *pool, n int) ([]float64, error)
}

// A benchCase is a figure.
type benchCase struct{ name, unit string }

// run measures a group and reports the cases of it that are wanted.
func (g group) run(ctx context.Context, p *pool, o Options) error {
	n, runs := g.size(o)
	values := make([][]float64, len(g.cases))
	for range runs {
		runtime.GC()
		measured, err := g.measure(ctx, p, n)
		if err != nil {
			return fmt.Errorf("bench: case %s: %w", g.cases[0].name, err)
		}
		for i, v := range measured {
			values[i] = append(values[i], v)
		}
	}
	for i, c := range g.cases {
		if !o.wants(c, g.extra) {
			continue
		}
		if err := o.Report(newResult(c, p.ranks, n, values[i])); err != nil {
			return err
		}
	}
	return nil
}

// size returns how many calls a run makes, and how many runs there are.
func (g group) size(o Options) (n, runs int) {
	n, runs = g.n, 5
	if o.N > 0 && (!g.costly || o.N < n) {
		n = o.N
	}
	if g.once {
		runs = 1
	}
	if o.Runs > 0 {
		runs = o.Runs
	}
	return n, runs
}
