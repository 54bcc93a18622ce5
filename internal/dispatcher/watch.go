package dispatcher

import (
	"slices"
	"time"

	"github.com/wasmpool/wasmpool/feed"
	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/internal/monotime"
	"github.com/wasmpool/wasmpool/internal/wire"
)

// A Watch gathers what happens in the pool between two looks: counts of everything, and records of some runs, so
// that it is bounded in memory and in time whatever the rate. It belongs to the loop until that has ended.
type Watch struct {
	began   time.Time    // of the present update
	tasks   []*feed.Task // by number; nil for those of which no run has ended
	sample  []feed.Run
	failed  []feed.Run // beyond the sample
	longest []feed.Run // likewise
	short   time.Duration
	runs    uint64       // that have ended
	noted   *feed.Run    // the record of the run that ended last; nil without
	task    *Task        // its task; nil without
	tally   *feed.Task   // what is counted of that
	last    *feed.Update // after the loop's end
}

// watching is what the loop keeps for those who watch.
type watching struct {
	watches []*Watch
	sent    []int64   // when the calls in flight were sent, by ticket and by monotime; 0 is unknown. Kept for duplicates, too
	epoch   time.Time // of the root's clock, where monotime is 0
}

// on reports whether anybody watches.
func (g *watching) on() bool { return len(g.watches) > 0 }

// wall returns a moment by monotime as one of the root's clock.
func (g *watching) wall(moment int64) time.Time { return g.epoch.Add(time.Duration(moment)) }

// Watch begins to gather what happens.
func (l *Loop) Watch() *Watch {
	if !l.on() {
		l.epoch = time.Now().Round(0).Add(-time.Duration(monotime.Now()))
		if !l.duplicates.on { // else they are known, and needed
			clear(l.sent)
		}
		defer l.tellWatched(true)
	}
	w := &Watch{began: l.wall(monotime.Now())}
	l.watches = append(l.watches, w)
	return w
}

// Unwatch ends a watch, which may be nil.
func (l *Loop) Unwatch(w *Watch) {
	at := slices.Index(l.watches, w)
	if at < 0 {
		return
	}
	l.watches = slices.Delete(l.watches, at, at+1)
	if !l.on() {
		l.tellWatched(false)
	}
}

// Last returns the last update of a watch whose loop has ended.
func (w *Watch) Last() *feed.Update { return w.last }

// tellWatched tells the workers whether somebody watches.
func (l *Loop) tellWatched(on bool) {
	for _, w := range l.sched.workers {
		if !w.lost {
			l.out.control(w, wire.TypeWatch, wire.Watch{On: on})
		}
	}
}

// closeWatches gives every watch its last update. The loop ends.
func (l *Loop) closeWatches() {
	for _, w := range l.watches {
		w.last = l.Look(w)
	}
}

// Look returns what has happened since the last look, or since the watch began.
func (l *Loop) Look(w *Watch) *feed.Update {
	l.sweep()
	now := l.wall(monotime.Now())
	u := &feed.Update{
		Begin: w.began, End: now,
		Queued: l.sched.waiting(), InFlight: l.sched.flying(), Resting: l.resting.count(), Awaited: l.awaited,
		Submitted: l.in.newest(), Done: l.counts.done, Failed: l.counts.failed, Retried: l.counts.retried,
		Cancelled: l.counts.cancelled + uint64(l.cancelled.Load()), Found: l.memo.found.Load(), Differed: l.memo.differed.Load() + l.counts.differed,
		Duplicated: l.counts.duplicated, Checked: l.counts.checked,
	}
	w.began = now
	u.Workers = l.feedWorkers()
	for i, t := range w.tasks {
		if t != nil {
			u.Tasks = append(u.Tasks, *t)
			w.tasks[i] = nil
		}
	}
	u.Runs = append(append(w.sample, w.failed...), w.longest...)
	u.Omitted = w.runs - uint64(len(u.Runs))
	w.sample, w.failed, w.longest, w.short, w.runs = nil, nil, nil, 0, 0
	w.noted, w.task, w.tally = nil, nil, nil
	return u
}

// feedWorkers returns what the root knows of all workers.
func (l *Loop) feedWorkers() []feed.Worker {
	now := monotime.Now()
	list := make([]feed.Worker, 0, len(l.sched.workers))
	for _, w := range l.sched.workers {
		one := feed.Worker{
			Rank: w.rank, Host: w.host, PID: w.pid, Slots: w.slots, Joined: l.wall(w.joined), Heard: time.Duration(now - w.heard),
			InFlight: w.inflight, Work: time.Duration(w.load), Runs: w.calls, Ran: time.Duration(w.ran), Lost: w.lost, Reason: w.reason,
		}
		if w.lost {
			one.LostAt = l.wall(w.lostAt)
		}
		list = append(list, one)
	}
	return list
}

// noteSent notes when a call is sent.
func (l *Loop) noteSent(c *Call) {
	for len(l.sent) <= int(c.ticket) {
		l.sent = append(l.sent, make([]int64, 1+len(l.sent))...)
	}
	l.sent[c.ticket] = l.now
}

