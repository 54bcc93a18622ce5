package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/pflag"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/monitor"
)

// viewFlags say how a job is seen from outside, and what is left to look at.
type viewFlags struct {
	http     string
	serve    bool // --http was given
	hosts    []string
	report   string
	trace    string
	logs     string
	progress progressMode
	inputs   bool // the command is a map: what is done are inputs
}

func (f *viewFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.http, "http", "", "show the job in a browser: serve a page at `ADDR`, such as :8080 on this host only, :0 for a free port, or 0.0.0.0:8080 for others; a line on standard error has the link")
	flags.StringSliceVar(&f.hosts, "http-host", nil, "with --http, answer under this `NAME`, too, such as that of a proxy; otherwise those of this host, and IP addresses")
	flags.StringVar(&f.report, "report", "", "write that page, whole in one file, to the file `F` when the job has ended")
	flags.StringVar(&f.trace, "trace", "", "write when each call ran, and where, to the file `F`, which ui.perfetto.dev opens")
	flags.StringVar(&f.logs, "logs", "", "keep what tasks print and log in the folder `DIR`, a file for each input, instead of showing it")
	flags.Var(&f.progress, "progress", "how to say how far it has come, a `WORD`: auto (a footer on a terminal, else a line now and then), json (a line of JSON each second), none")
}

// check finds values that make no sense.
func (f *viewFlags) check(flags *pflag.FlagSet) error {
	f.serve = flags.Changed("http")
	if f.serve {
		if _, port, err := net.SplitHostPort(f.http); err != nil || port == "" {
			return fmt.Errorf("--http is %q, want an address with a port, such as :8080, :0 or 0.0.0.0:8080", f.http)
		}
	}
	if flags.Changed("http-host") && (!f.serve || slices.Contains(f.hosts, "")) {
		return errors.New("--http-host is a name under which the page of --http is asked for: give both")
	}
	for _, name := range []string{"report", "trace", "logs"} {
		value, err := flags.GetString(name)
		if err == nil && flags.Changed(name) && (value == "" || value == "-") {
			return fmt.Errorf("--%s is %q: give it a name", name, value)
		}
	}
	return nil
}

// outputs are the files that the flags name.
func (f *viewFlags) outputs() []outputFlag {
	return []outputFlag{{"--report", f.report}, {"--trace", f.trace}, {"--logs", f.logs}}
}

// owns returns what tells files that the flags name from inputs.
func (f *viewFlags) owns() func(name string) bool {
	report, trace, logs := realName(f.report), realName(f.trace), realName(f.logs)
	return func(name string) bool {
		return f.report != "" && realName(name) == report || f.trace != "" && realName(name) == trace || f.logs != "" && isLog(realName(name), logs)
	}
}

// checkInput returns an error if what the flags name would overwrite the input.
func (f *viewFlags) checkInput(in input) error {
	for _, out := range [][2]string{{"--report", f.report}, {"--trace", f.trace}} {
		if info, err := os.Stat(out[1]); out[1] != "" && err == nil && in.reads(info) {
			return fmt.Errorf("%s %s would overwrite the input: give another file", out[0], out[1])
		}
	}
	logs, _ := os.ReadDir(f.logs) // none where there is no folder yet, or no flag
	for _, log := range logs {
		if info, err := log.Info(); err == nil && logNames.MatchString(log.Name()) && in.reads(info) {
			return fmt.Errorf("--logs %s would overwrite the input %s: give another folder", f.logs, filepath.Join(f.logs, log.Name()))
		}
	}
	return nil
}

// logNames matches the names of files of --logs.
var logNames = regexp.MustCompile(`^(call-)?[0-9]+\.log$`)

// isLog reports whether that may be a file of --logs.
func isLog(name, folder string) bool {
	return filepath.Dir(name) == folder && logNames.MatchString(filepath.Base(name))
}

