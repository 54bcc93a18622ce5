package monitor

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// How long nothing must end, or the program must wait, until the state says why.
const (
	quiet   = 3 * time.Second
	waiting = time.Second
)

// why says in one sentence why nothing moves, or what keeps slots idle; it is empty while calls end and slots are busy. No run has
// ended for the duration still. p is nil where the program does not tell its progress.
func why(s *State, silent []int, p *Progress, still time.Duration) string {
	if p == nil {
		p = &Progress{}
	}
	starved := p.Input >= waiting && s.Use.Now < 0.5
	switch sentence := whyNobody(s); {
	case sentence != "":
		return sentence
	case p.Output >= waiting:
		return fmt.Sprintf("The output blocks: a result has waited for %s to be written.", short(p.Output))
	case still < quiet && !starved:
		return ""
	}
	if sentence := whyBusy(s, silent, p); sentence != "" {
		return sentence
	}
	return whyIdle(s, p, starved)
}

// whyNobody says why there is no worker, where there is none.
func whyNobody(s *State) string {
	last := -1
	for i := range s.Workers {
		w := &s.Workers[i]
		if w.Lost == nil {
			return ""
		}
		if last < 0 || w.Lost.After(*s.Workers[last].Lost) {
			last = i
		}
	}
	switch {
	case s.Counts.Awaited > 0 && last < 0:
		return fmt.Sprintf("No worker has joined: %s awaited, for %s now.", count(s.Counts.Awaited, "is", "are"), short(s.Job.Now.Sub(s.Job.Started)))
	case s.Counts.Awaited > 0:
		return fmt.Sprintf("All workers that joined are lost, and %s awaited.", count(s.Counts.Awaited, "is", "are"))
	case last < 0:
		return "There is no worker."
	}
	return fmt.Sprintf("All workers are lost, rank %d as the last: %s.", s.Workers[last].Rank, s.Workers[last].Reason)
}

// whyBusy says what the workers do, where that keeps others waiting.
func whyBusy(s *State, silent []int, p *Progress) string {
	c := &s.Counts
	if name, ranks := loads(s); len(ranks) > 0 && s.Runs <= 0 && c.Running > 0 {
		return fmt.Sprintf("%s the module %s.", subject(ranks, "compiles", "compile"), name)
	}
	if name, ranks := fetches(s); len(ranks) > 0 && s.Runs <= 0 && c.Running > 0 {
		return fmt.Sprintf("%s the shared input %s.", subject(ranks, "fetches", "fetch"), name)
	}
	silent = loaded(s, silent)
	switch {
	case len(silent) > 0:
		return fmt.Sprintf("%s not answer, and %s calls.", subject(silent, "does", "do"), verb(silent, "has", "have"))
	case p.Behind != 0 && c.Running < s.Use.Slots:
		return "Results are waited for in order, behind " + behind(s, p.Behind) + "."
	case c.Running > 0 && c.Running >= s.Use.Slots:
		sentence := fmt.Sprintf("All %d slots run calls%s", s.Use.Slots, longest(s))
		if s.Use.Slots == 1 {
			sentence = "The only slot runs a call" + longest(s)
		}
		if c.Waiting > 0 {
			sentence += fmt.Sprintf("; %s", count(c.Waiting, "call waits", "calls wait"))
		}
		return sentence + "."
	}
	return ""
}

// whyIdle says why slots have no calls.
func whyIdle(s *State, p *Progress, starved bool) string {
	c := &s.Counts
	some := ""
	if c.Running > 0 {
		some = fmt.Sprintf(" Meanwhile %d of %d slots run calls%s.", c.Running, s.Use.Slots, longest(s))
	}
	switch {
	case s.Job.Drained != "":
		return "The job begins no call any more: " + strings.TrimSuffix(s.Job.Drained, ".") + "." + some
	case starved:
		return fmt.Sprintf("The input is slower than the pool: the slots have waited for the next one for %s.", short(p.Input)) + some
	case c.Waiting > 0:
		return fmt.Sprintf("%s, though %s free.", count(c.Waiting, "call waits", "calls wait"), count(s.Use.Slots-c.Running, "slot is", "slots are")) + some
	case c.Resting > 0:
		return fmt.Sprintf("%s until the next attempt.", count(c.Resting, "call has failed and rests", "calls have failed and rest")) + some
	case c.Running > 0:
		return fmt.Sprintf("%d of %d slots run calls%s, and no other call was submitted.", c.Running, s.Use.Slots, longest(s))
	case c.Submitted == 0:
		return "The program has submitted no call yet."
	}
	return "All calls have ended that the program has submitted."
}

// longest says of which task the calls are that run, and for how long the longest has.
func longest(s *State) string {
	if len(s.Running) == 0 {
		return ""
	}
	task := s.Running[0].Task
	for _, c := range s.Running {
		if c.Task != task {
			return fmt.Sprintf(", the longest, call %d of %s, for %s", s.Running[0].Number, task, seconds(s.Running[0].For))
		}
	}
	return fmt.Sprintf(" of %s, the longest for %s", task, seconds(s.Running[0].For))
}

// behind says what becomes of a call.
func behind(s *State, number uint64) string {
	for _, c := range s.Running {
		if c.Number == number {
			return fmt.Sprintf("call %d of %s, which rank %d has run for %s", number, c.Task, c.Rank, seconds(c.For))
		}
	}
	return fmt.Sprintf("call %d", number)
}

// loads returns a module that workers load, and which.
func loads(s *State) (name string, ranks []int) {
	for i := range s.Workers {
		if w := &s.Workers[i]; len(w.Loading) > 0 {
			name, ranks = w.Loading[0], append(ranks, w.Rank)
		}
	}
	return name, ranks
}

// fetches returns a shared input that workers fetch, and which.
func fetches(s *State) (name string, ranks []int) {
	for i := range s.Workers {
		if w := &s.Workers[i]; len(w.Fetching) > 0 {
			name, ranks = w.Fetching[0], append(ranks, w.Rank)
		}
	}
	return name, ranks
}

// subject begins a sentence about workers.
func subject(ranks []int, one, several string) string {
	if len(ranks) == 1 {
		return fmt.Sprintf("Rank %d %s", ranks[0], one)
	}
	return fmt.Sprintf("Rank %d and %s %s", ranks[0], count(len(ranks)-1, "other", "others"), several)
}

func verb(list []int, one, several string) string {
	if len(list) == 1 {
		return one
	}
	return several
}

// loaded returns those of the ranks whose workers have calls.
func loaded(s *State, ranks []int) (list []int) {
	for i := range s.Workers {
		if w := &s.Workers[i]; w.Lost == nil && w.InFlight > 0 && slices.Contains(ranks, w.Rank) {
			list = append(list, w.Rank)
		}
	}
	return list
}

func count(n int, one, several string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, several)
}

func seconds(s float64) string { return short(time.Duration(s * float64(time.Second))) }

// short gives a duration as people say it.
func short(d time.Duration) string {
	minutes := int(d.Minutes())
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case minutes < 60:
		return fmt.Sprintf("%d min", minutes)
	case minutes < 48*60:
		return fmt.Sprintf("%d h %d min", minutes/60, minutes%60)
	}
	return fmt.Sprintf("%d days", minutes/60/24)
}
