package main

import (
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/wasmpool/wasmpool/internal/jobsocket"
	"github.com/wasmpool/wasmpool/monitor"
)

// busyState is a state with more of everything than a terminal has rows for, and with texts that would obey
// nobody's wishes but their own.
func busyState() *monitor.State {
	const evil = "\x1b[2J\x00\xff\u202e<script>\r\n\x9b31m"
	now := time.Now()
	s := &monitor.State{Job: monitor.Job{Host: evil, Started: now, Now: now, Drained: evil}, Why: evil, Runs: 70}
	s.Counts = monitor.Counts{Total: 1000, Done: 500, Failed: 3, Running: 70, Rate: 45}
	for i := range 70 {
		s.Tasks = append(s.Tasks, monitor.Task{Name: evil})
		s.Workers = append(s.Workers, monitor.Worker{Rank: i, Host: evil, Slots: 1, Lost: &now, Reason: evil})
		s.Running = append(s.Running, monitor.RunningCall{Number: uint64(i) + 1, Task: evil, Name: evil, Tags: []string{evil}, For: 1})
		s.Failures = append(s.Failures, monitor.Failure{Kind: evil, Task: evil, Message: evil + strings.Repeat("x", 1<<20), Examples: []monitor.Example{{Name: evil}}})
	}
	return s
}

// TestTopFits checks that what is shown of a job fits on a terminal and has nothing that this would obey.
func TestTopFits(t *testing.T) {
	t.Parallel()
	v := top{job: runningJob{Job: jobsocket.Job{Name: "1", Note: jobsocket.Note{Started: time.Now(), Command: []string{"wasmpool", "\x1b[2J"}}}}, live: true}
	v.take(busyState())
	for _, size := range []struct{ columns, rows int }{{80, 24}, {200, 60}, {20, 3}, {2, 2}, {0, 0}} {
		lines := v.lines(size.columns, size.rows)
		if size.rows > 0 && len(lines) > size.rows {
			t.Errorf("%d lines on %d rows", len(lines), size.rows)
		}
		for _, line := range lines {
			if n := len([]rune(line.text)); size.columns > 0 && n >= size.columns {
				t.Errorf("a line has %d characters, on %d columns", n, size.columns)
			}
			if strings.ContainsFunc(line.text, func(r rune) bool { return unicode.IsControl(r) || r == '\u202e' || r == unicode.ReplacementChar }) {
				t.Errorf("a line is %q", line.text)
			}
		}
	}
}

// TestTopChooses checks which call is chosen as keys come, and as calls end.
func TestTopChooses(t *testing.T) {
	t.Parallel()
	var v top
	v.live = true
	v.take(busyState())
	for _, step := range []struct {
		below int
		want  uint64
	}{{1, 1}, {1, 2}, {-1, 1}, {-1, 1}, {100, 70}, {1, 70}} {
		if v.choose(step.below); v.chosen != step.want {
			t.Errorf("after %d, call %d is chosen, want %d", step.below, v.chosen, step.want)
		}
	}
	marked := 0
	for _, line := range v.lines(80, 40) {
		if line.look == lookChosen {
			marked++
			if !strings.HasPrefix(line.text, "70 ") {
				t.Errorf("marked is %q", line.text)
			}
		}
	}
	if marked != 1 {
		t.Errorf("%d lines are marked", marked)
	}
	s := busyState()
	s.Running = s.Running[:69]
	if v.take(s); v.chosen != 0 {
		t.Errorf("call %d is chosen when that which was has ended", v.chosen)
	}
	if v.take(&monitor.State{}); len(v.lines(80, 24)) != 4 {
		t.Errorf("of a job without anything it shows %v", v.lines(80, 24))
	}
	v.choose(1)
}

// TestKeys checks which keys bytes are.
func TestKeys(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]rune{
		"jk":              {'j', 'k'},
		"\x1b[A\x1b[B":    {keyUp, keyDown},
		"\x1bOA\x1bOB":    {keyUp, keyDown},
		"\x1b[1;5Aq":      {keyUp, 'q'},
		"\x1b[5~K":        {keyOther, 'K'},
		"\x1b\x1b[Bx\x03": {keyDown, 'x', '\x03'},
		"\x1bq":           {'q'},
	} {
		var p keyParser
		var got []rune
		for _, c := range []byte(text) {
			if k, whole := p.add(c); whole {
				got = append(got, k)
			}
		}
		if string(got) != string(want) {
			t.Errorf("%q is %v, want %v", text, got, want)
		}
	}
}

func TestCommandLine(t *testing.T) {
	t.Parallel()
	got := commandLine([]string{"wasmpool", "map", "a b", "it's", "", "*", "x\x1b", "--range", "1..3"})
	if want := `wasmpool map 'a b' 'it'\''s' '' '*' x\x1b --range 1..3`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
