package monitor

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/feed"
	"github.com/wasmpool/wasmpool/host"
)

// mostOfTask is how many groups the failures of one kind of one task have; the others are one group together.
const mostOfTask = 20

// otherMessages is the message of that group.
const otherMessages = "(other messages)"

// failures are groups of failed runs, by kind, task and message.
type failures struct {
	list   []*Failure
	groups map[string]*Failure
	ofTask map[string]int // how many groups a kind of a task has
	left   uint64
}

// take takes runs in that have ended.
func (f *failures) take(runs []feed.Run, name func(uint64) string) {
	for i := range runs {
		if r := &runs[i]; r.Err != nil {
			f.add(r, name)
		}
	}
}

// add adds a run that failed.
func (f *failures) add(r *feed.Run, name func(uint64) string) {
	e := failureOf(r.Err)
	g := f.group(line(r.Task), e)
	if g == nil {
		f.left++
		return
	}
	g.Count++
	if g.First.IsZero() || r.Ended.Before(g.First) {
		g.First = r.Ended
	}
	if r.Ended.After(g.Last) {
		g.Last = r.Ended
	}
	if len(g.Examples) < MostExamples {
		// states that were given out share the list
		g.Examples = append(slices.Clip(g.Examples), exampleOf(r, e, name(r.Call)))
	}
}

// failureOf returns what an error says.
func failureOf(err error) *executor.TaskError {
	var e *executor.TaskError
	if errors.As(err, &e) {
		return e
	}
	return &executor.TaskError{Kind: host.KindHost, Message: err.Error()}
}

// group returns the group of a failure, nil where there is no room.
func (f *failures) group(task string, e *executor.TaskError) *Failure {
	if f.groups == nil {
		f.groups, f.ofTask = map[string]*Failure{}, map[string]int{}
	}
	of := fmt.Sprintf("%s\x00%s\x00", e.Kind, task)
	message := text(e.Message, mostText)
	key := of + pattern(message)
	if g := f.groups[key]; g != nil {
		return g
	}
	if f.ofTask[of] >= mostOfTask-1 {
		message, key = otherMessages, of+otherMessages
		if g := f.groups[key]; g != nil {
			return g
		}
	}
	if len(f.list) >= MostFailures {
		return nil
	}
	g := &Failure{ID: uint64(len(f.list) + 1), Task: task, Kind: e.Kind.String(), Message: message}
	f.list = append(f.list, g)
	f.groups[key] = g
	f.ofTask[of]++
	return g
}

// exampleOf returns what is kept of a run that failed.
func exampleOf(r *feed.Run, e *executor.TaskError, name string) Example {
	return Example{
		Call: r.Call, Name: line(name), Tags: tags(r.Tags), Attempt: r.Attempt, Again: r.Again, Rank: r.Rank, Host: line(r.Host),
		Ended: r.Ended, Ran: r.Ran.Seconds(), Code: e.Code, Message: text(e.Message, mostText),
		Stack: text(e.Stack, mostStack), Printed: strings.TrimRight(text(end(e.Stderr, mostStack), 2*mostStack), "\n"), Log: lines(e.Log, mostLog),
	}
}

// mostBrief is how many bytes of a message there are where examples are left out.
const mostBrief = 300

// state returns the groups, the largest first; without their examples where these are not wanted.
func (f *failures) state(examples bool) (list []Failure, left uint64) {
	list = make([]Failure, 0, len(f.list))
	for _, g := range f.list {
		s := *g
		if !examples {
			s.Message, s.Examples = cut(s.Message, mostBrief), nil
		}
		list = append(list, s)
	}
	slices.SortStableFunc(list, func(a, b Failure) int {
		switch {
		case a.Count > b.Count:
			return -1
		case a.Count < b.Count:
			return 1
		}
		return 0
	})
	return list, f.left
}