// A view is a job as others see it: a page, the job's socket, a report, a trace. It belongs to rank 0. Nobody watches
// the pool until somebody looks.
type view struct {
	app      *app
	flags    *viewFlags
	verbose  bool
	inputs   callInputs // of which input each call is
	standing lastStanding
	writes   waits                         // until results are written
	behind   atomic.Pointer[func() uint64] // the call whose result is the next to be written; nil where that is not known
	logs     *taskLogs                     // nil without --logs
	log      *slog.Logger

	executor *executor.Executor // nil until the pool is there
	begun    bool               // all was checked: the job makes calls
	page     *monitor.Server    // nil without --http
	socket   *monitor.Socket    // nil where there is none
	trace    *traceFile         // nil without --trace
	reports  reports

	mu      sync.Mutex
	monitor *monitor.Monitor // nil until somebody looks
	closed  bool

	_     [64]byte // what reads the input writes to this all the time
	reads waits    // for the next input of a map
	_     [64]byte
}

// newView returns the view of a job whose pool is not there yet.
func newView(a *app, f *poolFlags) *view {
	v := &view{app: a, flags: &f.view, verbose: f.verbose, log: slog.New(slog.DiscardHandler)}
	if f.view.logs != "" {
		v.logs = newTaskLogs(f.view.logs, &v.inputs, a.err)
	}
	return v
}

// logHandler returns where the pool's log goes that would go to h. On nil, of other ranks, that is h.
func (v *view) logHandler(h slog.Handler) slog.Handler {
	if v == nil {
		return h
	}
	if v.logs != nil {
		h = taskLogHandler{h, v.logs, v.verbose}
	}
	v.log = slog.New(h)
	return h
}

// title is the command line.
func (v *view) title() string { return commandLine(append([]string{"wasmpool"}, v.app.args...)) }

// open begins what the flags ask for.
func (v *view) open(ctx context.Context, ex *executor.Executor) error {
	v.executor = ex
	if err := v.checkFiles(); err != nil {
		return err
	}
	if v.flags.serve || v.flags.report != "" {
		if _, err := v.watch(); err != nil {
			return err
		}
	}
	if v.flags.serve {
		if err := v.openPage(ctx); err != nil {
			return err
		}
	}
	v.socket = v.openSocket()
	return nil
}

// begin says that all was checked, so that what is written overwrites nothing that is needed. No call was made yet.
func (v *view) begin(ctx context.Context) (err error) {
	v.begun = true
	if v.flags.trace != "" {
		v.trace, err = openTrace(ctx, v.executor, v.flags.trace, v.log)
	}
	if info, err := os.Stat(v.flags.report); v.flags.report != "" && (err != nil || info.Mode().IsRegular()) { // a pipe gets one
		v.reports.start(func() {
			if err := v.writeReport(); err != nil {
				v.log.Debug("the report could not be written; it is tried again", "error", err)
			}
		})
	}
	return err
}

// checkFiles looks that what is to be written can be, before anything runs.
func (v *view) checkFiles() error {
	for _, out := range [][2]string{{"--report", v.flags.report}, {"--trace", v.flags.trace}} {
		if out[1] == "" {
			continue
		}
		if err := canWriteWhole(out[1]); err != nil {
			return fmt.Errorf("%s: %w", out[0], err)
		}
	}
	return v.logs.open()
}

// openPage serves the page of --http.
func (v *view) openPage(ctx context.Context) error {
	page, err := monitor.Serve(context.WithoutCancel(ctx), v.flags.http, v.monitor)
	if err != nil {
		return fmt.Errorf("--http: %w", err)
	}
	v.page = page
	where := ""
	if host, err := os.Hostname(); err == nil && v.app.launched {
		where = " (on " + host + ")"
	}
	fmt.Fprintf(v.app.err, "wasmpool: the job's page is %s%s\n", page.URL(), where)
	return nil
}

// errOver is the error of those who look when the job has ended.
var errOver = errors.New("the job has just ended")

