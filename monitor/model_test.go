package monitor

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/feed"
	"github.com/wasmpool/wasmpool/host"
)

// TestCounts checks what a state counts, and its JSON.
func TestCounts(t *testing.T) {
	t.Parallel()
	h := newHand(t, Config{Title: "job"})
	h.join(2)
	for range 10 {
		h.workers[0].InFlight = 5
		h.next(
			func(u *feed.Update) {
				u.Queued, u.Resting, u.Awaited, u.Found, u.Duplicated, u.Checked, u.Differed = 7, 1, 2, 3, 4, 5, 6
			},
			h.run("a", 1, 0, 100*time.Millisecond, nil), h.run("a", 1, 1, 300*time.Millisecond, nil), h.run("b", 1, 1, time.Millisecond, failure(host.KindTrap, "x")),
		)
	}
	s := h.state()
	c := s.Counts
	if c.Done != 20 || c.Failed != 10 || c.Running != 2 || c.Waiting != 10 || c.Resting != 1 || c.Awaited != 2 || c.Total != -1 || c.ETA != -1 || c.Rate != 3 {
		t.Errorf("counts: %+v", c)
	}
	if c.Found != 3 || c.Duplicated != 4 || c.Checked != 5 || c.Differed != 6 {
		t.Errorf("calls that did not run once: %+v", c)
	}
	if len(s.Tasks) != 2 {
		t.Fatalf("%d tasks, want 2", len(s.Tasks))
	}
	for _, task := range s.Tasks {
		switch task.Name {
		case "a":
			if task.Done != 20 || task.Failed != 0 || task.In != 200 || task.Out != 400 || task.Measured != 20 || task.Instructions != 20000 || task.Memory != 1<<20 || task.Ran.Count != 20 || math.Abs(task.Ran.Sum-4) > 1e-9 || task.Ran.Max != 0.3 {
				t.Errorf("task a: %+v", task)
			}
		case "b":
			if task.Failed != 10 || task.Kinds["trap"] != 10 {
				t.Errorf("task b: %+v", task)
			}
		}
	}
	data, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var back State
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	if again, _ := json.Marshal(back); string(again) != string(data) {
		t.Errorf("a state that was read is another:\n%s\n%s", again, data)
	}
	if len(back.Stream.Bars) != 30 {
		t.Errorf("%d bars of 30 runs", len(back.Stream.Bars))
	}
}

// TestProgressOfProgram checks that what the program says of its inputs is counted in place of calls.
func TestProgressOfProgram(t *testing.T) {
	t.Parallel()
	var done uint64
	h := newHand(t, Config{Progress: func() Progress {
		done += 2
		return Progress{Total: 100, Done: done, Failed: 1, Kept: 10}
	}})
	h.join(1)
	for range 4 {
		h.next(nil)
	}
	c := h.state().Counts
	if c.Unit != "inputs" || c.Total != 100 || c.Done != 10 || c.Failed != 1 || c.Kept != 10 || c.Rate != 2 || c.ETA != 39.5 {
		t.Errorf("counts: %+v", c)
	}
}

// TestUse checks how much of the slots' time is said to be used.
func TestUse(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		do   func(h *hand)
		want float64
	}{
		{"idle", func(h *hand) { h.next(nil) }, 0},
		{"short runs", func(h *hand) {
			for range 10 {
				h.next(nil, h.run("a", 1, 0, 500*time.Millisecond, nil), h.run("a", 1, 1, 500*time.Millisecond, nil))
			}
		}, 0.5},
		{"a run that goes on", func(h *hand) {
			h.workers[0].InFlight = 2
			h.next(nil) // they begin somewhere in this second
			for range 19 {
				h.next(nil)
			}
		}, 0.975},
		{"a long run is counted once", func(h *hand) {
			h.workers[0].InFlight = 1
			for range 10 {
				h.next(nil)
			}
			h.workers[0].InFlight = 0
			h.next(nil, h.run("a", 1, 0, 10500*time.Millisecond, nil))
		}, 0.477},
	} {
		h := newHand(t, Config{})
		h.join(2)
		c.do(h)
		s := h.state()
		if math.Abs(s.Use.All-c.want) > 0.002 || math.Abs(s.Workers[0].All-c.want) > 0.002 {
			t.Errorf("%s: %v in all, %v of the worker, want %v", c.name, s.Use.All, s.Workers[0].All, c.want)
		}
		if s.Use.Last > 1 || s.Use.Now > 1 || s.Use.Slots != 2 {
			t.Errorf("%s: %+v", c.name, s.Use)
		}
	}
}