// sentAt returns when a call was sent that is or was just in flight; zero where nobody watched.
func (l *Loop) sentAt(c *Call) time.Time {
	if int(c.ticket) >= len(l.sent) || l.sent[c.ticket] == 0 {
		return time.Time{}
	}
	return l.wall(l.sent[c.ticket])
}

// noteRun takes in that the run of a call at w has ended: with a result of so many bytes, or an error. The call has no
// outcome yet.
func (l *Loop) noteRun(w *worker, c *Call, res *wire.Result, out int64, err error) {
	for _, watch := range l.watches {
		if watch.task != c.task {
			watch.turnTo(c.task)
		}
		watch.noted = nil
		watch.count(c, res, out)
		if err != nil {
			watch.countFailure(l.failures.KindOf(err))
		}
		if keep := watch.place(err != nil, time.Duration(res.Nanos)); keep != nil {
			*keep = append(*keep, l.record(w, c, res, out, err))
			watch.noted = &(*keep)[len(*keep)-1]
		}
	}
}

// turnTo makes the next run one of the task.
func (w *Watch) turnTo(task *Task) {
	n := int(task.number)
	if n >= len(w.tasks) {
		w.tasks = append(w.tasks, make([]*feed.Task, n+1-len(w.tasks))...)
	}
	if w.tasks[n] == nil {
		w.tasks[n] = &feed.Task{Name: task.name}
	}
	w.task, w.tally = task, w.tasks[n]
}

// count adds a run of the task. One that failed is not done: countFailure says so.
func (w *Watch) count(c *Call, res *wire.Result, out int64) {
	t := w.tally
	w.runs++
	t.Done++
	t.In += uint64(c.size)
	t.Out += uint64(out)
	t.Queued.Add(time.Duration(c.queued))
	if res.Nanos > 0 { // it ran
		t.Ran.Add(time.Duration(res.Nanos))
	}
	if u := res.Usage; u != nil {
		t.Measured++
		t.Instructions += u.Instructions
		t.Memory = max(t.Memory, u.Memory)
	}
}

// countFailure adds that the run that was counted last has failed. The kind is that of a failure of the task only.
func (w *Watch) countFailure(kind host.Kind, ofTask bool) {
	t := w.tally
	t.Done--
	t.Failed++
	if !ofTask {
		return
	}
	if t.Kinds == nil {
		t.Kinds = map[host.Kind]uint64{}
	}
	t.Kinds[kind]++
}

// place returns where the record of a run is to be kept, nil for nowhere.
func (w *Watch) place(failed bool, ran time.Duration) *[]feed.Run {
	switch {
	case len(w.sample) < feed.MostRuns:
		return &w.sample
	case failed && len(w.failed) < feed.MostRuns:
		return &w.failed
	case len(w.longest) < feed.MostLongest:
		if len(w.longest) == 0 || ran < w.short {
			w.short = ran
		}
		return &w.longest
	case ran > w.short:
		w.forgetShortest(ran)
		return &w.longest
	default:
		return nil
	}
}

// forgetShortest makes room among the longest runs for one that took so long.
func (w *Watch) forgetShortest(ran time.Duration) {
	at := 0
	for i := range w.longest {
		if w.longest[i].Ran < w.longest[at].Ran {
			at = i
		}
	}
	w.longest = slices.Delete(w.longest, at, at+1)
	w.short = ran
	for i := range w.longest {
		w.short = min(w.short, w.longest[i].Ran)
	}
}

// noteAgain takes in that the call whose run was noted last runs again, as that has failed or was lost.
func (l *Loop) noteAgain() {
	for _, w := range l.watches {
		w.tally.Again++
	}
	l.noteCheck()
}

// noteCheck takes in that the call whose run was noted last runs again, to be compared.
func (l *Loop) noteCheck() {
	for _, w := range l.watches {
		if w.noted != nil {
			w.noted.Again = true
		}
	}
}

// record returns the record of a run that has ended.
func (l *Loop) record(w *worker, c *Call, res *wire.Result, out int64, err error) feed.Run {
	r := feed.Run{
		Call: c.number, Task: c.task.name, Attempt: int(c.attempt), Rank: w.rank, Host: w.host, Slot: -1,
		Sent: l.sentAt(c), Ran: time.Duration(res.Nanos), Queued: time.Duration(c.queued), In: c.size, Out: out, Err: err,
	}
	ended := l.moment()
	if s := res.Spot; s != nil && int(s.Slot) < w.slots && s.Clock >= 0 {
		r.Slot = int(s.Slot)
		w.skew = min(w.skew, ended-s.Clock)
		ended = min(ended, s.Clock+w.skew)
	}
	r.Ended = l.wall(ended)
	r.Began = r.Ended.Add(-r.Ran)
	if c.options != nil {
		r.Tags, r.Attached = c.options.Tags, c.options.Attached
	}
	if u := res.Usage; u != nil {
		r.Measured, r.Instructions, r.Memory = true, u.Instructions, u.Memory
	}
	return r
}
