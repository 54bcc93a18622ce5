package main

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/wasmpool/wasmpool/internal/plain"
	"github.com/wasmpool/wasmpool/monitor"
)

// A top is what wasmpool status shows of a job: lines of plain text.
type top struct {
	job    runningJob
	state  *monitor.State
	chosen uint64 // the number of the running call that the next key may kill; 0 is none
	notice string // the last line; "" for the keys
	live   bool
}

// A topLine is one of its lines.
type topLine struct {
	text string
	look look
}

// A look is how a line stands out on a terminal.
type look int

const (
	lookPlain look = iota
	lookHead
	lookChosen
)

// lines returns what fits into so many columns and rows; 0 is any number.
func (t *top) lines(columns, rows int) []topLine {
	list := t.head()
	room := newTopRoom(t.state, rows-len(list)-1)
	list = append(list, t.tasks(room.tasks)...)
	list = append(list, t.workers(room.workers)...)
	list = append(list, t.running(room.running)...)
	list = append(list, t.failures(room.failures)...)
	if rows > 0 {
		list = list[:min(len(list), rows-1)]
	}
	if t.live {
		list = append(list, topLine{text: t.foot(), look: lookHead})
	}
	for i := range list {
		list[i].text = plain.Line(list[i].text)
		if columns > 0 {
			list[i].text = cutTo(list[i].text, columns)
		}
	}
	return list
}

// A topRoom says how many rows of each table there is room for.
type topRoom struct{ tasks, workers, running, failures int }

// newTopRoom shares so many rows out. Where that is not more than 0, there is room for all.
func newTopRoom(s *monitor.State, rows int) topRoom {
	all := topRoom{len(s.Tasks), len(s.Workers), len(s.Running), len(s.Failures)}
	if rows <= 0 {
		return all
	}
	const frame = 2 // an empty line and the names of the columns
	share := func(n, part int) int { return min(n, max(part, 1)) }
	free := rows - 4*frame
	r := topRoom{tasks: share(all.tasks, free/5), workers: share(all.workers, free/4), failures: share(all.failures, free/5)}
	r.running = share(all.running, free-r.tasks-r.workers-r.failures)
	return r
}

// head says what the job is, and how it stands.
func (t *top) head() []topLine {
	s, c := t.state, &t.state.Counts
	took := s.Job.Now.Sub(t.job.Started)
	list := []topLine{
		{fmt.Sprintf("job %s on %s: %s", t.job.Name, s.Job.Host, commandLine(t.job.Command)), lookHead},
		{text: standing{
			done: int64(c.Done + c.Failed + c.Kept), failed: int64(c.Failed), total: c.Total, rate: c.Rate, took: took,
		}.footer()},
		{text: fmt.Sprintf("%d running, %d waiting, %d resting; %s, %.0f%% of them busy, %.0f%% in the last minute",
			c.Running, c.Waiting, c.Resting, count(s.Use.Slots, "slot"), 100*s.Use.Now, 100*s.Use.Last)},
	}
	if s.Job.Drained != "" {
		list = append(list, topLine{text: "begins no call any more: " + s.Job.Drained})
	}
	if s.Why != "" {
		list = append(list, topLine{text: s.Why})
	}
	return list
}

// table makes lines of cells; the first are the names of the columns.
func table(title []string, cells [][]string) []topLine {
	if len(cells) == 0 {
		return nil
	}
	var text bytes.Buffer
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	row(w, title...)
	for _, c := range cells {
		row(w, c...)
	}
	w.Flush() //nolint:errcheck // a buffer takes all
	list := []topLine{{}}
	for line := range strings.Lines(text.String()) {
		list = append(list, topLine{text: strings.TrimRight(line, " \n")})
	}
	list[1].look = lookHead
	return list
}

// more says that there are others.
func more(list []topLine, shown, all int) []topLine {
	if all > shown && len(list) > 0 {
		list[1].text += fmt.Sprintf("  (%d of %d)", shown, all)
	}
	return list
}

