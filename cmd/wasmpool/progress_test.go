package main

import (
	"context"
	"math"
	"slices"
	"testing"
	"time"
)

func TestStanding(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		s            standing
		line, footer string
	}{
		{standing{total: 4, took: 13 * time.Second}, "after 13s: 0 of 4 done", "[>                   ] 0 of 4 done, 13s so far"},
		{standing{total: 4, took: 13 * time.Second, load: load{compiling: "tasks"}}, "after 13s: compiling tasks, first time here", "compiling tasks, first time here, 13s so far"},
		{
			standing{done: 500, failed: 3, total: 1000, rate: 45.2, took: 80 * time.Second},
			"after 1m20s: 500 of 1000 done, 3 failed, 45 calls/s, 11s left",
			"[==========>         ] 500 of 1000 done, 3 failed, 45 calls/s, 11s left, 1m20s so far",
		},
		{standing{done: 500, total: 1000, tally: tally{found: 490}, rate: 45.2, took: 80 * time.Second}, "after 1m20s: 500 of 1000 done, 490 found in the memo, 45 calls/s, 11s left", "[==========>         ] 500 of 1000 done, 490 found in the memo, 45 calls/s, 11s left, 1m20s so far"},
		{
			standing{done: 500, total: 1000, tally: tally{duplicated: 3, checked: 20, differed: 1}, took: 80 * time.Second},
			"after 1m20s: 500 of 1000 done, 3 took long and were started twice, 20 ran twice as a check, 1 gave ANOTHER result when they ran again",
			"[==========>         ] 500 of 1000 done, 3 took long and were started twice, 20 ran twice as a check, 1 gave ANOTHER result when they ran again, 1m20s so far",
		},
		{standing{done: 7, total: -1, rate: 0.5, took: 2 * time.Hour}, "after 2h00m: 7 done, 30 calls/min", "7 done, 30 calls/min, 2h00m so far"},
		{standing{done: 7, total: 5, rate: 2, took: time.Second}, "after 1s: 7 done, 2.0 calls/s", "7 done, 2.0 calls/s, 1s so far"}, // the total was an estimate
		{standing{done: 4, total: 4, rate: 0.001, took: 3 * 24 * time.Hour}, "after 3d00h: 4 of 4 done, 3.6 calls/h", "[====================] 4 of 4 done, 3.6 calls/h, 3d00h so far"},
		{standing{done: 1, total: math.MaxInt64, rate: 1e-3}, "after 0s: 1 of 9223372036854775807 done, 3.6 calls/h, over a year left", "[>                   ] 1 of 9223372036854775807 done, 3.6 calls/h, over a year left, 0s so far"},
		{standing{total: 1, took: 12 * time.Second}, "after 12s: running", "running, 12s so far"},
		{standing{what: "inputs", done: 7, total: -1, rate: 0.5, took: time.Minute}, "after 1m00s: 7 done, 30 inputs/min", "7 done, 30 inputs/min, 1m00s so far"},
		{standing{done: 4, total: 4, rate: 2, took: time.Minute, reducing: 3}, "after 1m00s: reducing 3 results", "reducing 3 results, 1m00s so far"},
		{standing{total: 0}, "after 0s: 0 of 0 done", "0 of 0 done, 0s so far"},
	} {
		if got := tt.s.line(); got != tt.line {
			t.Errorf("the line of %+v is %q, want %q", tt.s, got, tt.line)
		}
		if got := tt.s.footer(); got != tt.footer {
			t.Errorf("the footer of %+v is %q, want %q", tt.s, got, tt.footer)
		}
	}
}

