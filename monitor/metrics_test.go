package monitor

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/wasmpool/wasmpool/feed"
	"github.com/wasmpool/wasmpool/host"
)

// scrape returns what Prometheus reads when it accepts a format.
func scrape(t *testing.T, m *metrics, accept string) string {
	t.Helper()
	r := httptest.NewRequest("GET", "/metrics", nil)
	r.Header.Set("Accept", accept)
	w := httptest.NewRecorder()
	m.ServeHTTP(w, r)
	if w.Code != 200 {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

// updates are two, with a hostile name, that metrics are made of.
func updates() []*feed.Update {
	const name = "<script>\x1b[2J\x00\"\\\xff\n"
	times := func(list ...time.Duration) (d feed.Durations) {
		for _, one := range list {
			d.Add(one)
		}
		return d
	}
	workers := []feed.Worker{
		{Rank: 1, Host: "node1", Slots: 4, InFlight: 2, Runs: 10, Ran: 1500 * time.Millisecond, Heard: 20 * time.Millisecond},
		{Rank: 2, Host: "node2", Slots: 4, Lost: true},
	}
	return []*feed.Update{
		{Tasks: []feed.Task{{
			Name: name, Done: 2, Failed: 3, Again: 1, Kinds: map[host.Kind]uint64{host.KindTrap: 2}, Ran: times(time.Microsecond, time.Millisecond, time.Millisecond, time.Second, time.Hour),
			Queued: times(0), In: 8, Out: 16, Measured: 1, Instructions: 100, Memory: 1 << 16,
		}}, Omitted: 5},
		{
			End:    time.UnixMilli(1500),
			Queued: 1, InFlight: 2, Resting: 3, Awaited: 4, Submitted: 100, Done: 50, Failed: 20, Cancelled: 10, Retried: 7, Workers: workers,
			Tasks: []feed.Task{
				{Name: name, Done: 1, Ran: times(10 * time.Hour), In: 1, Out: 1, Measured: 1, Instructions: 11, Memory: 1 << 10},
				{Name: "square", Done: 9},
			},
			Omitted: 6,
		},
	}
}

// TestMetrics checks the numbers of two updates, and both formats.
func TestMetrics(t *testing.T) {
	t.Parallel()
	m := newMetrics()
	if got := scrape(t, m, "text/plain"); strings.Contains(got, "wasmpool_") || !strings.Contains(got, "go_goroutines") {
		t.Errorf("before the first update: %s", got)
	}
	for _, u := range updates() {
		m.take(u)
	}
	got := scrape(t, m, "text/plain")
	const name = `task="<script>\\x1b[2J\\x00\"\\\\xff\\n"`
	for _, want := range []string{
		"wasmpool_calls_submitted_total 100", "wasmpool_calls_done_total 50", "wasmpool_calls_failed_total 20", "wasmpool_calls_cancelled_total 10", "wasmpool_calls_retried_total 7",
		"wasmpool_calls_queued 1", "wasmpool_calls_in_flight 2", "wasmpool_calls_resting 3", "wasmpool_workers_awaited 4", "wasmpool_workers_joined_total 2", "wasmpool_workers_lost_total 1",
		"wasmpool_feed_runs_omitted_total 11", "wasmpool_feed_updates_total 2", "wasmpool_feed_update_timestamp_seconds 1.5",
		`wasmpool_worker_slots{host="node1",rank="1"} 4`, `wasmpool_worker_slots{host="node2",rank="2"} 0`, `wasmpool_worker_lost{host="node2",rank="2"} 1`,
		`wasmpool_worker_busy_seconds_total{host="node1",rank="1"} 1.5`, `wasmpool_worker_silence_seconds{host="node1",rank="1"} 0.02`, `wasmpool_worker_runs_total{host="node1",rank="1"} 10`,
		`wasmpool_runs_done_total{` + name + `} 3`, `wasmpool_runs_done_total{task="square"} 9`, `wasmpool_runs_repeated_total{` + name + `} 1`,
		`wasmpool_runs_failed_total{kind="trap",` + name + `} 2`, `wasmpool_runs_failed_total{kind="unknown",` + name + `} 1`,
		`wasmpool_argument_bytes_total{` + name + `} 9`, `wasmpool_result_bytes_total{` + name + `} 17`,
		`wasmpool_runs_measured_total{` + name + `} 2`, `wasmpool_instructions_total{` + name + `} 111`, `wasmpool_guest_memory_max_bytes{` + name + `} 65536`,
		`wasmpool_run_duration_seconds_bucket{` + name + `,le="1.024e-06"} 1`, `wasmpool_run_duration_seconds_bucket{` + name + `,le="0.001048576"} 3`,
		`wasmpool_run_duration_seconds_bucket{` + name + `,le="17592.186044416"} 5`, `wasmpool_run_duration_seconds_bucket{` + name + `,le="+Inf"} 6`,
		`wasmpool_run_duration_seconds_count{` + name + `} 6`, `wasmpool_run_duration_seconds_sum{` + name + `} 39601.002001`,
		`wasmpool_queue_duration_seconds_count{` + name + `} 1`,
	} {
		if !strings.Contains(got, "\n"+want+"\n") {
			t.Errorf("%s is nowhere", want)
		}
	}
	t.Log(got)
	problems, err := promlint.New(strings.NewReader(got)).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("promlint says %v, %v", problems, err)
	}
	got = scrape(t, m, "application/openmetrics-text; version=1.0.0")
	for _, want := range []string{"# UNIT wasmpool_run_duration_seconds seconds", "# TYPE wasmpool_calls_done counter", "# EOF"} {
		if !strings.Contains(got, want+"\n") {
			t.Errorf("OpenMetrics: %s is nowhere", want)
		}
	}
}

// TestMetricsBounds checks that there are no more series however many tasks there are.
func TestMetricsBounds(t *testing.T) {
	t.Parallel()
	m := newMetrics()
	for i := range 1000 {
		m.take(&feed.Update{Tasks: []feed.Task{{Name: fmt.Sprint("task", i, strings.Repeat("x", 1000)), Done: 1}}})
	}
	got := scrape(t, m, "text/plain")
	if n := strings.Count(got, "wasmpool_runs_done_total{"); n != mostTaskLabels+1 {
		t.Errorf("series of %d tasks, want %d", n, mostTaskLabels+1)
	}
	if want := `wasmpool_runs_done_total{task="(other tasks)"} 900`; !strings.Contains(got, want) {
		t.Errorf("%s is nowhere", want)
	}
	if len(got) > 4<<20 {
		t.Errorf("%d bytes are scraped", len(got))
	}
}

// BenchmarkScrape measures what it costs when Prometheus reads the metrics of 10 tasks and 64 workers.
func BenchmarkScrape(b *testing.B) {
	m := newMetrics()
	u := &feed.Update{}
	for i := range 64 {
		u.Workers = append(u.Workers, feed.Worker{Rank: i, Host: "node"})
	}
	for i := range 10 {
		u.Tasks = append(u.Tasks, feed.Task{Name: fmt.Sprint(i), Done: 1})
	}
	m.take(u)
	for b.Loop() {
		r := httptest.NewRequest("GET", "/metrics", nil)
		m.ServeHTTP(httptest.NewRecorder(), r)
	}
}
