package monitor

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/feed"
)

// TraceBytes is how long a [Trace] becomes at most by default.
const TraceBytes = 512 << 20

// leastTrace is the least limit of a [Trace].
const leastTrace = 1 << 20

// A Trace writes what happens in a pool as events that Perfetto's page (ui.perfetto.dev) opens: a process for each rank, a track
// for each slot, a slice for each run that an update has a record of, arrows from where calls were submitted to where they ran, marks
// for losses and retries, and the number of waiting calls and the rate as curves.
//
// Runs that have no slice are counted: those without a record ([feed.Update].Omitted), and, when the trace has become long, those that it leaves
// out. Up to half of its limit it has all runs, then one in ten up to three quarters, one in a hundred up to seven eighths, and so on;
// failures stay until 31 of 32 parts are used. Marks say so.
//
// What was written is in the writer after each update, and can be opened without its end, as after a kill.
// Its methods must not be called by several goroutines at once.
type Trace struct {
	out   *bufio.Writer
	log   *slog.Logger
	limit int64

	buf     []byte // of the event that is written
	written int64
	err     error     // of the writer; nothing more is written
	zero    time.Time // where the trace's time begins
	now     int64     // end of the last update
	ranks   map[int]*traceRank
	before  *feed.Update // the last whose counters were written
	level   int          // how many runs are left out: there is a slice of one in 10^level
	slices  uint64
	left    uint64 // runs without a slice
	closed  bool
}

// A traceRank is what a trace knows of a rank.
type traceRank struct {
	pid   int
	lost  bool
	slots map[int]*track
	lanes []*track // of runs whose slot is not known
	most  int      // of lanes
}

// A track holds slices one after the other.
type track struct {
	tid int
	end int64 // of its last slice
}

// NewTrace returns a trace that writes to w, at most so many bytes: 0 is [TraceBytes], and the least is 1 MiB. It tells log when it begins to leave
// runs out; log may be nil.
func NewTrace(w io.Writer, limit int64, log *slog.Logger) *Trace {
	return &Trace{
		out: bufio.NewWriterSize(w, 1<<16), log: cmp.Or(log, slog.New(slog.DiscardHandler)),
		limit: max(cmp.Or(limit, TraceBytes), leastTrace), ranks: map[int]*traceRank{},
	}
}

// traceEvery is the time from one update of a trace to the next: so many runs have records that way.
const traceEvery = 100 * time.Millisecond

// Start begins to write what happens in the pool of ex: when it returns, all runs that end are in the trace. That goes on until the pool
// or ctx ends, or end is called, which waits a tenth of a second for what has happened before and closes the trace. It returns the
// writer's error; after one the trace goes no further, and the pool goes on.
func (t *Trace) Start(ctx context.Context, ex *executor.Executor) (end func() error, err error) {
	wait, err := feed.Follow(ex.Watch(ctx, traceEvery), t.Add)
	if err != nil {
		return nil, err
	}
	return func() error {
		_ = wait() // its error is that of Close, or says that the watch has ended
		return t.Close()
	}, nil
}

// Add writes what happened in the time of an update. After an error of the writer it writes nothing and returns that error.
func (t *Trace) Add(u *feed.Update) error {
	if t.zero.IsZero() {
		t.begin(u)
	}
	t.now = max(t.now, t.at(u.End))
	for i := range u.Workers {
		if t.thin(); t.level < mostLevels {
			t.worker(&u.Workers[i])
		}
	}
	runs := slices.Clone(u.Runs)
	slices.SortFunc(runs, func(a, b feed.Run) int { return a.Began.Compare(b.Began) })
	for i := range runs {
		t.run(&runs[i])
	}
	t.omitted(u)
	t.counters(u)
	t.flush()
	return t.err
}

// Close ends the trace, which is whole JSON then. It does not close the writer.
func (t *Trace) Close() error {
	if t.closed {
		return t.err
	}
	t.closed = true
	if t.written > 0 {
		t.write(traceEvent{Phase: "i", Scope: "g", Name: "the trace ends", PID: poolPID, TS: t.now, Args: traceEnd{Slices: t.slices, Without: t.left}})
		t.append([]byte("\n]\n"))
	} else {
		t.append([]byte("[]\n"))
	}
	t.flush()
	return t.err
}

// Numbers of processes and tracks. Perfetto wants tracks to differ over all processes, and none of number 0.
const (
	poolPID   = 1       // of what is of the pool as a whole; rank r has r+2
	perPID    = 100_000 // tracks of one process
	submitTID = poolPID*perPID + 1
	laneTID   = 70_000 // of the first lane in a process; slots are 65,536 at most
	mostLanes = 8
)

