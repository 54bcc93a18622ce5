package monitor_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/feed"
	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/monitor"
)

// hostile is text that no view may take for more than text.
const hostile = "<script>\x1b[2J\x00\"\xff\n"

// day is when what tests make up happens.
var day = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// after returns a moment so many microseconds after that.
func after(µs int) time.Time { return day.Add(time.Duration(µs) * time.Microsecond) }

// ran returns a run of a call that began at a moment, on a slot of rank 1.
func ran(call uint64, slot, began, took int) feed.Run {
	return feed.Run{
		Call: call, Task: "square", Attempt: 1, Rank: 1, Host: "node1", Slot: slot, Sent: after(began - 50), Began: after(began), Ended: after(began + took),
		Ran: time.Duration(took) * time.Microsecond, Queued: 20 * time.Microsecond, In: 8, Out: 9,
	}
}

// failure is what a failed run ends with.
func failure(kind host.Kind, message string) error {
	return &executor.TaskError{Task: "square", Kind: kind, Message: message, Rank: 1, Host: "node1"}
}

// trace returns what a trace of updates has in the end.
func trace(t *testing.T, limit int64, log *slog.Logger, updates ...*feed.Update) (string, *traceRead) {
	t.Helper()
	var out bytes.Buffer
	tr := monitor.NewTrace(&out, limit, log)
	for i, u := range updates {
		if err := tr.Add(u); err != nil {
			t.Fatal(err)
		}
		if i > 2 {
			continue
		}
		if _, err := readTrace(out.String()); err != nil {
			t.Fatalf("after update %d the trace cannot be read: %v", i, err)
		}
	}
	for range 2 {
		if err := tr.Close(); err != nil {
			t.Fatal(err)
		}
	}
	read, err := readTrace(out.String())
	if err != nil {
		t.Fatalf("%v in\n%s", err, out.String())
	}
	return out.String(), read
}

// TestTrace checks what a trace has of all that may happen.
func TestTrace(t *testing.T) {
	t.Parallel()
	worker := feed.Worker{Rank: 1, Host: "node1", PID: 7, Slots: 2, Joined: after(-900)}
	lost := worker
	lost.Lost, lost.LostAt, lost.Reason = true, after(900), "it was killed"
	early := ran(1, 0, -500, 600)
	early.Sent = time.Time{}
	failed := ran(3, 1, 200, 100)
	failed.Err, failed.Again, failed.Task, failed.Tags = failure(host.KindTrap, "unreachable"+hostile), true, hostile, []string{hostile}
	again := ran(3, 0, 300, 50)
	again.Attempt, again.Measured, again.Instructions, again.Memory = 2, true, 1234, 65536
	gone := ran(9, -1, 900, 0)
	gone.Err = failure(host.KindLost, "its worker died")
	updates := []*feed.Update{
		{Begin: after(0), End: after(400), Queued: 3, InFlight: 2, Workers: []feed.Worker{worker}, Runs: []feed.Run{
			again, ran(4, 0, 349, 40), early, ran(2, 1, 100, 101), failed, // in no order; 4 and 3 begin before the end of what comes before
			ran(5, -1, 100, 20), ran(6, -1, 100, 20), ran(7, -1, 100, 20), // at once, in two lanes
		}},
		{Begin: after(400), End: after(2_000_400), Done: 20, Failed: 2, Workers: []feed.Worker{lost}, Omitted: 11, Runs: []feed.Run{gone, ran(8, 0, 300, 1000)}},
	}
	text, got := trace(t, 0, nil, updates...)
	if names := fmt.Sprint(got.names); names != "map[1:the pool 3:rank 1 on node1]" {
		t.Error(names)
	}
	runs, took := got.runs()
	want := 0
	for _, u := range updates {
		for _, r := range u.Runs {
			want += int(r.Ran)
		}
	}
	if len(runs) != 10 || int(took) != want {
		t.Errorf("%d slices that take %d ns, want 10 and %d", len(runs), took, want)
	}
	for track, n := range map[string]int{"slot 0": 4, "slot 1": 2, "short runs, 1": 3, "short runs, 2": 1} {
		if got := len(got.slices["rank 1 on node1, "+track]); got != n {
			t.Errorf("%s has %d slices, want %d", track, got, n)
		}
	}
	for name, n := range map[string]int{"joined": 1, "lost": 1, "retry": 1, "11 runs have no slice": 1, "calls": 2, "calls a second": 1, "the trace ends": 1, "square failed": 1} {
		if got.count(name) != n {
			t.Errorf("%d events are called %q, want %d", got.count(name), name, n)
		}
	}
	if strings.ContainsAny(text, "\x1b\x00") || strings.Contains(text, "\xff") {
		t.Error("control characters stand in the trace")
	}
	for _, part := range []string{`"kind":"trap"`, `"error":"unreachable`, `"call":3,"attempt":2`, `"instructions":1234,"memory bytes":65536`, `{"reason":"it was killed"}`, `{"done":10,"failed":1}`, `{"runs with a slice":10,"runs without one":11}`, `"argument bytes":8,"result bytes":9`, `"time":"2026-03-01T12:00:00Z"`} {
		if !strings.Contains(text, part) {
			t.Errorf("%s is nowhere", part)
		}
	}
	if !strings.Contains(text, `"ts":400,"dur":600`) { // call 1: 500 µs before the watch began, where the first worker had joined 900 µs before
		t.Error("a run that began before the watch has another place")
	}
}

