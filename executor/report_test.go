package executor_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/executor"
)

// TestReport checks that a report names the call that runs, how long it has, and
// what waits.
func TestReport(t *testing.T) {
	t.Parallel()
	ex := open(t, executor.Config{RootSlots: 1})
	running := ex.Submit(t.Context(), "burn", number(100_000_000), executor.Tags("the", "long", "one"))
	for range 20 {
		ex.Submit(t.Context(), "burn", number(1))
	}
	defer ex.KillAll(context.Background(), "the test is over") //nolint:errcheck // it is
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		r, err := ex.Report(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Workers) == 0 || len(r.Workers[0].Running) == 0 {
			continue // the worker joins
		}
		w := r.Workers[0]
		c := w.Running[0]
		if !w.Answered || w.Lost || w.InFlight+r.Queued != 21 || c.Task != "burn" || c.For <= 0 || len(c.Tags) != 3 {
			t.Errorf("%+v", r)
		}
		if text := r.String(); !strings.Contains(text, "runs call 1 of burn [the long one], for ") {
			t.Errorf("the report is %q", text)
		} else if !strings.Contains(text, ", 1 slot: ") || !strings.Contains(text, "0 workers not joined yet") {
			t.Errorf("the report counts wrongly: %q", text)
		}
		running.Kill("the test is over")
		return
	}
	t.Error("the call that runs is not reported")
}

// TestReportByItself checks that a pool in which nothing ends says so.
func TestReportByItself(t *testing.T) {
	t.Parallel()
	var log lockedBuffer
	ex := open(t, executor.Config{ReportAfter: 50 * time.Millisecond, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	f := ex.Submit(t.Context(), "burn", number(100_000_000))
	for end := time.Now().Add(20 * time.Second); !strings.Contains(log.String(), "no call has ended for a while"); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Error("there is no report")
			break
		}
	}
	f.Kill("the test is over")
}

// TestReportBeforeTheEnd checks that a pool which cannot stop, as a call does not end,
// says so long before Config.ReportAfter.
func TestReportBeforeTheEnd(t *testing.T) {
	t.Parallel()
	var log lockedBuffer
	ex := open(t, executor.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	f := ex.Submit(t.Context(), "forever", nil)
	eventually(t, "it runs", func() bool { return f.State() == executor.Running })
	if err := ex.Shutdown(t.Context(), executor.NoWait()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a report while it stops that names the call", func() bool {
		for line := range strings.Lines(log.String()) {
			if strings.Contains(line, "stopping=true") && strings.Contains(line, "of forever [], for ") {
				return true
			}
		}
		return false
	})
	f.Kill("the test is over")
}

// TestReportLessOften checks that the pauses between those reports grow, and that
// the workers' answers do not count as news.
func TestReportLessOften(t *testing.T) {
	t.Parallel()
	var log lockedBuffer
	ex := open(t, executor.Config{ReportAfter: 20 * time.Millisecond, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	began := time.Now()
	f := ex.Submit(t.Context(), "burn", number(100_000_000))
	time.Sleep(3 * time.Second)
	f.Kill("the test is over")
	n, most := strings.Count(log.String(), "no call has ended for a while"), 1
	for pause := 20 * time.Millisecond; pause < time.Since(began); pause *= 2 {
		most++
	}
	if n < 1 || n > most {
		t.Errorf("%d reports, want 1 to %d", n, most)
	}
}

// TestReportJoins checks that reports that are asked for at once, and after the
// end, all come back.
func TestReportJoins(t *testing.T) {
	t.Parallel()
	ex := open(t, executor.Config{})
	done := make(chan error, 20)
	for range cap(done) {
		go func() {
			_, err := ex.Report(t.Context())
			done <- err
		}()
	}
	for range cap(done) {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if err := ex.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := ex.Report(t.Context()); !errors.Is(err, executor.ErrClosed) {
		t.Errorf("after the end: %v", err)
	}
}