// The pace is that of the last minute, or of the last results where they are rare.
func TestPace(t *testing.T) {
	t.Parallel()
	var p pace
	p.begin(0, 100)
	done, at := int64(100), time.Duration(0)
	work := func(n int, results int64, every time.Duration) {
		for range n {
			at, done = at+every, done+results
			p.note(at, done)
		}
	}
	check := func(want float64, most int) {
		t.Helper()
		if got := p.rate(at, done); math.Abs(got-want) > want/50 {
			t.Errorf("after %v the rate is %g, want %g", at, got, want)
		}
		if len(p.notes) > most {
			t.Errorf("after %v there are %d notes, want at most %d", at, len(p.notes), most)
		}
	}
	check(0, 1)
	work(50, 1, 100*time.Millisecond)
	check(10, 6)
	work(20_000, 1, 100*time.Millisecond)
	check(10, 70)
	work(70, 2, time.Second) // it becomes slower: the fast time is forgotten
	check(2, 70)
	work(30, 1, time.Hour)
	check(1.0/3600, 70)
	at += 60 * time.Hour // nothing ends: it becomes less
	check(20.0/(80*3600), 70)
	work(2000, 1000, time.Millisecond) // and then much
	if got := p.rate(at, done); got < 1 {
		t.Errorf("after a fast moment the rate is %g", got)
	}
}

// Lines are due ever more rarely, also when nobody looked for long, and none on a terminal.
func TestProgressLines(t *testing.T) {
	t.Parallel()
	var lines, footers []string
	p := &progress{total: 100_000, due: firstLine, asked: never, say: func(line string) { lines = append(lines, line) }}
	p.pace.begin(0, 0)
	var times []int
	for at := time.Duration(0); at <= 3000*time.Second; at += time.Second {
		n := len(lines)
		p.update(t.Context(), at, int64(at.Seconds()), 1, false)
		if len(lines) > n {
			times = append(times, int(at.Seconds()))
		}
	}
	if want := []int{10, 20, 40, 80, 160, 320, 640, 1240, 1840, 2440}; !slices.Equal(times, want) {
		t.Errorf("lines came after %d seconds, want %d", times, want)
	}
	if want := "after 1m20s: 80 of 100000 done, 1 failed, 1.0 calls/s, 27h45m left"; lines[3] != want {
		t.Errorf("a line is %q, want %q", lines[3], want)
	}
	n := len(lines)
	for range 3 {
		p.update(t.Context(), 9000*time.Second, 9000, 1, false)
	}
	if len(lines) != n+1 {
		t.Errorf("after a pause there are %d lines, want 1", len(lines)-n)
	}
	p.show = func(footer string) { footers = append(footers, footer) }
	p.update(t.Context(), 20_000*time.Second, 9001, 1, false)
	p.update(t.Context(), 20_001*time.Second, 9001, 1, true)
	if len(lines) != n+2 || len(footers) != 2 {
		t.Errorf("on a terminal there are %d lines and %d footers, want the line that was asked for, and 2", len(lines)-n-1, len(footers))
	}
}

// While nothing is done it says what is compiled, asks no longer than that, and does not take
// that time for the time of calls.
func TestProgressLoading(t *testing.T) {
	t.Parallel()
	var footers []string
	asked, what, known := 0, load{}, false
	p := &progress{
		total: 30, kept: 10, due: firstLine, asked: askEvery, show: func(footer string) { footers = append(footers, footer) },
		loading: func(context.Context) (load, bool) { asked++; return what, known },
	}
	p.pace.begin(0, 10)
	see := func(second int, done int64, want string) {
		t.Helper()
		p.update(t.Context(), time.Duration(second)*time.Second, done, 0, false)
		if got := footers[len(footers)-1]; got != want {
			t.Errorf("after %d s: %q, want %q", second, got, want)
		}
	}
	see(0, 0, "[======>             ] 10 of 30 done, 0s so far")
	see(1, 0, "[======>             ] 10 of 30 done, 1s so far") // no worker is there
	what, known = load{compiling: "tasks"}, true
	see(2, 0, "compiling tasks, first time here, 2s so far")
	see(9, 0, "compiling tasks, first time here, 9s so far")
	what = load{fetching: "genome"}
	see(10, 0, "fetching the shared input genome, 10s so far")
	what = load{}
	see(11, 0, "[======>             ] 10 of 30 done, 11s so far")
	see(20, 0, "[======>             ] 10 of 30 done, 20s so far")
	if asked != 5 {
		t.Errorf("the workers were asked %d times, want 5", asked)
	}
	see(29, 10, "[=============>      ] 20 of 30 done, 32 calls/min, 19s left, 29s so far")
}
