package monitor

import "time"

// A State is how a job is at one moment: what the page, the report and the status command show. It can be written as JSON.
// Its durations are in seconds, its sizes in bytes. Texts of tasks, inputs and guests are plain: what a terminal would obey stands
// as an escape, and what is very long is cut, and says so.
type State struct {
	Version  int           `json:"version"` // of these fields: [StateVersion]
	Seq      uint64        `json:"seq"`     // grows with each update that was taken in
	Job      Job           `json:"job"`
	Why      string        `json:"why,omitempty"` // why nothing moves; empty while calls end
	Counts   Counts        `json:"counts"`
	Use      Use           `json:"use"`
	Recent   Series        `json:"recent"`  // a point a second, of the last minutes
	History  Series        `json:"history"` // of the whole job, as fine as its length allows
	Tasks    []Task        `json:"tasks"`   // in the order in which their first run ended
	Workers  []Worker      `json:"workers"` // in the order in which they joined
	Running  []RunningCall `json:"running"` // that run now, the longest first; at most [MostRunning]
	Runs     int           `json:"runs"`    // how many run, also those that Running has no room for; -1 where nobody has asked the workers
	Stream   Stream        `json:"stream"`
	Failures []Failure     `json:"failures"` // by kind, task and message; at most [MostFailures]
	Left     uint64        `json:"left"`     // failed runs that are in none of Failures, as there is no room
}

// Bounds of a [State].
const (
	StateVersion = 1
	MostRunning  = 50  // running calls
	MostFailures = 60  // groups of failures
	MostExamples = 3   // of each group
	MostTasks    = 500 // tasks; the others are counted together, under the name [OtherTasks]
	MostSeconds  = 300 // points of State.Recent
	MostPoints   = 600 // points of State.History
)

// OtherTasks is the name that tasks have together for which there is no room.
const OtherTasks = "(other tasks)"

// A Job is what the pool is for.
type Job struct {
	Title   string     `json:"title"`
	Host    string     `json:"host"` // of the root
	PID     int        `json:"pid"`  // likewise
	Started time.Time  `json:"started"`
	Now     time.Time  `json:"now"` // when the state was taken
	Ended   *time.Time `json:"ended,omitempty"`
	Outcome string     `json:"outcome,omitempty"` // how the job ended, or why it is no longer watched
	Drained string     `json:"drained,omitempty"` // why it begins no call any more
	Acts    bool       `json:"acts"`              // it can be drained; calls of one that has not ended can be killed
}

// Counts say how far the job is. Done and Failed are inputs where the program tells how far those have come
// ([Config].Progress), else calls.
type Counts struct {
	Unit       string  `json:"unit"`  // "inputs" or "calls"
	Total      int64   `json:"total"` // -1 where it is not known
	Done       uint64  `json:"done"`
	Failed     uint64  `json:"failed"`
	Kept       uint64  `json:"kept,omitempty"`       // inputs whose results are there from an earlier job
	Running    int     `json:"running"`              // calls, as far as the root knows
	Waiting    int     `json:"waiting"`              // calls without a slot, on the root and on workers
	Resting    int     `json:"resting"`              // calls that failed, and wait for their next attempt
	Awaited    int     `json:"awaited"`              // workers that have not joined yet
	Submitted  uint64  `json:"submitted"`            // calls
	Cancelled  uint64  `json:"cancelled"`            // calls
	Retried    uint64  `json:"retried"`              // further attempts
	Found      uint64  `json:"found,omitempty"`      // calls that did not run, as the memo had their results
	Duplicated uint64  `json:"duplicated,omitempty"` // calls that took long and were started a second time
	Checked    uint64  `json:"checked,omitempty"`    // calls that ran twice so that their results could be compared
	Differed   uint64  `json:"differed,omitempty"`   // calls that gave another result when they ran again, or than the memo had
	CallsDone  uint64  `json:"callsDone"`            // calls that ended with a result
	CallsFail  uint64  `json:"callsFailed"`          // calls that ended with a failure
	Rate       float64 `json:"rate"`                 // done and failed, a second, over the last minute
	ETA        float64 `json:"eta"`                  // until all are done at that rate; -1 where it is not known
}

// Use says how much of the slots' time calls have taken.
type Use struct {
	Slots int     `json:"slots"` // of all workers that are not lost
	Now   float64 `json:"now"`   // the share in the last second, 0 to 1
	Last  float64 `json:"last"`  // in the last minute
	All   float64 `json:"all"`   // since the watch began
}

