package monitor

import "github.com/wasmpool/wasmpool/feed"

// tasks are what has become of the runs of all tasks. The names of the list are plain.
type tasks struct {
	list  []*feed.Task
	names map[string]int // where in list a task is, by its name
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
	t.list = append(t.list, &feed.Task{Name: shown})
	t.names[name] = at
	return at
}

// take adds what an update says, and returns how many runs ended with a result, and how many failed.
func (t *tasks) take(list []feed.Task) (done, failed uint64) {
	for i := range list {
		more := &list[i]
		t.list[t.index(more.Name)].Merge(more)
		done, failed = done+more.Done, failed+more.Failed
	}
	return done, failed
}

// state returns what has become of all tasks.
func (t *tasks) state() []Task {
	list := make([]Task, 0, len(t.list))
	for _, one := range t.list {
		list = append(list, Task{
			Name: one.Name, Done: one.Done, Failed: one.Failed, Again: one.Again, Kinds: kindsOf(one),
			Ran: timesOf(&one.Ran), Waited: timesOf(&one.Queued), In: one.In, Out: one.Out,
			Measured: one.Measured, Instructions: one.Instructions, Memory: one.Memory,
		})
	}
	return list
}

// kindsOf returns how many runs have failed how, nil where none has.
func kindsOf(t *feed.Task) map[string]uint64 {
	if len(t.Kinds) == 0 {
		return nil
	}
	kinds := make(map[string]uint64, len(t.Kinds))
	for kind, n := range t.Kinds {
		kinds[kind.String()] = n
	}
	return kinds
}

func timesOf(d *feed.Durations) Times {
	return Times{Count: d.Count, Sum: d.Sum.Seconds(), Median: d.Quantile(0.5).Seconds(), P99: d.Quantile(0.99).Seconds(), Max: d.Max.Seconds()}
}