// TestTraceEmpty checks a trace of nothing.
func TestTraceEmpty(t *testing.T) {
	t.Parallel()
	if text, _ := trace(t, 0, nil); text != "[]\n" {
		t.Errorf("%q", text)
	}
}

// TestTraceCut checks that a trace can be read that was cut anywhere, as by a kill.
func TestTraceCut(t *testing.T) {
	t.Parallel()
	text, _ := trace(t, 0, nil, &feed.Update{Begin: after(0), End: after(400), Runs: []feed.Run{ran(1, 0, 100, 50), ran(2, 0, 200, 50)}})
	first := strings.Index(text, "\n") + 1
	for n := first; n < len(text); n++ {
		_, err := readTrace(text[:n])
		if err != nil && !strings.Contains(err.Error(), "arrows begin") { // the arrow's end was cut
			t.Fatalf("the first %d of %d bytes: %v", n, len(text), err)
		}
	}
}

// TestTraceBounds checks that a trace ends below its limit, that it leaves out runs and then no failures, that it says so, and that all runs are counted.
func TestTraceBounds(t *testing.T) {
	t.Parallel()
	const limit = 1 << 20
	var updates []*feed.Update
	call := uint64(0)
	for i := range 100 {
		u := &feed.Update{Begin: after(i * 1e6), End: after((i + 1) * 1e6)}
		for range 100 {
			call++
			r := ran(call, int(call%4), int(call)*1e4, 50)
			if call%1000 == 7 {
				r.Err = failure(host.KindTrap, "unreachable")
			}
			u.Runs = append(u.Runs, r)
		}
		updates = append(updates, u)
	}
	var log bytes.Buffer
	text, got := trace(t, limit, slog.New(slog.NewTextHandler(&log, nil)), updates...)
	if len(text) > limit {
		t.Errorf("%d bytes, want %d at most", len(text), limit)
	}
	runs, _ := got.runs()
	if want := fmt.Sprintf(`{"runs with a slice":%d,"runs without one":%d}`, len(runs), int(call)-len(runs)); !strings.Contains(text, want) {
		t.Errorf("%s is nowhere", want)
	}
	if got.count("square failed") != 10 {
		t.Errorf("%d of 10 failures have slices", got.count("square failed"))
	}
	const note = "from here there are slices of failed runs, and of one in 10"
	if got.count(note) != 1 || strings.Count(log.String(), note+`"`) != 1 {
		t.Errorf("the note that runs are left out stands %d times in the trace; the log: %s", got.count(note), log.String())
	}
	for i := range updates {
		for j := range updates[i].Runs {
			updates[i].Runs[j].Err = failure(host.KindTrap, strings.Repeat("x", 500))
		}
	}
	text, got = trace(t, limit, nil, updates...)
	if len(text) > limit || got.count("the trace is full") != 1 || got.count("the trace ends") != 1 {
		t.Errorf("%d bytes of failures, and %d notes that it is full", len(text), got.count("the trace is full"))
	}
}

// broken is a writer that fails.
type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("no space left") }

// TestTraceWriter checks that the writer's error is told.
func TestTraceWriter(t *testing.T) {
	t.Parallel()
	tr := monitor.NewTrace(broken{}, 0, nil)
	for range 2 {
		if err := tr.Add(&feed.Update{Begin: after(0), End: after(1)}); err == nil || err.Error() != "no space left" {
			t.Errorf("Add: %v", err)
		}
	}
	if err := tr.Close(); err == nil {
		t.Error("Close gives no error")
	}
}

// BenchmarkTrace measures what a run costs.
func BenchmarkTrace(b *testing.B) {
	u := &feed.Update{Begin: after(0), End: after(1e5)}
	for i := range 1000 {
		u.Runs = append(u.Runs, ran(uint64(i+1), i%4, i*100, 50))
	}
	var out bytes.Buffer
	tr := monitor.NewTrace(&out, 1<<40, nil)
	for b.Loop() {
		out.Reset()
		if err := tr.Add(u); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/run")
	b.ReportMetric(float64(out.Len())/1000, "bytes/run")
}