// begin writes the first events. The trace's time begins when the first worker joined, as no run can have begun before.
func (t *Trace) begin(u *feed.Update) {
	t.zero = u.Begin
	for i := range u.Workers {
		if joined := u.Workers[i].Joined; joined.Before(t.zero) {
			t.zero = joined
		}
	}
	t.append([]byte("[\n"))
	t.name("process_name", poolPID, 0, "the pool")
	t.name("thread_name", poolPID, submitTID, "calls are submitted")
	t.write(traceEvent{Phase: "i", Scope: "g", Name: "the trace begins", PID: poolPID, TS: t.at(u.Begin), Args: traceBegin{Time: u.Begin.Format(time.RFC3339Nano), Program: programName()}})
}

// at returns a moment in the trace's time, in nanoseconds, 0 at least.
func (t *Trace) at(moment time.Time) int64 { return max(int64(moment.Sub(t.zero)), 0) }

// worker notes whether a worker has joined or was lost.
func (t *Trace) worker(w *feed.Worker) {
	r := t.ranks[w.Rank]
	if r == nil {
		r = t.rank(w.Rank, w.Host)
		r.most = min(w.Slots, mostLanes)
		t.write(traceEvent{Phase: "i", Scope: "p", Name: "joined", PID: r.pid, TS: t.at(w.Joined), Args: traceWhy{PID: w.PID, Slots: w.Slots}})
	}
	if w.Lost && !r.lost {
		r.lost = true
		t.write(traceEvent{Phase: "i", Scope: "p", Name: "lost", PID: r.pid, TS: t.at(w.LostAt), Args: traceWhy{Reason: line(w.Reason)}})
	}
}

// rank returns what is known of a rank.
func (t *Trace) rank(n int, host string) *traceRank {
	r := t.ranks[n]
	if r == nil {
		r = &traceRank{pid: n + 2, slots: map[int]*track{}, most: 1}
		t.ranks[n] = r
		t.name("process_name", r.pid, 0, "rank "+strconv.Itoa(n)+" on "+line(host))
	}
	return r
}

// name writes what a process or a track is called.
func (t *Trace) name(what string, pid, tid int, name string) {
	t.put(traceEvent{Phase: "M", Name: what, PID: pid, TID: tid, Args: traceName{name}})
}

// run writes a run's slice and the arrow to it: all, or nothing.
func (t *Trace) run(r *feed.Run) {
	if !t.keeps(r) {
		t.left++
		return
	}
	t.slices++
	rank := t.rank(r.Rank, r.Host)
	on, began := t.place(rank, r)
	on.end = began + int64(r.Ran)
	e := traceEvent{Phase: "X", Name: line(r.Task), Kind: "run", PID: rank.pid, TID: on.tid, TS: began, Dur: int64(r.Ran)}
	e.Args = about(r, &e)
	if !r.Sent.IsZero() {
		e.Flow, e.FlowIn = flowOf(r), true
		t.submitted(r, e.Flow, began)
	}
	t.put(e)
	if r.Again {
		t.put(traceEvent{Phase: "i", Scope: "p", Name: "retry", Kind: "retry", PID: poolPID, TS: on.end, Args: traceCall{r.Call, r.Attempt + 1}})
	}
}

// about returns what a run's slice says, and gives that of a failure a name and a kind of its own.
func about(r *feed.Run, e *traceEvent) traceRun {
	a := traceRun{
		traceCall: traceCall{r.Call, r.Attempt}, Tags: tags(r.Tags), Queued: int64(r.Queued), In: r.In, Out: r.Out,
		Measured: r.Measured, Instructions: r.Instructions, Memory: r.Memory, Again: r.Again,
	}
	if r.Err == nil {
		return a
	}
	e.Name, e.Kind = e.Name+" failed", "failed"
	a.Error = text(r.Err.Error(), mostText)
	var failed *executor.TaskError
	if errors.As(r.Err, &failed) {
		a.Kind, a.Error = failed.Kind.String(), text(failed.Message, mostText)
	}
	return a
}

// submitted writes from where the arrow to a run goes: where its call was submitted, or, of a further attempt, sent again.
func (t *Trace) submitted(r *feed.Run, flow string, began int64) {
	at := t.at(r.Sent)
	if r.Attempt == 1 {
		at = t.at(r.Sent.Add(-r.Queued))
	}
	t.put(traceEvent{Phase: "X", Name: line(r.Task), Kind: "submit", PID: poolPID, TID: submitTID, TS: min(at, began), Flow: flow, FlowOut: true, Args: traceCall{r.Call, r.Attempt}})
}

