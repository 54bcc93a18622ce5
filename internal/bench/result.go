package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
)

// A Result is one figure of several runs.
type Result struct {
	Case  string  `json:"case"`
	Ranks int     `json:"ranks"` // of the job, the root included
	Value float64 `json:"value"` // the median of the runs
	Unit  string  `json:"unit"`
	N     int     `json:"n"` // calls in a run
	Runs  int     `json:"runs"`
	Min   float64 `json:"min"`
	Max   float64 `json:"max"`
}

func newResult(c benchCase, ranks, n int, values []float64) Result {
	return Result{
		Case: c.name, Ranks: ranks, Value: Median(values), Unit: c.unit, N: n, Runs: len(values),
		Min: slices.Min(values), Max: slices.Max(values),
	}
}

// Median returns the middle of values, which it does not change, or NaN when
// there are none.
func Median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	if n == 0 {
		return math.NaN()
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// Quantile returns the smallest of values, which must be sorted and not empty,
// that a share of q of them does not exceed.
func Quantile(sorted []float64, q float64) float64 {
	at := int(math.Ceil(q*float64(len(sorted)))) - 1
	return sorted[min(max(at, 0), len(sorted)-1)]
}

// WriteJSON returns a function that writes a result as a line of JSON.
func WriteJSON(out io.Writer) func(Result) error {
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	return func(r Result) error { return enc.Encode(r) }
}

// WriteTable returns a function that writes a result as a line of a table. The
// first is preceded by the table's head.
func WriteTable(out io.Writer) func(Result) error {
	const line = "%-21s %12s %-8s %12s %12s %10s %5s %6s\n"
	begun := false
	return func(r Result) error {
		if !begun {
			begun = true
			if _, err := fmt.Fprintf(out, line, "case", "median", "unit", "min", "max", "n", "runs", "ranks"); err != nil {
				return err
			}
		}
		_, err := fmt.Fprintf(out, line, r.Case, Format(r.Value), r.Unit, Format(r.Min), Format(r.Max),
			strconv.Itoa(r.N), strconv.Itoa(r.Runs), strconv.Itoa(r.Ranks))
		return err
	}
}

// Format writes a figure with three significant digits, or more when it is
// large.
func Format(v float64) string {
	switch a := math.Abs(v); {
	case a == 0 || math.IsNaN(v):
		return strconv.FormatFloat(v, 'f', 0, 64)
	case a < 0.001:
		return strconv.FormatFloat(v, 'g', 2, 64)
	case a >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	default:
		return strconv.FormatFloat(v, 'f', 2-int(math.Floor(math.Log10(a))), 64)
	}
}
