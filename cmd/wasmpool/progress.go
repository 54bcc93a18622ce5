package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/signal"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/internal/launch"
	"github.com/wasmpool/wasmpool/internal/plain"
	"github.com/wasmpool/wasmpool/monitor"
)

// A progress tells how far a map, or a single call, has come: by the footer of a terminal, or by a line
// now and then where there is none.
type progress struct {
	total int64  // inputs, or -1 where that is not known
	kept  int64  // of those, what an earlier run has done
	what  string // is done at a pace; "" for calls

	reducing atomic.Int64                        // results that are reduced, when all inputs are done
	loading  func(context.Context) (load, bool)  // what the workers wait for; false: not known
	count    func(context.Context) (tally, bool) // calls that did not run once, false: not known; nil where nobody knows

	show func(footer string) // nil where there is no terminal
	say  func(line string)
	tell func(monitor.Brief) // nil without --progress json
	mode progressMode
	last *lastStanding // for others who ask; nil where nobody does

	pace  pace
	due   time.Duration // when the next line is due
	told  time.Duration // when the next line of JSON is
	asked time.Duration // when the workers are to be asked what they compile
	load  load          // what they wait for
	tally tally         // what count said last
}

const (
	// showEvery is how often the footer is drawn.
	showEvery = 100 * time.Millisecond

	// firstLine is when the first line is due. The next is due when the map has taken twice as
	// long, but no later than after mostQuiet.
	firstLine = 10 * time.Second
	mostQuiet = 10 * time.Minute

	// askEvery is how often the workers are asked what they compile.
	askEvery = time.Second

	// never is a moment that does not come.
	never = time.Duration(math.MaxInt64)
)

// newProgress returns the progress of a map of so many inputs.
func (a *app) newProgress(ex *executor.Executor, total, kept int64) *progress {
	p := &progress{
		total: total, kept: kept, due: firstLine, asked: askEvery, show: a.footer(),
		say:     func(line string) { fmt.Fprintln(a.err, "wasmpool:", line) },
		loading: func(ctx context.Context) (load, bool) { return loading(ctx, ex) },
		count: func(ctx context.Context) (tally, bool) {
			stats, err := ex.Stats(ctx)
			return tallyOf(stats), err == nil
		},
		mode: a.progress,
	}
	if a.view != nil {
		p.last = &a.view.standing
	}
	if a.progress == progressJSON {
		p.tell = func(b monitor.Brief) { writeBrief(a.err, b) }
	}
	p.pace.begin(0, kept)
	return p
}

// footer returns what shows a footer: on the screen here, or on that of wasmpool launch. It
// is nil where there is none.
func (a *app) footer() func(string) {
	switch {
	case !a.progress.isAuto():
		return nil
	case a.screen != nil:
		return a.screen.set
	case a.launched && a.rank == 0 && a.shown:
		return func(footer string) {
			io.WriteString(raw(a.err), launch.FooterLine(footer)) //nolint:errcheck // as for all messages
		}
	}
	return nil
}

// building shows that sources are compiled, which may take a while the first time, until the
// returned function is called.
func (a *app) building(module string) (built func()) {
	show := a.footer()
	if show == nil || strings.HasSuffix(module, ".wasm") {
		return func() {}
	}
	show("building " + plain.Line(module))
	return func() { show("") }
}

// A load is what workers do before they can run calls; each is a name, or empty.
type load struct {
	compiling string // a module
	fetching  string // a shared input
}

// loading asks the workers what they load. known is false while none has answered
// that has something to do.
func loading(ctx context.Context, ex *executor.Executor) (l load, known bool) {
	report, err := ex.Report(ctx)
	if err != nil {
		return load{}, false
	}
	for _, w := range report.Workers {
		if len(w.Loading) > 0 {
			return load{compiling: plain.Line(w.Loading[0])}, true
		}
		if len(w.Fetching) > 0 {
			return load{fetching: plain.Line(w.Fetching[0])}, true
		}
		known = known || len(w.Running) > 0
	}
	return load{}, known
}

// start tells it, on a goroutine of its own, until the returned function is called.
func (p *progress) start(counts func() (done, failed int64)) (stop func()) {
	ctx, quit := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { p.run(ctx, counts) })
	return func() {
		quit()
		running.Wait()
	}
}

// run tells it until ctx ends. SIGUSR2 asks for a line at once.
func (p *progress) run(ctx context.Context, counts func() (done, failed int64)) {
	reports := make(chan os.Signal, 1)
	if signals := launch.ReportSignals(); len(signals) > 0 { // none would be all
		signal.Notify(reports, signals...)
		defer signal.Stop(reports)
	}
	tick := time.NewTicker(showEvery)
	defer tick.Stop()
	for started := time.Now(); ; {
		wanted := false
		select {
		case <-ctx.Done():
			if p.show != nil {
				p.show("")
			}
			p.end(time.Since(started), counts)
			return
		case <-reports:
			wanted = true
		case <-tick.C:
		}
		done, failed := counts()
		p.update(ctx, time.Since(started), done, failed, wanted)
	}
}

