package feed

import (
	"time"

	"github.com/wasmpool/wasmpool/host"
)

// An Update is what has happened in a pool since the update before, and how the pool is now. Nothing in
// it changes once it was given out; it belongs to who got it.
type Update struct {
	Begin, End time.Time // End of the update before, and now; both are of the root's clock

	// How many calls there are, at End.
	Queued   int // wait for a worker
	InFlight int // are at workers
	Resting  int // failed, and wait for their next attempt
	Awaited  int // workers that have not joined yet

	// Since the pool began, over all executors on it.
	Submitted uint64 // calls that were handed in
	Done      uint64 // calls that ended with a result
	Failed    uint64 // calls that ended with a failure after they were sent to a worker
	Cancelled uint64 // calls that ended without either
	Retried   uint64 // further attempts of calls, after a failure or the loss of a worker

	// Calls that did not run, as a memo had their results: none of the above counts them. And calls that ran all the same, to compare, and gave another
	// result than the memo had.
	Found    uint64
	Differed uint64 // or than their first run, with spot checks

	Duplicated uint64 // calls that were started a second time, as they took unusually long
	Checked    uint64 // calls that ran twice so that their results could be compared

	Workers []Worker // all that ever joined, in the order in which they did
	Tasks   []Task   // those of which a run has ended since Begin
	Runs    []Run    // in no order
	Omitted uint64   // runs that have ended since Begin, and of which Runs has no record
}

// A Worker is a worker at the end of an update.
type Worker struct {
	Rank     int // 0 for the root's own slots
	Host     string
	PID      int
	Slots    int
	Joined   time.Time
	Heard    time.Duration // how long ago it last said anything but its pulse
	InFlight int           // calls that it has
	Work     time.Duration // how long those should take, as far as is known
	Runs     uint64        // that it ended, since it joined
	Ran      time.Duration // how long those took, together
	Lost     bool
	LostAt   time.Time // zero unless it is lost
	Reason   string    // why it is lost
}

// A Task is what has become of the runs of one task in the time of an update.
type Task struct {
	Name    string // as the program called it
	Done    uint64 // runs that ended with a result
	Failed  uint64 // runs that failed, also where the call runs again
	Again   uint64 // those of them after which the call runs again, and runs whose worker was lost
	Kinds   map[host.Kind]uint64
	Ran     Durations // of the runs that ended, without those that had not begun when their worker was lost
	Queued  Durations // how long the calls waited on the root before
	In, Out uint64    // bytes of arguments and of results

	// Of the runs whose usage is known: those of 30 µs or more, and those with limits of their own.
	Measured     uint64
	Instructions uint64
	Memory       uint64 // the most that one had, in bytes
}

// Merge adds what has become of more runs of the task.
func (t *Task) Merge(more *Task) {
	t.Done += more.Done
	t.Failed += more.Failed
	t.Again += more.Again
	t.In += more.In
	t.Out += more.Out
	t.Measured += more.Measured
	t.Instructions += more.Instructions
	t.Memory = max(t.Memory, more.Memory)
	t.Ran.Merge(&more.Ran)
	t.Queued.Merge(&more.Queued)
	for kind, n := range more.Kinds {
		if t.Kinds == nil {
			t.Kinds = map[host.Kind]uint64{}
		}
		t.Kinds[kind] += n
	}
}

// A Run is one attempt of a call, which has ended.
type Run struct {
	Call    uint64 // the number of the call in the pool, from 1 in the order in which calls were submitted
	Task    string
	Tags    []string
	Attempt int // from 1
	Rank    int
	Host    string
	Slot    int // on the worker, from 0; -1 where it is not known: of runs below 30 µs, and of a worker that was lost

	Sent   time.Time     // when the root sent the call to the worker; zero where nobody watched then
	Began  time.Time     // Ended less Ran; of a worker on another node to within about the time that a message takes
	Ended  time.Time     // when the run ended; where Slot is not known, when the root heard of it
	Ran    time.Duration // of runs below 2 µs an average of several
	Queued time.Duration // how long the call waited on the root, over all its attempts

	In, Out      int64 // bytes of the argument and of the result
	Measured     bool  // the next two are known
	Instructions uint64
	Memory       uint64 // bytes

	Attached any // what the option Attach of package executor gave the call

	Err   error // nil after a result; a failure is an *executor.TaskError
	Again bool  // the call runs again
}

// MostRuns is how many records an update has at most of runs that are a sample. As many again it may have of
// failures, and [MostLongest] of the runs that took longest.
const MostRuns = 1000

// MostLongest is how many records of the longest runs an update has besides its sample.
const MostLongest = 20