// TestSeries checks that the sums of a series stay, however long the job is, and that it is bounded.
func TestSeries(t *testing.T) {
	t.Parallel()
	for _, length := range []int{1, 10, MostPoints, MostPoints + 1, 10000} {
		s := series{step: 1, most: MostPoints, whole: true}
		last := series{step: 1, most: MostSeconds}
		for i := range length {
			p := point{span: 1, busy: 1, room: 2, done: 3, queued: float64(i)}
			s.add(float64(i)+0.25, p)
			last.add(float64(i)+0.25, p)
		}
		sum := 0.0
		for _, p := range s.list {
			sum += p.done
		}
		if math.Abs(sum-3*float64(length)) > 1e-6 || len(s.list) > MostPoints || len(last.list) > MostSeconds {
			t.Errorf("%d seconds: %d points with %v runs, and %d", length, len(s.list), sum, len(last.list))
		}
		out := last.state(true)
		if n := len(out.Use); out.Use[n-1] != 0.5 || out.Done[n-1] != 3 || out.Queued[n-1] != float64(length-1) {
			t.Errorf("%d seconds: the last point is %v, %v, %v", length, out.Use[n-1], out.Done[n-1], out.Queued[n-1])
		}
	}
	s := series{step: 1, most: MostSeconds} // which stood still for a day
	s.add(0, point{span: 1})
	s.add(86400, point{span: 1, done: 1})
	if s.first != 86400 || len(s.list) != 1 {
		t.Errorf("after a pause there are %d points from %d on", len(s.list), s.first)
	}
}

// TestBounds checks that a state stays small whatever happens, and that nothing is lost silently.
func TestBounds(t *testing.T) {
	t.Parallel()
	h := newHand(t, Config{Name: func(uint64) string { return strings.Repeat("name", 1000) }})
	for range 4 {
		h.join(8)
	}
	long := strings.Repeat("\x1b[31m\x00<script>alert(1)</script>\xff", 40000)
	for second := range 100 {
		var runs []feed.Run
		for i := range 1100 {
			var err error
			if i%10 == 0 {
				err = &executor.TaskError{Kind: host.KindApplication, Message: fmt.Sprintf("%c%c%s", 'a'+i/10%26, 'a'+second%26, long[:100]), Stack: long, Stderr: long, Log: []string{long}}
			}
			r := h.run(fmt.Sprintf("task%d", (i+second*1100)%600), 1+i%4, i%8, time.Duration(i)*time.Millisecond/100, err)
			if i%100 == 0 {
				r.Task = long
				r.Tags = []string{long, long}
			}
			runs = append(runs, r)
		}
		h.next(func(u *feed.Update) { u.Omitted = 5 }, runs...)
	}
	s := h.state()
	data, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	if len(data) > 9<<20 || len(s.Tasks) != MostTasks || len(s.Failures) > MostFailures || len(s.Stream.Bars) > mostAllBars {
		t.Errorf("%d bytes, %d tasks, %d groups of failures, %d bars", len(data), len(s.Tasks), len(s.Failures), len(s.Stream.Bars))
	}
	var done, failed, grouped uint64
	for _, task := range s.Tasks {
		done, failed = done+task.Done, failed+task.Failed
	}
	for _, f := range s.Failures {
		grouped += f.Count
		if len(f.Examples) > MostExamples || len(f.Examples) == 0 {
			t.Errorf("a group has %d examples", len(f.Examples))
		}
	}
	if done != 99000 || failed != 11000 || grouped+s.Left != 11000 {
		t.Errorf("%d done, %d failed, %d in groups, %d left", done, failed, grouped, s.Left)
	}
	for _, bad := range []string{"\x1b", "\x00", "\\u001b", "\\u0000", "\xff", "\\ufffd", "<script"} {
		if strings.Contains(string(data), bad) {
			t.Errorf("the state has %q", bad)
		}
	}
	var drawn uint64
	for _, b := range s.Stream.Bars {
		drawn += b.Runs
	}
	if s.Stream.Omitted == 0 || drawn+s.Stream.Omitted < 60*1000 {
		t.Errorf("of the last minute %d runs are drawn, and %d omitted", drawn, s.Stream.Omitted)
	}
}

