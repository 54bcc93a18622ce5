package monitor_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/internal/guesttest"
	"github.com/wasmpool/wasmpool/internal/unittest"
	"github.com/wasmpool/wasmpool/monitor"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// TestNumbers runs calls with known outcomes, and checks that all views and Stats count the same, and that the slices of the trace are as long
// as Info says.
func TestNumbers(t *testing.T) {
	t.Parallel()
	const odd, burn = 100_000 / unittest.RaceFactor, 100
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	ex, err := executor.Local(executor.Config{RootSlots: 2, Modules: []*wasmtasks.Module{guesttest.Build(t, "../executor/testdata/tasks")}})
	if err != nil {
		t.Fatal(err)
	}
	defer ex.Shutdown(context.Background())
	m, err := monitor.New(ctx, ex, monitor.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	var out bytes.Buffer
	endTrace, err := monitor.NewTrace(&out, 0, nil).Start(ctx, ex)
	if err != nil {
		t.Fatal(err)
	}

	burnt := burnAll(ctx, t, ex, burn)
	failures := 0
	for _, err := range ex.Map(ctx, "odd", numbers(odd)) {
		if err != nil {
			failures++
		}
	}
	if failures != odd/2 || ctx.Err() != nil {
		t.Fatalf("%d calls have failed, want %d (%v)", failures, odd/2, ctx.Err())
	}
	if _, err := ex.Call(ctx, "third", nil, executor.Retries(executor.RetryPolicy{Attempts: 3})); err != nil {
		t.Fatal(err)
	}
	if err := ex.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	if err := endTrace(); err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}

	const done, failed, retried = burn + odd/2 + 1, odd / 2, 2
	const runs = burn + odd + 3
	want := fmt.Sprint(done+failed, done, failed, retried)
	stats, err := ex.Stats(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(done+failed, stats.Done, stats.Failed, stats.Retried); got != want {
		t.Errorf("Stats: %s; want %s", got, want)
	}
	state := m.State()
	if c := state.Counts; fmt.Sprint(c.Submitted, c.CallsDone, c.CallsFail, c.Retried) != want {
		t.Errorf("State: %d, %d, %d, %d; want %s", c.Submitted, c.CallsDone, c.CallsFail, c.Retried, want)
	}
	var report bytes.Buffer
	if err := m.WriteReport(&report); err != nil {
		t.Fatal(err)
	}
	if counts := fmt.Sprintf(`"retried":%d,"callsDone":%d,"callsFailed":%d,`, retried, done, failed); !strings.Contains(report.String(), counts) {
		t.Errorf("the report does not say %s", counts)
	}
	checkScrape(t, m, map[string]uint64{
		"calls_submitted_total": done + failed, "calls_done_total": done, "calls_failed_total": failed, "calls_retried_total": retried, "calls_in_flight": 0,
		`runs_done_total{task="odd"}`: odd / 2, `runs_failed_total{kind="application",task="odd"}`: odd / 2, `argument_bytes_total{task="odd"}`: 8 * odd,
		`runs_done_total{task="burn"}`: burn, `runs_repeated_total{task="third"}`: 2, `run_duration_seconds_count{task="odd"}`: odd,
		`worker_runs_total{host="` + stats.Workers[0].Host + `",rank="0"}`: runs,
	})
	checkSums(t, out.String(), runs, burn, burnt)
}

// burnAll runs so many calls that take some time, and returns how long their runs took together.
func burnAll(ctx context.Context, t *testing.T, ex *executor.Executor, n int) (took time.Duration) {
	t.Helper()
	var list []*executor.Future
	for range n {
		list = append(list, ex.Submit(ctx, "burn", binary.LittleEndian.AppendUint64(nil, 300)))
	}
	for _, f := range list {
		if err := f.Err(ctx); err != nil {
			t.Fatal(err)
		}
		info, _ := f.Info()
		took += info.Ran
	}
	return took
}

// numbers yields the arguments of the task odd.
func numbers(n int) func(yield func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for i := range n {
			if !yield(binary.LittleEndian.AppendUint64(nil, uint64(i))) {
				return
			}
		}
	}
}

// checkScrape checks what the metrics say.
func checkScrape(t *testing.T, m *monitor.Monitor, want map[string]uint64) {
	t.Helper()
	r := httptest.NewRequest("GET", "http://localhost/metrics", nil)
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, r)
	for name, n := range want {
		if line := fmt.Sprintf("\nwasmpool_%s %d\n", name, n); !strings.Contains(w.Body.String(), line) {
			t.Errorf("the metrics lack %q; status %d", line, w.Code)
		}
	}
}

// checkSums checks how many runs a trace has, and how long those of the task burn are.
func checkSums(t *testing.T, data string, runs, burn int, burnt time.Duration) {
	t.Helper()
	trace, err := readTrace(data)
	if err != nil {
		t.Fatal(err)
	}
	list, _ := trace.runs()
	n, took := 0, int64(0)
	for _, e := range list {
		if e.Name == "burn" {
			d, _ := nanos(e.Dur)
			n, took = n+1, took+d
		}
	}
	if n != burn || took != int64(burnt) {
		t.Errorf("%d slices of burn take %d ns, want %d and %d", n, took, burn, burnt)
	}
	if want := fmt.Sprintf(`{"runs with a slice":%d,"runs without one":%d}`, len(list), runs-len(list)); !strings.Contains(data, want) {
		t.Errorf("the trace does not say %s", want)
	}
}
