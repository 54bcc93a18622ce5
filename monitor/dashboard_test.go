package monitor

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// metricNames returns the names of all series that Prometheus reads.
func metricNames(t *testing.T) map[string]bool {
	t.Helper()
	m := newMetrics()
	for _, u := range updates() {
		m.take(u)
	}
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, f := range families {
		names[f.GetName()] = true
		if f.GetMetric()[0].GetHistogram() != nil {
			for _, part := range []string{"_bucket", "_sum", "_count"} {
				names[f.GetName()+part] = true
			}
		}
	}
	return names
}

var (
	metricName = regexp.MustCompile(`\b(wasmpool|go|process)_[a-z0-9_]+`)
	labelNames = regexp.MustCompile(`(?:by|on) \(([^)]*)\)`)
)

// TestDashboard checks that docs/grafana.json is sound, and asks for metrics and labels that exist.
func TestDashboard(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../docs/grafana.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Title  string
		Panels []struct {
			ID      int
			Title   string
			GridPos struct{ X, Y, W, H int }
			Targets []struct{ Expr, RefID string }
		}
	}
	if err := json.Unmarshal(data, &dashboard); err != nil {
		t.Fatal(err)
	}
	names, asked := metricNames(t), map[string]bool{}
	labels := []string{"task", "kind", "rank", "host", "le", "job", "instance"}
	for _, p := range dashboard.Panels {
		if p.ID == 0 || p.Title == "" || len(p.Targets) == 0 || p.GridPos.W == 0 || p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("panel %d, %q, is broken", p.ID, p.Title)
		}
		for _, q := range p.Targets {
			found := metricName.FindAllString(q.Expr, -1)
			for _, name := range found {
				asked[name] = true
				if !names[name] {
					t.Errorf("%s: there is no metric %s", p.Title, name)
				}
			}
			for _, list := range labelNames.FindAllStringSubmatch(q.Expr, -1) {
				for label := range strings.SplitSeq(list[1], ", ") {
					if !slices.Contains(labels, label) {
						t.Errorf("%s: there is no label %q", p.Title, label)
					}
				}
			}
			if len(found) == 0 || strings.Count(q.Expr, "(") != strings.Count(q.Expr, ")") || strings.Count(q.Expr, "instance=~") != len(found) {
				t.Errorf("%s: %s asks for nothing, or not for the roots that were chosen", p.Title, q.Expr)
			}
		}
	}
	for name := range names {
		if strings.HasPrefix(name, "wasmpool_") && !asked[name] && !asked[name+"_bucket"] && name != "wasmpool_queue_duration_seconds_sum" && name != "wasmpool_queue_duration_seconds_count" {
			t.Errorf("no panel shows %s", name)
		}
	}
}

// TestMetricsDocument checks that docs/monitor.md says what each metric means, and no more.
func TestMetricsDocument(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../docs/monitor.md")
	if err != nil {
		t.Fatal(err)
	}
	names, told := metricNames(t), map[string]bool{}
	for _, name := range metricName.FindAllString(string(data), -1) {
		told[name] = true
		if !names[name] && strings.HasPrefix(name, "wasmpool_") {
			t.Errorf("the document tells of %s, which is no metric", name)
		}
	}
	for name := range names {
		if part := regexp.MustCompile("_(bucket|sum|count)$"); strings.HasPrefix(name, "wasmpool_") && !told[name] && !told[part.ReplaceAllString(name, "")] {
			t.Errorf("the document does not tell of %s", name)
		}
	}
}