// A Series has values at equal distances in time, all lists of the same length.
type Series struct {
	Step   float64   `json:"step"`   // from one point to the next
	First  float64   `json:"first"`  // where the first begins, after Job.Started
	Use    []float64 `json:"use"`    // share of the slots' time, 0 to 1
	Done   []float64 `json:"done"`   // runs that ended with a result, a second
	Failed []float64 `json:"failed"` // runs that failed, a second
	Queued []float64 `json:"queued"` // calls that wait, at the end
}

// A Task is what has become of the runs of one task since the watch began. A run is one attempt of a call.
type Task struct {
	Name         string            `json:"name"`
	Done         uint64            `json:"done"`
	Failed       uint64            `json:"failed"`
	Again        uint64            `json:"again"` // failed and lost runs after which the call ran again
	Kinds        map[string]uint64 `json:"kinds,omitempty"`
	Ran          Times             `json:"ran"`
	Waited       Times             `json:"waited"` // on the root
	In           uint64            `json:"in"`
	Out          uint64            `json:"out"`
	Measured     uint64            `json:"measured"`     // runs that the next two are of
	Instructions uint64            `json:"instructions"` // of all those together
	Memory       uint64            `json:"memory"`       // the most that one of them had
}

// Times says how long runs took. The quantiles are right to within a tenth.
type Times struct {
	Count  uint64  `json:"count"`
	Sum    float64 `json:"sum"`
	Median float64 `json:"median"`
	P99    float64 `json:"p99"`
	Max    float64 `json:"max"`
}

// A Worker is a worker, as the root knows it.
type Worker struct {
	Rank     int        `json:"rank"`
	Host     string     `json:"host"`
	PID      int        `json:"pid"`
	Slots    int        `json:"slots"`
	Joined   time.Time  `json:"joined"`
	Heard    float64    `json:"heard"` // how long ago it last said anything but its pulse
	InFlight int        `json:"inFlight"`
	Runs     uint64     `json:"runs"`
	Ran      float64    `json:"ran"`
	Use      float64    `json:"use"`                // share of its slots' time in the last second
	Last     float64    `json:"last"`               // in the last minute
	All      float64    `json:"all"`                // since it is watched
	Recent   []int      `json:"recent,omitempty"`   // the same of each second of the last minute, in percent
	Memory   uint64     `json:"memory,omitempty"`   // of its process; 0 where it is not known
	Guests   uint64     `json:"guests,omitempty"`   // memory of its guests; likewise
	Loading  []string   `json:"loading,omitempty"`  // modules
	Fetching []string   `json:"fetching,omitempty"` // shared inputs
	Lost     *time.Time `json:"lost,omitempty"`
	Reason   string     `json:"reason,omitempty"` // why it is lost
}

// A RunningCall is a call that a worker runs.
type RunningCall struct {
	Number uint64   `json:"number"`
	Task   string   `json:"task"`
	Name   string   `json:"name,omitempty"` // which input it is
	Tags   []string `json:"tags,omitempty"`
	Rank   int      `json:"rank"`
	Slot   int      `json:"slot"`
	For    float64  `json:"for"` // since it began
}

// A Stream has what the slots have run in the last minute. Runs of one slot and task that follow each other closely are one bar.
// Where there are too many for the space, the longest, the failed and a sample are there.
type Stream struct {
	First   uint64 `json:"first"` // the number of the first bar, of all that there were
	Bars    []Bar  `json:"bars"`
	Omitted uint64 `json:"omitted"` // runs of that minute that no bar has
	Open    []Bar  `json:"open"`    // what the slots ran when the workers were asked last
}

// A Failure is what failed runs have in common. Each run counts, also where the call ran again.
type Failure struct {
	ID       uint64    `json:"id"`
	Task     string    `json:"task"`
	Kind     string    `json:"kind"`
	Message  string    `json:"message"`
	Count    uint64    `json:"count"` // of those of which there was a record: all, unless very many fail in a second
	First    time.Time `json:"first"`
	Last     time.Time `json:"last"`
	Examples []Example `json:"examples,omitempty"` // the first ones
}

// An Example is a run that failed.
type Example struct {
	Call    uint64    `json:"call"`
	Name    string    `json:"name,omitempty"` // which input it was
	Tags    []string  `json:"tags,omitempty"`
	Attempt int       `json:"attempt"`
	Again   bool      `json:"again,omitempty"` // the call ran again
	Rank    int       `json:"rank"`
	Host    string    `json:"host"`
	Ended   time.Time `json:"ended"`
	Ran     float64   `json:"ran"`
	Code    int       `json:"code,omitempty"`
	Message string    `json:"message"`
	Stack   string    `json:"stack,omitempty"`
	Printed string    `json:"printed,omitempty"` // the end of what it wrote to standard error
	Log     []string  `json:"log,omitempty"`     // the last lines that it logged
}
