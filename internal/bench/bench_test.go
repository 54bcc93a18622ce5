package bench

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wasmpool/wasmpool/executor"
)

// collect runs cases on a pool in this process and returns the results.
func collect(t *testing.T, o Options) []Result {
	t.Helper()
	ex, err := executor.Local(executor.Config{RootSlots: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := ex.Shutdown(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	}()
	var results []Result
	o.Report = func(r Result) error {
		results = append(results, r)
		return nil
	}
	if err := Run(t.Context(), ex, o); err != nil {
		t.Fatal(err)
	}
	return results
}

// TestRun runs every standard case, briefly.
func TestRun(t *testing.T) { // alone, as it measures memory
	var got []string
	for _, r := range collect(t, Options{N: 200, Runs: 1}) {
		got = append(got, r.Case)
		if r.Ranks != 1 || r.Runs != 1 || r.N < 1 || r.N > 200 || r.Unit == "" || r.Value < 0 || r.Min != r.Value || r.Max != r.Value {
			t.Errorf("%+v", r)
		}
		if r.Value == 0 && !strings.HasPrefix(r.Case, "idle_cpu") {
			t.Errorf("%s is 0", r.Case)
		}
	}
	if diff := cmp.Diff(Standard(), got); diff != "" {
		t.Error(diff)
	}
}

// TestRunChosen runs cases that do not run by default, each as often as asked.
func TestRunChosen(t *testing.T) {
	t.Parallel()
	results := collect(t, Options{Cases: []string{"mixed_serial", "julia", "latency_busy_p99"}, N: 3, Runs: 2})
	var got []string
	for _, r := range results {
		got = append(got, r.Case)
		if r.N != 3 || r.Runs != 2 || r.Min > r.Value || r.Max < r.Value {
			t.Errorf("%+v", r)
		}
	}
	if want := []string{"latency_busy_p99", "julia", "mixed_serial"}; !slices.Equal(got, want) {
		t.Errorf("cases %q, want %q", got, want)
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	for _, o := range []Options{{Cases: []string{"submit", "nonsense"}}, {Runs: -1}, {N: -1}} {
		if err := o.Validate(); err == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
	if err := (Options{Cases: Names()}).Validate(); err != nil {
		t.Error(err)
	}
}

func TestMedianAndQuantile(t *testing.T) {
	t.Parallel()
	values := []float64{5, 1, 4, 2, 3}
	if got := Median(values); got != 3 || values[0] != 5 {
		t.Errorf("the median of %v is said to be %v", values, got)
	}
	if got := Median([]float64{1, 2}); got != 1.5 {
		t.Errorf("the median of 1 and 2 is said to be %v", got)
	}
	sorted := make([]float64, 100)
	for i := range sorted {
		sorted[i] = float64(i + 1)
	}
	for q, want := range map[float64]float64{0: 1, 0.5: 50, 0.99: 99, 1: 100} {
		if got := Quantile(sorted, q); got != want {
			t.Errorf("quantile %v of 1..100 is said to be %v", q, got)
		}
	}
}

func TestFormat(t *testing.T) {
	t.Parallel()
	for v, want := range map[float64]string{0: "0", 0.0123456: "0.0123", 1.005e-5: "1e-05", 1: "1.00", 23.456: "23.5", 512345.6: "512346"} {
		if got := Format(v); got != want {
			t.Errorf("Format(%v) = %q, want %q", v, got, want)
		}
	}
}

// TestWriteJSON holds the shape that other programs read.
func TestWriteJSON(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	r := newResult(benchCase{"latency_busy", "µs"}, 3, 20_000, []float64{9.5, 8.25, 11})
	if err := WriteJSON(&out)(r); err != nil {
		t.Fatal(err)
	}
	want := `{"case":"latency_busy","ranks":3,"value":9.5,"unit":"µs","n":20000,"runs":3,"min":8.25,"max":11}` + "\n"
	if got := out.String(); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestWriteTable(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	report := WriteTable(&out)
	for range 2 {
		if err := report(newResult(benchCase{"submit", "calls/s"}, 3, 100, []float64{512_345})); err != nil {
			t.Fatal(err)
		}
	}
	lines := strings.Split(out.String(), "\n")
	if len(lines) != 4 || !strings.HasPrefix(lines[0], "case ") || !strings.Contains(lines[2], " 512345 calls/s ") {
		t.Errorf("the table is\n%s", &out)
	}
}
