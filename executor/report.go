package executor

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/wasmpool/wasmpool/internal/dispatcher"
)

// A Report says which worker holds which calls: it is for finding out why a job does not go on.
type Report struct {
	Queued  int // calls that wait for a worker
	Resting int // calls that failed and wait to run again
	Awaited int // workers that have not joined yet
	Workers []WorkerReport
}

// A WorkerReport is what the root knows of a worker, and what the worker says.
type WorkerReport struct {
	Rank     int // 0 for the root's own slots
	Host     string
	PID      int
	Slots    int
	InFlight int           // calls that were sent to it and have no outcome
	Work     time.Duration // how long those should take, as far as is known
	Heard    time.Duration // how long ago it last said anything but its pulse
	Lost     bool
	Answered bool     // it answered when it was asked; the rest is set then
	Waiting  int      // calls that it has not begun
	Loading  []string // modules that it fetches or compiles, by name
	Fetching []string // shared inputs that it fetches from the root, or waits for, by name
	Running  []RunningCall
	Memory   uint64 // that its process uses and does not share, in bytes; 0 is not known
	Guests   uint64 // that is promised to guests of its process, in bytes
}

// A RunningCall is a call on a worker's slot.
type RunningCall struct {
	Number uint64
	Task   string
	Tags   []string
	Slot   int           // on the worker, from 0
	For    time.Duration // since it began
}

// reportOf returns what a snapshot says.
func reportOf(p dispatcher.Snapshot) Report {
	r := Report{Queued: p.Queued, Resting: p.Resting, Awaited: p.Awaited}
	for _, w := range p.Workers {
		one := WorkerReport{
			Rank: w.Rank, Host: w.Host, PID: w.PID, Slots: w.Slots, InFlight: w.InFlight, Work: w.Work, Heard: w.Heard,
			Lost: w.Lost, Answered: w.Answered, Waiting: w.Waiting, Loading: w.Loading, Fetching: w.Fetching, Memory: w.Memory, Guests: w.Guests,
		}
		for _, c := range w.Running {
			one.Running = append(one.Running, RunningCall(c))
		}
		r.Workers = append(r.Workers, one)
	}
	return r
}

// String gives the report, a line for each worker and each running call.
func (r Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s waiting, %d resting, %s not joined yet\n", count(r.Queued, "call"), r.Resting, count(r.Awaited, "worker"))
	for _, w := range r.Workers {
		fmt.Fprintf(&b, "rank %d on %s, process %d, %s: %s in flight, which should take %v, heard of %v ago", w.Rank, w.Host, w.PID, count(w.Slots, "slot"), count(w.InFlight, "call"), w.Work.Round(time.Microsecond), w.Heard.Round(time.Millisecond))
		switch {
		case w.Lost:
			b.WriteString(", lost\n")
		case !w.Answered:
			b.WriteString(", does not answer\n")
		default:
			fmt.Fprintf(&b, ", %d not begun\n", w.Waiting)
		}
		for _, name := range w.Loading {
			fmt.Fprintf(&b, "  loads module %s\n", name)
		}
		for _, name := range w.Fetching {
			fmt.Fprintf(&b, "  fetches shared input %s\n", name)
		}
		for _, c := range w.Running {
			fmt.Fprintf(&b, "  runs call %d of %s %v, for %v\n", c.Number, c.Task, c.Tags, c.For.Round(time.Millisecond))
		}
	}
	return b.String()
}

// count gives a number of things.
func count(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return fmt.Sprintf("%d %s", n, thing)
}

// Report asks every worker what it does. It blocks for at most about a second, or
// until ctx ends; a worker that has not answered by then is reported so. A program
// run by [Run] logs it when the root gets SIGUSR2, and by itself after
// Config.ReportAfter of silence.
func (ex *Executor) Report(ctx context.Context) (Report, error) {
	q := ex.dispatcher.Ask()
	defer q.Close()
	select {
	case <-q.Done():
		return reportOf(q.Answer()), nil
	case <-ex.done:
	case <-ctx.Done():
	}
	select {
	case <-ex.done:
		return Report{}, ErrClosed
	default:
		return Report{}, ctx.Err()
	}
}
