package main

import (
	"cmp"
	"fmt"
	"strings"
	"time"
)

const (
	// paceSpan is how far back a pace looks, at least.
	paceSpan = time.Minute

	// paceLeast is how many results it goes by, at least, where there are so many.
	paceLeast = 20

	// paceStep is how often it notes what was done, at most.
	paceStep = time.Second
)

// A pace is how fast a map goes of late. It reads no clock: moments are given to it, as the
// time since the map began.
type pace struct{ notes []paceNote }

// A paceNote says how many inputs were done at a moment.
type paceNote struct {
	at   time.Duration
	done int64
}

// begin makes the pace count from here.
func (p *pace) begin(at time.Duration, done int64) { p.notes = []paceNote{{at, done}} }

// note takes in how many inputs are done. The notes are few: one for each second of the span,
// or one for each of the least results.
func (p *pace) note(at time.Duration, done int64) {
	last := p.notes[len(p.notes)-1]
	if done == last.done || at-last.at < paceStep {
		return
	}
	p.notes = append(p.notes, paceNote{at, done})
	for len(p.notes) > 2 && at-p.notes[1].at >= paceSpan && done-p.notes[1].done >= paceLeast {
		p.notes = p.notes[1:]
	}
}

// rate returns how many inputs were done a second, or 0 while none was.
func (p *pace) rate(at time.Duration, done int64) float64 {
	first := p.notes[0]
	if done <= first.done || at <= first.at {
		return 0
	}
	return float64(done-first.done) / (at - first.at).Seconds()
}

// A standing is how far a map has come.
type standing struct {
	done, failed int64
	kept         int64         // of those that are done, by an earlier run
	total        int64         // inputs, or -1 where that is not known
	what         string        // is done at the rate; "" for calls
	rate         float64       // inputs a second of late, 0 where that is not known
	took         time.Duration // so far
	load         load          // what the workers wait for, while nothing is done
	tally        tally         // of calls
	reducing     int64         // results that are reduced
}

// text says it without the time that it took.
func (s standing) text() string {
	if s.load.compiling != "" {
		return "compiling " + s.load.compiling + ", first time here"
	}
	if s.load.fetching != "" {
		return "fetching the shared input " + s.load.fetching
	}
	if s.reducing > 0 {
		return fmt.Sprintf("reducing %d %s", s.reducing, plural(int(s.reducing), "result"))
	}
	if s.total == 1 && s.done == 0 {
		return "running"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d", s.done)
	if s.total >= s.done {
		fmt.Fprintf(&b, " of %d", s.total)
	}
	b.WriteString(" done")
	if s.failed > 0 {
		fmt.Fprintf(&b, ", %d failed", s.failed)
	}
	b.WriteString(s.tally.text(", "))
	if s.rate > 0 {
		b.WriteString(", " + rateText(s.rate, cmp.Or(s.what, "calls")))
		if s.total > s.done {
			b.WriteString(", " + span(float64(s.total-s.done)/s.rate) + " left")
		}
	}
	return b.String()
}

// line is for a log.
func (s standing) line() string { return "after " + span(s.took.Seconds()) + ": " + s.text() }

// footer is for a terminal.
func (s standing) footer() string {
	text := s.text() + ", " + span(s.took.Seconds()) + " so far"
	if s.total > 1 && s.total >= s.done && s.load == (load{}) && s.reducing == 0 {
		text = bar(float64(s.done)/float64(s.total)) + " " + text
	}
	return text
}

// bar draws how much of something is done.
func bar(share float64) string {
	const width = 20
	n := int(share * width)
	if n == width {
		return "[" + strings.Repeat("=", width) + "]"
	}
	return "[" + strings.Repeat("=", n) + ">" + strings.Repeat(" ", width-n-1) + "]"
}

// rateText gives a rate in the unit in which it is a handy number.
func rateText(perSecond float64, what string) string {
	switch {
	case perSecond >= 10:
		return fmt.Sprintf("%.0f %s/s", perSecond, what)
	case perSecond >= 1:
		return fmt.Sprintf("%.1f %s/s", perSecond, what)
	case perSecond >= 1.0/60:
		return fmt.Sprintf("%.0f %s/min", perSecond*60, what)
	}
	return fmt.Sprintf("%.1f %s/h", perSecond*3600, what)
}

// span gives a time by its two largest units.
func span(seconds float64) string {
	const most = 365 * 24 * 60 * 60
	if seconds >= most {
		return "over a year"
	}
	s := int64(seconds)
	switch m, h := s/60, s/3600; {
	case m == 0:
		return fmt.Sprintf("%ds", s)
	case h == 0:
		return fmt.Sprintf("%dm%02ds", m, s%60)
	case h < 48:
		return fmt.Sprintf("%dh%02dm", h, m%60)
	default:
		return fmt.Sprintf("%dd%02dh", h/24, h%24)
	}
}
