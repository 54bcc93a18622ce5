package monitor

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/feed"
)

// How often the workers are asked what they run, and for how long after somebody has looked.
const (
	askEvery = 2 * time.Second
	askAfter = 10 * time.Second
)

// running is what the workers run, as far as they have told.
type running struct {
	told    time.Time // when; zero is never
	asked   uint64    // how often
	list    []RunningCall
	more    int // that were told and are not in list
	silent  []int
	workers map[int]told // what workers told of themselves, by rank
}

// told is what a worker told of itself.
type told struct {
	loading        []string // modules
	fetching       []string // shared inputs
	memory, guests uint64
}

// ask asks the workers now and then what they run, while somebody looks.
func (m *Monitor) ask(ctx context.Context) {
	defer m.done.Done()
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if m.events.listened() || time.Now().UnixNano()-m.looked.Load() < int64(askAfter) {
			m.askOnce(ctx)
		}
	}
}

// askOnce asks the workers what they run, and waits for their answers.
func (m *Monitor) askOnce(ctx context.Context) {
	r, err := m.pool.Report(ctx)
	if err != nil {
		return // the pool or ctx has ended
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.model.report(r, time.Now())
}

// Look asks the workers what they run, unless they were asked a moment ago, and returns how the job is then. It blocks for
// at most about a second, or until ctx ends.
func (m *Monitor) Look(ctx context.Context) *State {
	m.mu.Lock()
	fresh := m.model.job.Ended != nil || time.Since(m.model.running.told) < askEvery+time.Second
	m.mu.Unlock()
	if !fresh {
		m.askOnce(ctx)
	}
	return m.State()
}

// report takes in what the workers have answered.
func (r *running) report(report executor.Report, now time.Time) {
	r.told, r.silent, r.workers = now, nil, make(map[int]told, len(report.Workers))
	r.asked++
	var list []RunningCall
	for i := range report.Workers {
		w := &report.Workers[i]
		if !w.Lost && !w.Answered {
			r.silent = append(r.silent, w.Rank)
		}
		if w.Answered {
			r.workers[w.Rank] = told{lines(w.Loading, mostLog), lines(w.Fetching, mostLog), w.Memory, w.Guests}
		}
		for _, c := range w.Running {
			list = append(list, RunningCall{Number: c.Number, Task: c.Task, Tags: c.Tags, Rank: w.Rank, Slot: c.Slot, For: c.For.Seconds()})
		}
	}
	slices.SortFunc(list, func(a, b RunningCall) int { return cmp.Compare(b.For, a.For) })
	r.more = max(0, len(list)-keptRunning)
	list = list[:len(list)-r.more]
	for i := range list {
		list[i].Task, list[i].Tags = line(list[i].Task), tags(list[i].Tags)
	}
	r.list = list
}

// keptRunning is how many running calls are kept, for the task stream. The list shows [MostRunning].
const keptRunning = 4096

// state returns the calls that run longest, and how many run.
func (r *running) state(now time.Time, name func(uint64) string) ([]RunningCall, int) {
	list := append([]RunningCall{}, r.list[:min(len(r.list), MostRunning)]...)
	for i := range list {
		list[i].Name = line(name(list[i].Number))
		list[i].For = rounded(list[i].For + max(now.Sub(r.told), 0).Seconds())
	}
	if r.told.IsZero() {
		return list, -1
	}
	return list, len(r.list) + r.more
}

// open returns the calls that run as bars of the task stream.
func (r *running) open(started time.Time, index func(task string) int) []Bar {
	list := make([]Bar, 0, len(r.list))
	told := r.told.Sub(started).Seconds()
	for _, c := range r.list {
		list = append(list, Bar{Rank: c.Rank, Slot: c.Slot, Begin: told - c.For, Ran: c.For, Task: index(c.Task), Runs: 1, Call: c.Number})
	}
	return list
}

// tell adds to workers what they told of themselves.
func (r *running) tell(workers []Worker) {
	for i := range workers {
		if t, found := r.workers[workers[i].Rank]; found && workers[i].Lost == nil {
			workers[i].Loading, workers[i].Fetching, workers[i].Memory, workers[i].Guests = t.loading, t.fetching, t.memory, t.guests
		}
	}
}

// take takes in that runs have ended.
func (r *running) take(runs []feed.Run) {
	if len(r.list) == 0 || len(runs) == 0 {
		return
	}
	ended := make(map[uint64]bool, len(runs))
	for i := range runs {
		ended[runs[i].Call] = true
	}
	r.list = slices.DeleteFunc(r.list, func(c RunningCall) bool { return ended[c.Number] })
}