func (t *top) tasks(room int) []topLine {
	var cells [][]string
	for _, k := range t.state.Tasks[:room] {
		cells = append(cells, []string{k.Name, number(k.Done), number(k.Failed), briefly(k.Ran.Median), briefly(k.Ran.P99), briefly(k.Ran.Max), briefly(k.Waited.Median), formatBytes(k.Memory)})
	}
	return more(table([]string{"TASK", "DONE", "FAILED", "MEDIAN", "99%", "LONGEST", "WAITED", "MEMORY"}, cells), room, len(t.state.Tasks))
}

func (t *top) workers(room int) []topLine {
	var cells [][]string
	for _, w := range t.state.Workers[:room] {
		busy := fmt.Sprintf("%.0f%%", 100*w.Last)
		if w.Lost != nil {
			busy = "lost: " + w.Reason
		}
		cells = append(cells, []string{strconv.Itoa(w.Rank), w.Host, strconv.Itoa(w.Slots), strconv.Itoa(w.InFlight), number(w.Runs), briefly(w.Heard) + " ago", busy})
	}
	return more(table([]string{"RANK", "HOST", "SLOTS", "CALLS", "RUNS", "HEARD", "BUSY"}, cells), room, len(t.state.Workers))
}

// running lists the calls that run longest, among them the chosen one.
func (t *top) running(room int) []topLine {
	from := max(0, t.at()-room+1)
	shown := t.state.Running[from:min(from+room, len(t.state.Running))]
	var cells [][]string
	for _, c := range shown {
		cells = append(cells, []string{strconv.FormatUint(c.Number, 10), c.Task, c.Name, strings.Join(c.Tags, ","), strconv.Itoa(c.Rank), briefly(c.For)})
	}
	list := more(table([]string{"CALL", "TASK", "INPUT", "TAGS", "RANK", "RUNS FOR"}, cells), len(shown), max(t.state.Runs, len(shown)))
	for i, c := range shown {
		if t.live && c.Number == t.chosen {
			list[i+2].look = lookChosen
		}
	}
	return list
}

func (t *top) failures(room int) []topLine {
	var cells [][]string
	for _, f := range t.state.Failures[:room] {
		message, _, _ := strings.Cut(f.Message, "\n")
		example := ""
		if len(f.Examples) > 0 {
			example = f.Examples[0].Name
		}
		cells = append(cells, []string{number(f.Count), f.Kind, f.Task, example, message})
	}
	return more(table([]string{"TIMES", "FAILURE", "TASK", "FIRST", "MESSAGE"}, cells), room, len(t.state.Failures))
}

func (t *top) foot() string {
	if t.notice != "" {
		return t.notice
	}
	return "q quit   j k choose a call   K kill it   D drain the job"
}

// at returns where the chosen call is in the list of those that run, -1 for nowhere.
func (t *top) at() int {
	for i, c := range t.state.Running {
		if t.chosen != 0 && c.Number == t.chosen {
			return i
		}
	}
	return -1
}

// choose chooses another running call, so many rows below.
func (t *top) choose(below int) {
	n := len(t.state.Running)
	if n == 0 {
		t.chosen = 0
		return
	}
	t.chosen = t.state.Running[min(max(t.at()+below, 0), n-1)].Number
}

// take takes a new state in. A chosen call that has ended is chosen no more, lest another one is killed.
func (t *top) take(s *monitor.State) {
	t.state = s
	if t.at() < 0 {
		t.chosen = 0
	}
}

func number(n uint64) string { return strconv.FormatUint(n, 10) }

func count(n int, thing string) string { return fmt.Sprintf("%d %s", n, plural(n, thing)) }

// briefly gives a time in a few characters.
func briefly(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	switch {
	case d == 0:
		return "-"
	case d >= time.Minute:
		return span(seconds)
	case d >= time.Second:
		return fmt.Sprintf("%.1fs", seconds)
	case d >= time.Millisecond:
		return fmt.Sprintf("%.3gms", seconds*1e3)
	}
	return fmt.Sprintf("%.0fµs", seconds*1e6)
}
