package executor

import (
	"time"

	"github.com/wasmpool/wasmpool/internal/monotime"
	"github.com/wasmpool/wasmpool/internal/wire"
)

// stopQuiet is after how long a silence a report is first due while calls keep the loop
// from stopping: the caller waits for them without having asked for it.
const stopQuiet = 3 * time.Second

// A reporter asks the workers what they do, for one report at a time, and says when a report
// is due by itself: when no call has ended for long. It reads no clock: each moment is given to
// it, in nanoseconds, by monotime. It belongs to the loop.
type reporter struct {
	asked *pendingReport // the report that workers are asked for, and those that share the answers; nil without

	every    time.Duration // how long no call must end until a report is due; 0 is for ever
	next     time.Duration // the same for the present silence: it doubles with each report
	stopping bool          // the loop was asked to stop, and no report was due since
	ended    int64         // when a call was last handed out or came back
}

// A pendingReport waits for workers to answer.
type pendingReport struct {
	awaited int            // workers that were asked and have not answered
	next    *pendingReport // another that the same answers are for
	done    chan struct{}  // closed when report is there
	report  Report
}

func newPendingReport() *pendingReport { return &pendingReport{done: make(chan struct{})} }

// progress takes in that calls were handed out or came back.
func (r *reporter) progress(now int64) {
	r.ended, r.next = now, r.every
	if r.stopping {
		r.next = min(r.every, stopQuiet)
	}
}

// stop takes in that the loop was asked to stop: a report is due soon if calls keep it from that.
func (r *reporter) stop(now int64) {
	r.stopping = true
	r.next = min(r.next, time.Duration(now-r.ended)+stopQuiet)
}

// due reports whether no call has ended for so long that a report is due, and for how
// long. The next is due after twice as long.
func (r *reporter) due(now int64) (quiet time.Duration, due bool) {
	quiet = time.Duration(now - r.ended)
	if r.every <= 0 || quiet < r.next {
		return quiet, false
	}
	r.next, r.stopping = 2*quiet, false
	return quiet, true
}

// ask asks the workers for their status through send, unless that is under way. It reports
// whether p need not wait for any.
func (r *reporter) ask(p *pendingReport, workers []*worker, send func(*worker, []byte)) (complete bool) {
	if r.asked != nil {
		p.next, r.asked.next = r.asked.next, p
		return false
	}
	r.asked = p
	frame := wire.Bare(wire.KindAsk)
	for _, w := range workers {
		w.status, w.questioned = nil, false
		if !w.lost {
			w.questioned = true
			p.awaited++
			send(w, frame)
		}
	}
	return p.awaited == 0
}

// answered takes in that a worker has answered, or never will. It reports whether nobody
// else is waited for.
func (r *reporter) answered(w *worker) (complete bool) {
	if r.asked == nil || !w.questioned {
		return false
	}
	w.questioned = false
	r.asked.awaited--
	return r.asked.awaited <= 0
}

// waits reports whether p waits for answers.
func (r *reporter) waits(p *pendingReport) bool {
	for other := r.asked; other != nil; other = other.next {
		if other == p {
			return true
		}
	}
	return false
}

// end gives report to all that wait for answers.
func (r *reporter) end(report Report) {
	for p := r.asked; p != nil; p = p.next {
		p.report = report
		close(p.done)
	}
	r.asked = nil
}

// ask asks the workers for p, or has p wait for what they were asked already.
func (l *loop) ask(p *pendingReport) {
	if l.reports.ask(p, l.sched.workers, l.out.send) {
		l.reports.end(l.report())
	}
}

// handleStatus takes in a worker's answer.
func (f *fabric) handleStatus(w *worker, body []byte) error {
	var st wire.Status
	if err := wire.Decode(wire.KindStatus, body, &st); err != nil {
		return err
	}
	w.status = &st
	f.loop.answered(w)
	return nil
}

// answered takes in that a worker which may have been asked has answered, or never will.
func (l *loop) answered(w *worker) {
	if l.reports.answered(w) {
		l.reports.end(l.report())
	}
}

// endReport ends p without the answers that have not come, if it still waits.
func (l *loop) endReport(p *pendingReport) {
	if l.reports.waits(p) {
		l.reports.end(l.report())
	}
}

// report makes a report of what the root knows and the workers have answered.
func (l *loop) report() Report {
	l.sweep()
	r := Report{Queued: l.sched.queue.n, Resting: l.resting.count(), Awaited: l.awaited}
	for _, w := range l.sched.workers {
		one := WorkerReport{
			Rank: w.rank, Host: w.host, PID: w.pid, Slots: w.slots, InFlight: w.inflight, Lost: w.lost,
			Heard: time.Duration(monotime.Now() - w.heard), Work: time.Duration(w.load),
		}
		if w.status != nil && !w.lost {
			one.Answered, one.Waiting = true, w.status.Waiting
			one.Running = w.running()
		}
		r.Workers = append(r.Workers, one)
	}
	return r
}

// running names the calls that a worker said it runs.
func (w *worker) running() []RunningCall {
	var list []RunningCall
	for f := w.first; f != nil; f = f.next {
		for _, c := range w.status.Running {
			if c.Number != f.number {
				continue
			}
			call := RunningCall{Number: c.Number, Task: f.task.name, For: time.Duration(c.Nanos)}
			if f.options != nil {
				call.Tags = f.options.tags
			}
			list = append(list, call)
		}
	}
	return list
}

// reportIfDue logs a report if no call has ended for long enough.
func (l *loop) reportIfDue() {
	if quiet, due := l.reports.due(monotime.Now()); due {
		l.reportQuiet(quiet)
	}
}

// reportQuiet logs a report after a long silence, when the workers have answered
// or reportPatience is over.
func (l *loop) reportQuiet(silent time.Duration) {
	p := newPendingReport()
	l.ask(p)
	time.AfterFunc(reportPatience, func() {
		l.in.request(func(l *loop) {
			l.endReport(p)
			l.log.Warn("no call has ended for a while", "silence", silent.Round(time.Second), "stopping", l.ending.stopping, "report", p.report.String())
		})
	})
}