// TestFailureGroups checks which failures are of one group.
func TestFailureGroups(t *testing.T) {
	t.Parallel()
	h := newHand(t, Config{Name: func(n uint64) string { return fmt.Sprint("input ", n) }})
	h.join(1)
	h.next(nil, h.run("a", 1, 0, time.Second, failure(host.KindTrap, "at 17")), h.run("a", 1, 0, time.Second, failure(host.KindTrap, "at 4")),
		h.run("b", 1, 0, time.Second, failure(host.KindTrap, "at 17")), h.run("a", 1, 0, time.Second, failure(host.KindPanic, "at 17")), h.run("a", 1, 0, time.Second, failure(host.KindTrap, "on 17")))
	s := h.state()
	if len(s.Failures) != 4 || s.Failures[0].Count != 2 || s.Failures[0].Examples[1].Name != "input 2" || s.Failures[0].Examples[1].Message != "at 4" || s.Failures[0].Message != "at 17" {
		t.Errorf("groups: %+v", s.Failures)
	}
	for i := range 100 {
		h.next(nil, h.run("a", 1, 0, time.Second, failure(host.KindTrap, strings.Repeat("x", i))))
	}
	s = h.state()
	if len(s.Failures) != 2+mostOfTask || s.Failures[0].Message != otherMessages || s.Left != 0 {
		t.Errorf("%d groups, of which the largest is %q, and %d left", len(s.Failures), s.Failures[0].Message, s.Left)
	}
}

// TestRunning checks what runs, as far as workers have told.
func TestRunning(t *testing.T) {
	t.Parallel()
	h := newHand(t, Config{})
	h.join(4)
	h.next(nil)
	if s := h.state(); s.Runs != -1 {
		t.Errorf("%d run, though nobody was asked", s.Runs)
	}
	h.m.model.report(executor.Report{Workers: []executor.WorkerReport{
		{Rank: 1, Answered: true, Loading: []string{"m"}, Memory: 5, Guests: 3, Running: []executor.RunningCall{{Number: 1, Task: "a", For: time.Second, Slot: 2}, {Number: 9, Task: "b", For: time.Minute, Slot: 3}}},
		{Rank: 2},
	}}, h.at)
	h.at = h.at.Add(time.Second)
	s := h.state()
	if s.Runs != 2 || s.Running[0].Number != 9 || s.Running[0].For != 61 || s.Running[1].Slot != 2 || len(s.Workers[0].Loading) != 1 || s.Workers[0].Memory != 5 || s.Workers[0].Guests != 3 || len(s.Stream.Open) != 2 {
		t.Errorf("running: %+v", s.Running)
	}
	h.next(nil, feed.Run{Call: 9, Task: "b", Rank: 1, Ended: h.at})
	if s := h.state(); s.Runs != 1 || s.Running[0].Number != 1 {
		t.Errorf("after call 9 has ended there run: %+v", s.Running)
	}
}

// TestEnd checks what becomes of a state when the job ends.
func TestEnd(t *testing.T) {
	t.Parallel()
	h := newHand(t, Config{})
	h.m.End("killed by signal 15\x1b[2J")
	h.m.end("the pool has ended", false)
	s := h.m.State()
	if s.Job.Ended == nil || s.Job.Outcome != `killed by signal 15\x1b[2J` || s.Why != "" {
		t.Errorf("the job: %+v, %q", s.Job, s.Why)
	}
}

// TestText checks how texts are cut.
func TestText(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ got, want string }{
		{cut("short", 5), "short"},
		{cut("longer", 5), "longe… (6 bytes)"},
		{cut("aäö", 2), "a… (5 bytes)"},
		{end("longer", 5), "(6 bytes) …onger"},
		{end("aäö", 3), "(5 bytes) …ö"},
		{line("a\nb\x00\xff"), `a\nb\x00\xff`},
		{text("a\nb\x1b[2J", 100), "a\nb" + `\x1b[2J`},
		{pattern("at 17, or 4"), "at 0, or 0"},
		{short(59 * time.Second), "59 s"},
		{short(49 * time.Hour), "2 days"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}
