package monitor

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/feed"
	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// tasksModule is the module of the executor's tests.
var tasksModule *wasmtasks.Module

func TestMain(m *testing.M) {
	var err error
	if tasksModule, err = wasmtasks.Build(context.Background(), "../executor/testdata/tasks"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

// A hand makes updates, one a second.
type hand struct {
	t       *testing.T
	m       *Monitor
	at      time.Time
	workers []feed.Worker
	done    uint64
	failed  uint64
	calls   uint64
}

// noPool is a pool that has ended.
type noPool struct{ Pool }

func (noPool) Report(context.Context) (executor.Report, error) {
	return executor.Report{}, executor.ErrClosed
}

// newHand returns a monitor of no pool, which gets what the hand gives.
func newHand(t *testing.T, cfg Config) *hand {
	t.Helper()
	m := newMonitor(noPool{}, cfg)
	m.cancel = func() {}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	h := &hand{t: t, m: m, at: m.model.job.Started}
	h.next(func(u *feed.Update) { u.End = u.Begin })
	return h
}

// join adds a worker.
func (h *hand) join(slots int) {
	rank := len(h.workers) + 1
	h.workers = append(h.workers, feed.Worker{Rank: rank, Host: fmt.Sprintf("node%d", rank), PID: 100 + rank, Slots: slots, Joined: h.at})
}

// run returns a run that ended just before the next update ends.
func (h *hand) run(task string, rank, slot int, took time.Duration, err error) feed.Run {
	h.calls++
	end := h.at.Add(time.Second)
	return feed.Run{
		Call: h.calls, Task: task, Attempt: 1, Rank: rank, Host: "node", Slot: slot, Sent: end.Add(-took), Began: end.Add(-took), Ended: end, Ran: took,
		Measured: true, Instructions: 1000, Memory: 1 << 20, In: 10, Out: 20, Err: err,
	}
}

// next gives the monitor the update of the next second, which change has made of one where nothing happens.
func (h *hand) next(change func(*feed.Update), runs ...feed.Run) {
	h.t.Helper()
	u := &feed.Update{Begin: h.at, End: h.at.Add(time.Second), Runs: runs}
	tasks := map[string]*feed.Task{}
	for _, r := range runs {
		t := tasks[r.Task]
		if t == nil {
			t = &feed.Task{Name: r.Task, Kinds: map[host.Kind]uint64{}}
			tasks[r.Task] = t
		}
		if r.Err == nil {
			t.Done++
			h.done++
		} else {
			t.Failed++
			h.failed++
			t.Kinds[failureOf(r.Err).Kind]++
		}
		t.Ran.Add(r.Ran)
		t.Queued.Add(r.Queued)
		t.In, t.Out = t.In+uint64(r.In), t.Out+uint64(r.Out)
		t.Measured, t.Instructions, t.Memory = t.Measured+1, t.Instructions+r.Instructions, max(t.Memory, r.Memory)
		w := &h.workers[r.Rank-1]
		w.Runs++
		w.Ran += r.Ran
	}
	for _, t := range tasks {
		u.Tasks = append(u.Tasks, *t)
	}
	u.Done, u.Failed, u.Submitted = h.done, h.failed, h.done+h.failed
	u.Workers = append(u.Workers, h.workers...)
	for _, w := range u.Workers {
		u.InFlight += w.InFlight
	}
	u.Submitted += uint64(u.InFlight)
	if change != nil {
		change(u)
	}
	h.at = u.End
	h.m.take(u)
}

// state returns the state at the end of the last update.
func (h *hand) state() *State { return h.m.model.state(h.at, part{whole: true}) }

// failure is an error of a task.
func failure(kind host.Kind, message string) error {
	return &executor.TaskError{Task: "t", Kind: kind, Message: message, Rank: 1, Host: "node1", Attempt: 1}
}