// watch returns the monitor, which begins to watch when it is asked for the first time.
func (v *view) watch() (*monitor.Monitor, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.monitor != nil || v.closed {
		if v.monitor == nil {
			return nil, errOver
		}
		return v.monitor, nil
	}
	cfg := monitor.Config{Title: v.title(), Drain: v.drain, Name: v.inputs.name, Hosts: v.flags.hosts}
	if v.flags.inputs {
		cfg.Progress = v.progress
	}
	m, err := monitor.New(context.Background(), v.executor, cfg) // until the pool has ended
	if err != nil {
		return nil, err
	}
	v.monitor = m
	return m, nil
}

// items yields the inputs of a map that are to run, and has it seen how long the next one is waited for.
func (v *view) items(in input, p *plan) iter.Seq2[int64, item] {
	if _, ready := in.(*computed); ready { // nobody waits for those
		return in.items(p)
	}
	return v.reads.input(in.items(p))
}

// progress says how far a map has come, and what it waits for. One goroutine calls it.
func (v *view) progress() monitor.Progress {
	p, now := v.standing.progress(), time.Now()
	p.Input, p.Output = v.reads.look(now), v.writes.look(now)
	if behind := v.behind.Load(); behind != nil && p.Output == 0 {
		p.Behind = v.waitedFor((*behind)())
	}
	return p
}

// waitedFor returns the number of a call whose result is the next to be written if more calls have ended than
// came before it: these wait for it. Else it returns 0.
func (v *view) waitedFor(call uint64) uint64 {
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if stats, err := v.executor.Stats(ctx); err != nil || stats.Done+stats.Failed < call {
		return 0
	}
	return call
}

// drain has no call begun any more.
func (v *view) drain(reason string) {
	if reason == "" {
		reason = "somebody asked for it"
	}
	v.executor.Drain() // first: standard error may block
	fmt.Fprintf(v.app.err, "wasmpool: no call is begun any more, those that run may end: %s\n", reason)
}

// end has no call begun any more, and kills those that run. It returns how many there were.
func (v *view) end(ctx context.Context, reason string) (int, error) {
	v.executor.Drain()
	n, err := v.executor.KillAll(ctx, reason)
	fmt.Fprintf(v.app.err, "wasmpool: no call is begun any more, those that run are killed: %s\n", reason)
	return n, err
}

// close ends it after the pool, and says how that has ended. It writes the report. It returns err, or what went wrong here.
func (v *view) close(err error) error {
	if v == nil || v.executor == nil { // another rank, or no pool
		return err
	}
	v.mu.Lock()
	v.closed = true
	m := v.monitor
	v.mu.Unlock()
	var failed []error
	if m != nil {
		m.End(outcomeOf(err))
		failed = append(failed, m.Close())
	}
	failed = append(failed, v.socket.Close())
	if v.page != nil {
		v.page.Close() //nolint:errcheck // who reads it has gone
	}
	v.reports.stop()
	failed = append(failed, v.trace.close(), v.writeReport(), v.logs.close())
	switch mine := errors.Join(failed...); {
	case err == nil || mine == nil:
		return errors.Join(err, mine)
	default:
		fmt.Fprintln(v.app.err, "wasmpool:", oneLine(mine))
		return err
	}
}

// writeReport writes the file of --report.
func (v *view) writeReport() error {
	if v.flags.report == "" || v.monitor == nil || !v.begun {
		return nil
	}
	var page bytes.Buffer
	err := v.monitor.WriteReport(&page)
	if err == nil {
		err = writeWhole(v.flags.report, page.Bytes())
	}
	if err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return nil
}

// outcomeOf says how a job has ended.
func outcomeOf(err error) string {
	switch {
	case err == nil:
		return "it is done"
	case errors.Is(err, executor.ErrDrained):
		return "it was drained: the others did not run"
	case oneLine(err) == "":
		return "it is done; calls have failed"
	}
	return oneLine(err)
}
