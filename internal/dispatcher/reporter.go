package dispatcher

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
	asked *Question // the question that workers are asked for, and those that share the answers; nil without

	every    time.Duration // how long no call must end until a report is due; 0 is for ever
	next     time.Duration // the same for the present silence: it doubles with each report
	stopping bool          // the loop was asked to stop, and no report was due since
	ended    int64         // when a call was last handed out or came back
}

// A Question is what the workers are asked: what they do.
type Question struct {
	awaited int           // workers that were asked and have not answered
	next    *Question     // another that the same answers are for
	done    chan struct{} // closed when answer is there
	answer  Snapshot
	timeout *time.Timer // ends the wait for the answers
}

func newQuestion() *Question { return &Question{done: make(chan struct{})} }

// Patience is for how long a question waits for the workers' answers.
const Patience = time.Second

// Ask has every worker asked what it does. The question is done when all have answered, or after
// Patience, or never where the loop has ended. It must be closed.
func (d *Dispatcher) Ask() *Question {
	q := newQuestion()
	d.in.request(func(l *Loop) { l.ask(q) })
	q.timeout = time.AfterFunc(Patience, func() { d.in.request(func(l *Loop) { l.endQuestion(q) }) })
	return q
}

// Done returns a channel that is closed when there is an answer.
func (q *Question) Done() <-chan struct{} { return q.done }

// Answer returns the answer of a question that is done.
func (q *Question) Answer() Snapshot { return q.answer }

// Close ends the wait for the answers.
func (q *Question) Close() { q.timeout.Stop() }

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
// whether q need not wait for any.
func (r *reporter) ask(q *Question, workers []*worker, send func(*worker, []byte)) (complete bool) {
	if r.asked != nil {
		q.next, r.asked.next = r.asked.next, q
		return false
	}
	r.asked = q
	frame := wire.Bare(wire.TypeAsk)
	for _, w := range workers {
		w.status, w.questioned = nil, false
		if !w.lost {
			w.questioned = true
			q.awaited++
			send(w, frame)
		}
	}
	return q.awaited == 0
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

// waits reports whether q waits for answers.
func (r *reporter) waits(q *Question) bool {
	for other := r.asked; other != nil; other = other.next {
		if other == q {
			return true
		}
	}
	return false
}

// end gives the answer to all questions that wait for it.
func (r *reporter) end(answer Snapshot) {
	for q := r.asked; q != nil; q = q.next {
		q.answer = answer
		close(q.done)
	}
	r.asked = nil
}

// ask asks the workers for q, or has q wait for what they were asked already.
func (l *Loop) ask(q *Question) {
	if l.reports.ask(q, l.sched.workers, l.out.send) {
		l.reports.end(l.answers())
	}
}

// handleStatus takes in a worker's answer.
func (f *fabric) handleStatus(w *worker, body []byte) error {
	var st wire.Status
	if err := wire.Decode(wire.TypeStatus, body, &st); err != nil {
		return err
	}
	w.status = &st
	f.loop.answered(w)
	return nil
}

// answered takes in that a worker which may have been asked has answered, or never will.
func (l *Loop) answered(w *worker) {
	if l.reports.answered(w) {
		l.reports.end(l.answers())
	}
}

// endQuestion ends q without the answers that have not come, if it still waits.
func (l *Loop) endQuestion(q *Question) {
	if l.reports.waits(q) {
		l.reports.end(l.answers())
	}
}

// reportIfDue logs a report if no call has ended for long enough.
func (l *Loop) reportIfDue() {
	if quiet, due := l.reports.due(monotime.Now()); due {
		l.reportQuiet(quiet)
	}
}

// reportQuiet logs a report after a long silence, when the workers have answered
// or patience is over.
func (l *Loop) reportQuiet(silent time.Duration) {
	q := newQuestion()
	l.ask(q)
	time.AfterFunc(Patience, func() {
		l.in.request(func(l *Loop) {
			l.endQuestion(q)
			l.log.Warn("no call has ended for a while", "silence", silent.Round(time.Second), "stopping", l.ending.stopping, "report", l.describe(q.answer))
		})
	})
}