// end tells how a map stood when it ended.
func (p *progress) end(at time.Duration, counts func() (done, failed int64)) {
	done, failed := counts()
	if done > 0 {
		p.load = load{}
	}
	p.look(context.Background())
	s := p.standing(at, done+p.kept, failed)
	p.last.note(s)
	if p.tell != nil {
		line := s.brief()
		line.Ended = true
		p.tell(line)
	}
}

// standing returns how a map stands of which so much is done.
func (p *progress) standing(at time.Duration, done, failed int64) standing {
	return standing{what: p.what, reducing: p.reducing.Load(), done: done, failed: failed, kept: p.kept, total: p.total, rate: p.pace.rate(at, done), took: at, load: p.load, tally: p.tally}
}

// update tells how a map stands, of which so much is done without what was kept: on the
// terminal, and by a line where one is due, or wanted.
func (p *progress) update(ctx context.Context, at time.Duration, done, failed int64, wanted bool) {
	wanted = p.lineDue(at) && p.show == nil && p.mode.isAuto() || wanted
	if (wanted || p.show != nil || p.tell != nil) && done == 0 && at >= p.asked {
		p.askLoading(ctx, at)
	}
	done += p.kept
	if done == p.kept && p.load != (load{}) {
		p.pace.begin(at, done) // compiling says nothing about how long calls take
	} else {
		p.load = load{}
	}
	p.look(ctx)
	p.pace.note(at, done)
	s := p.standing(at, done, failed)
	p.last.note(s)
	if p.tell != nil && at >= p.told {
		p.told = at - at%jsonEvery + jsonEvery
		p.tell(s.brief())
	}
	if p.show != nil {
		p.show(s.footer())
	}
	if wanted {
		p.say(s.line())
	}
}

// look asks how many calls did not run once.
func (p *progress) look(ctx context.Context) {
	if p.count == nil {
		return
	}
	if t, known := p.count(ctx); known {
		p.tally = t
	}
}

// askLoading asks what the workers compile, until they do no more.
func (p *progress) askLoading(ctx context.Context, at time.Duration) {
	l, known := p.loading(ctx)
	p.load, p.asked = l, at+askEvery
	if known && l == (load{}) {
		p.asked = never
	}
}

// lineDue reports whether it is time for a line.
func (p *progress) lineDue(at time.Duration) bool {
	if at < p.due {
		return false
	}
	for p.due <= at {
		p.due += min(p.due, mostQuiet)
	}
	return true
}

// summarize prints the last line of a map, whose calls err has ended. well is whether all that came after
// them went well.
func (a *app) summarize(ctx context.Context, ex *executor.Executor, r *results, took time.Duration, err error, well bool) {
	stats, _ := ex.Stats(context.WithoutCancel(ctx)) // without them it says less
	text := summary(r.what(), r.ok.Load(), r.failed.Load(), took, stats.Workers)
	if r.plan.resumed {
		text = fmt.Sprintf("%d kept, %s", r.plan.kept, text)
	}
	if well && r.reducer != nil {
		text += fmt.Sprintf("; reduced %d %s", r.reducer.results, plural(int(r.reducer.results), "result"))
		if failed := r.failed.Load(); failed > 0 {
			text += fmt.Sprintf("; %d %s failed", failed, plural(int(failed), "input"))
		}
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
	text += tallyOf(stats).text("; ")
	if stats.Differed > 0 {
		text += ": the log says which"
	}
	text += idleRoot(stats.Workers)
	fmt.Fprintln(a.err, "wasmpool:", text)
}

// cutShort reports whether a map ended, by an interruption or with the pool, before
// all calls had run.
func cutShort(err error) bool {
	var broken *exitError
	return errors.Is(err, executor.ErrInterrupted) || errors.Is(err, context.Canceled) || errors.As(err, &broken) || errors.As(err, new(*reduceError))
}

// summary tells how many calls, or inputs, a map did, and who did it when there are several workers.
func summary(what string, ok, failed int64, took time.Duration, workers []executor.WorkerStats) string {
	seconds := max(took.Seconds(), 1e-3)
	text := fmt.Sprintf("%d %s, %d ok, %d failed in %.*f s (%.0f %[2]s/s)",
		ok+failed, what, ok, failed, decimals(seconds), seconds, float64(ok+failed)/seconds)
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
