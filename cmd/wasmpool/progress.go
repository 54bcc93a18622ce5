package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/wasmpool/wasmpool/executor"
)

// progress shows how far a map has come, on a terminal. A nil one shows
// nothing.
type progress struct{ bar *progressbar.ProgressBar }

// newProgress returns a progress bar when standard error is a terminal that the
// results do not go to.
func (a *app) newProgress(out io.Writer, in input) *progress {
	if !isTerminal(a.err) || isTerminal(out) {
		return nil
	}
	return &progress{progressbar.NewOptions64(in.count(),
		progressbar.OptionSetWriter(raw(a.err)),
		progressbar.OptionSetWidth(30),
		progressbar.OptionShowCount(),
		progressbar.OptionShowIts(),
		progressbar.OptionSetItsString("calls"),
		progressbar.OptionClearOnFinish(),
		progressbar.OptionSetSpinnerChangeInterval(0), // no goroutine of its own
	)}
}

// show must not be called concurrently.
func (p *progress) show(done int64) {
	if p != nil {
		p.bar.Set64(done) //nolint:errcheck // a terminal that is gone needs no bar
	}
}

func (p *progress) clear() {
	if p != nil {
		p.bar.Clear() //nolint:errcheck // as above
	}
}

// summarize prints the last line of a map, which err has ended.
func (a *app) summarize(ctx context.Context, ex *executor.Executor, r *results, took time.Duration, err error) {
	stats, _ := ex.Stats(context.WithoutCancel(ctx)) // without them it says less
	text := summary(r.ok, r.failed, took, stats.Workers)
	if r.plan.resumed {
		text = fmt.Sprintf("%d kept, %s", r.plan.kept, text)
	}
	if r.first != "" {
		text += "; " + r.first
	}
	if r.folder {
		text += "; " + folderHint
	}
	if r.hidden {
		text += "; -v shows where they failed"
	}
	if cutShort(err) {
		text += "; the others did not run"
	}
	fmt.Fprintln(a.err, "wasmpool:", text)
}

// cutShort reports whether a map ended, by an interruption or with the pool, before
// all calls had run.
func cutShort(err error) bool {
	var broken *exitError
	return errors.Is(err, executor.ErrInterrupted) || errors.Is(err, context.Canceled) || errors.As(err, &broken)
}

// summary tells what a map did, and who did it when there are several workers.
func summary(ok, failed int64, took time.Duration, workers []executor.WorkerStats) string {
	seconds := max(took.Seconds(), 1e-3)
	text := fmt.Sprintf("%d calls, %d ok, %d failed in %.*f s (%.0f calls/s)",
		ok+failed, ok, failed, decimals(seconds), seconds, float64(ok+failed)/seconds)
	switch {
	case len(workers) == 1 && workers[0].Rank == 0:
		return fmt.Sprintf("%s on %d local %s", text, workers[0].Slots, plural(workers[0].Slots, "slot"))
	case len(workers) > 0:
		return text + "; " + shares(workers)
	}
	return text
}

func decimals(seconds float64) int {
	if seconds < 10 {
		return 2
	}
	return 1
}

func plural(n int, word string) string {
	if n == 1 {
		return word
	}
	return word + "s"
}

// mostShares is how many workers the summary lists one by one.
const mostShares = 32

// shares tells how many calls each worker ran, or, of very many workers, the
// least and the most.
func shares(workers []executor.WorkerStats) string {
	if len(workers) > mostShares {
		least, most := workers[0].Calls, workers[0].Calls
		for _, w := range workers {
			least, most = min(least, w.Calls), max(most, w.Calls)
		}
		return fmt.Sprintf("%d workers ran %d to %d each", len(workers), least, most)
	}
	parts := make([]string, len(workers))
	for i, w := range workers {
		parts[i] = fmt.Sprintf("rank %d: %d", w.Rank, w.Calls)
		if w.Lost {
			parts[i] += " (lost)"
		}
	}
	return strings.Join(parts, ", ")
}
