package host

import (
	"fmt"
	"time"
)

const (
	// linesEvery is the time in which a rank sends a number of lines of its guests' logs:
	// at most mostLines, at least fewLines, and where there are many ranks its share of
	// allLines. Of these at most callLines are one call's. More would keep the root, which
	// writes them, from its work.
	linesEvery = 10 * time.Second
	callLines  = 1000
	mostLines  = 10_000
	fewLines   = 100
	allLines   = 320_000
)

// rankLines returns how many lines one rank of so many may send.
func rankLines(ranks int) int { return min(mostLines, max(fewLines, allLines/max(ranks, 1))) }

// A lineGate counts the lines that are sent, and stops those that are too many.
type lineGate struct {
	since   int64 // by nanotime, when the count began
	sent    int
	stopped int
}

// next reports whether one more line of who's may be sent, of most, and what is to be said
// about those that were not.
func (g *lineGate) next(now int64, who string, most int) (pass bool, note string) {
	if g.since == 0 || now-g.since >= int64(linesEvery) {
		if g.stopped > 0 {
			note = fmt.Sprintf("%d lines that %s logged were left out", g.stopped, who)
		}
		*g = lineGate{since: now}
	}
	if g.sent < most {
		g.sent++
		return true, note
	}
	if g.stopped == 0 {
		note = fmt.Sprintf("%s logged %d lines in less than %v: the rest of that time is left out of the log", who, most, linesEvery)
	}
	g.stopped++
	return false, note
}