// flowOf returns a number of an attempt.
func flowOf(r *feed.Run) string {
	return "0x" + strconv.FormatUint(r.Call<<16|uint64(r.Attempt&0xffff), 16)
}

// gap is the time between two slices of a track. Perfetto must not take them for one in the other, in whatever way it rounds.
const gap = 2

// place returns the track of a run and when it begins there: when it began, or when there is room, as moments of different clocks
// are known to within the time that a message takes.
func (t *Trace) place(rank *traceRank, r *feed.Run) (*track, int64) {
	began := t.at(r.Began)
	on := t.lane(rank, r, began)
	if on.end > 0 {
		began = max(began, on.end+gap)
	}
	return on, began
}

// lane returns the track of a run's slot, or where that is not known, of the lanes the first that is free, else the one that will be first.
func (t *Trace) lane(rank *traceRank, r *feed.Run, began int64) *track {
	if r.Slot >= 0 {
		if rank.slots[r.Slot] == nil {
			rank.slots[r.Slot] = t.track(rank, r.Slot+1, "slot "+strconv.Itoa(r.Slot))
		}
		return rank.slots[r.Slot]
	}
	var best *track
	for _, l := range rank.lanes {
		if l.end+gap <= began {
			return l
		}
		if best == nil || l.end < best.end {
			best = l
		}
	}
	if n := len(rank.lanes); n < rank.most {
		best = t.track(rank, laneTID+n, fmt.Sprintf("short runs, %d", n+1))
		rank.lanes = append(rank.lanes, best)
	}
	return best
}

func (t *Trace) track(rank *traceRank, n int, name string) *track {
	tid := rank.pid*perPID + n
	t.name("thread_name", rank.pid, tid, name)
	return &track{tid: tid}
}

// mostLevels is the level at which nothing is kept but the last event.
const mostLevels = 5

// keeps reports whether there is room for a run.
func (t *Trace) keeps(r *feed.Run) bool {
	t.thin()
	if t.level == mostLevels {
		return false
	}
	every := uint64(1)
	for range t.level {
		every *= 10
	}
	return r.Err != nil || r.Call%every == 0
}

// thin raises the level where the trace has become too long for the present one, and says so.
func (t *Trace) thin() {
	for t.level < mostLevels && t.written >= t.limit-t.limit>>(t.level+1) {
		t.level++
		what := "from here there are slices of failed runs, and of one in 1" + strings.Repeat("0", t.level)
		if t.level == mostLevels {
			what = "the trace is full"
		}
		t.put(traceEvent{Phase: "i", Scope: "g", Name: what, PID: poolPID, TS: t.now})
		t.log.Warn("the trace has become long: "+what, "bytes", t.written, "limit", t.limit)
	}
}

// omitted notes runs without a record.
func (t *Trace) omitted(u *feed.Update) {
	if u.Omitted == 0 {
		return
	}
	t.left += u.Omitted
	t.write(traceEvent{Phase: "i", Scope: "p", Name: fmt.Sprintf("%d runs have no slice", u.Omitted), Kind: "omitted", PID: poolPID, TS: t.at(u.End), Args: traceLeft{u.Omitted}})
}

// counters writes the curves, once a second.
func (t *Trace) counters(u *feed.Update) {
	if t.before != nil && u.End.Sub(t.before.End) < time.Second {
		return
	}
	at := t.at(u.End)
	t.write(traceEvent{Phase: "C", Name: "calls", PID: poolPID, TS: at, Args: traceCalls{u.Queued, u.InFlight, u.Resting}})
	if t.before != nil {
		took := u.End.Sub(t.before.End).Seconds()
		t.write(traceEvent{Phase: "C", Name: "calls a second", PID: poolPID, TS: at, Args: traceRate{float64(u.Done-t.before.Done) / took, float64(u.Failed-t.before.Failed) / took}})
	}
	t.before = u
}

// write writes an event, unless the trace is full.
func (t *Trace) write(e traceEvent) {
	t.thin()
	if t.level < mostLevels || t.closed {
		t.put(e)
	}
}

func (t *Trace) put(e traceEvent) {
	t.buf = t.buf[:0]
	if t.written > 2 {
		t.buf = append(t.buf, ",\n"...)
	}
	t.buf = e.append(t.buf)
	t.append(t.buf)
}

func (t *Trace) append(s []byte) {
	if t.err != nil {
		return
	}
	n, err := t.out.Write(s)
	t.written += int64(n)
	t.err = err
}

func (t *Trace) flush() {
	if t.err == nil {
		t.err = t.out.Flush()
	}
}
