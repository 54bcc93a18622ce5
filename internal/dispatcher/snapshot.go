package dispatcher

import (
	"time"

	"github.com/wasmpool/wasmpool/internal/monotime"
)

// A Snapshot is what the root knows of the pool at one moment.
type Snapshot struct {
	Queued   int // calls that wait for a worker
	InFlight int // calls at workers
	Resting  int // calls that failed and wait to run again
	Awaited  int // workers that have not joined yet
	Workers  []WorkerSnapshot

	Done    uint64 // calls that ended with a result
	Failed  uint64 // calls that ended with a failure after they were sent to a worker
	Retried uint64 // further runs of calls
	Shared  uint64 // bytes of shared inputs that were sent to workers

	Found      uint64 // calls that did not run, as their results were found
	Duplicated uint64 // calls that were started a second time, on another worker
	Checked    uint64 // calls that ran twice, and whose results were compared
	Differed   uint64 // calls that gave another result than was found, or than they gave before
}

// A WorkerSnapshot is what the root knows of a worker, and what the worker says.
type WorkerSnapshot struct {
	Rank     int // 0 for the root's own slots
	Host     string
	PID      int
	Slots    int
	Calls    uint64        // finished, with a result or an error
	InFlight int           // calls that it has
	Work     time.Duration // how long those should take
	Heard    time.Duration // how long ago it last answered
	Lost     bool

	Answered bool     // it has answered a question; the rest is set then
	Waiting  int      // calls that it has not begun
	Loading  []string // modules that it fetches or compiles
	Fetching []string // shared inputs that it fetches or reads
	Running  []RunningCall
	Memory   uint64 // bytes that its process uses; 0 is not known
	Guests   uint64 // bytes promised to guests of its process
}

// A RunningCall is a call that a worker says it runs.
type RunningCall struct {
	Number uint64
	Task   string
	Tags   []string
	Slot   int           // on the worker, from 0
	For    time.Duration // since it began
}

// Snapshot returns what the root knows. The workers stand in the order in which they have joined,
// without what they say themselves.
func (l *Loop) Snapshot() Snapshot {
	l.sweep()
	s := Snapshot{
		Queued: l.sched.waiting() + l.in.growing(), InFlight: l.sched.flying(), Resting: l.resting.count(), Awaited: l.awaited,
		Done: l.counts.done, Failed: l.counts.failed, Retried: l.counts.retried, Shared: l.giver.sent,
		Found: l.memo.found.Load(), Differed: l.memo.differed.Load() + l.counts.differed,
		Duplicated: l.counts.duplicated, Checked: l.counts.checked,
	}
	now := monotime.Now()
	s.Workers = make([]WorkerSnapshot, 0, len(l.sched.workers))
	for _, w := range l.sched.workers {
		s.Workers = append(s.Workers, WorkerSnapshot{
			Rank: w.rank, Host: w.host, PID: w.pid, Slots: w.slots, Calls: w.calls, InFlight: w.inflight, Lost: w.lost,
			Heard: time.Duration(now - w.heard), Work: time.Duration(w.load),
		})
	}
	return s
}

// answers returns a snapshot with what the workers have answered.
func (l *Loop) answers() Snapshot {
	s := l.Snapshot()
	running := l.running()
	for i, w := range l.sched.workers {
		if one := &s.Workers[i]; w.status != nil && !w.lost {
			one.Answered, one.Waiting, one.Loading, one.Running = true, w.status.Waiting, w.status.Loading, running[w]
			one.Fetching = w.status.Fetching
			one.Memory, one.Guests = w.status.Memory, w.status.Guests
		}
	}
	return s
}

// running names the calls that workers said they run.
func (l *Loop) running() map[*worker][]RunningCall {
	list := map[*worker][]RunningCall{}
	for _, c := range l.sched.tickets {
		if c == nil || c.worker.status == nil {
			continue
		}
		for _, r := range c.worker.status.Running {
			if !c.has(r.Number) {
				continue
			}
			one := RunningCall{Number: r.Number, Task: c.task.name, Slot: r.Slot, For: time.Duration(r.Nanos)}
			if c.options != nil {
				one.Tags = c.options.Tags
			}
			list[c.worker] = append(list[c.worker], one)
		}
	}
	return list
}
