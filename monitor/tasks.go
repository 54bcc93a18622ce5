package monitor

import (
	"maps"

	"github.com/wasmpool/wasmpool/feed"
)

// tasks are what has become of the runs of all tasks.
type tasks struct {
	list  []*task
	names map[string]int // where in list a task is, by its name
}

// A task is a Task that goes on.
type task struct {
	Task
	ran, waited feed.Durations
}

// index returns the number of a task, by its name as the program called it.
func (t *tasks) index(name string) int {
	if at, found := t.names[name]; found {
		return at
	}
	if len(t.list) >= MostTasks {
		return len(t.list) - 1
	}
	shown := line(name)
	if len(t.list) == MostTasks-1 {
		shown = OtherTasks
	}
	if t.names == nil {
		t.names = map[string]int{}
	}
	at := len(t.list)
	t.list = append(t.list, &task{Task: Task{Name: shown}})
	t.names[name] = at
	return at
}

// take adds what an update says, and returns how many runs ended with a result, and how many failed.
func (t *tasks) take(list []feed.Task) (done, failed uint64) {
	for i := range list {
		more := &list[i]
		one := t.list[t.index(more.Name)]
		one.Done += more.Done
		one.Failed += more.Failed
		one.Again += more.Again
		one.In += more.In
		one.Out += more.Out
		one.Measured += more.Measured
		one.Instructions += more.Instructions
		one.Memory = max(one.Memory, more.Memory)
		one.ran.Merge(&more.Ran)
		one.waited.Merge(&more.Queued)
		for kind, n := range more.Kinds {
			if one.Kinds == nil {
				one.Kinds = map[string]uint64{}
			}
			one.Kinds[kind.String()] += n
		}
		done, failed = done+more.Done, failed+more.Failed
	}
	return done, failed
}

// state returns what has become of all tasks.
func (t *tasks) state() []Task {
	list := make([]Task, 0, len(t.list))
	for _, one := range t.list {
		s := one.Task
		s.Ran, s.Waited = timesOf(&one.ran), timesOf(&one.waited)
		s.Kinds = maps.Clone(one.Kinds)
		list = append(list, s)
	}
	return list
}

func timesOf(d *feed.Durations) Times {
	return Times{Count: d.Count, Sum: d.Sum.Seconds(), Median: d.Quantile(0.5).Seconds(), P99: d.Quantile(0.99).Seconds(), Max: d.Max.Seconds()}
}
