package host

import (
	"fmt"
	"time"
)

const (
	// linesEvery is the time in which a rank sends a number of lines of its guests' logs:
	// at most mostLines, at least fewLines, and where there are many ranks its share of
	// allLines. More would keep the root, which writes them, from its work.
	linesEvery = 10 * time.Second
	mostLines  = 10_000
	fewLines   = 100
	allLines   = 320_000
)

// A lineGate counts the lines that a rank sends, and stops those that are too many.
type lineGate struct {
	since   int64 // by nanotime, when the count began
	sent    int
	stopped int
}

// next reports whether one more line of a rank among so many may be sent, and what is
// to be said about those that were not.
func (g *lineGate) next(now int64, ranks int) (pass bool, note string) {
	if g.since == 0 || now-g.since >= int64(linesEvery) {
		if g.stopped > 0 {
			note = fmt.Sprintf("%d lines of this rank's tasks were left out of the log", g.stopped)
		}
		*g = lineGate{since: now}
	}
	most := min(mostLines, max(fewLines, allLines/max(ranks, 1)))
	if g.sent < most {
		g.sent++
		return true, note
	}
	if g.stopped == 0 {
		note = fmt.Sprintf("this rank's tasks logged %d lines in less than %v: the rest of that time is left out of the log", most, linesEvery)
	}
	g.stopped++
	return false, note
}
