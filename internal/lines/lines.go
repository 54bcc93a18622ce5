package lines

import (
	"fmt"
	"time"
)

const (
	// Every is the time in which a rank sends [PerRank] lines at most. More would keep the
	// root from its work.
	Every = 10 * time.Second

	// PerCall is how many of these are one call's, at most.
	PerCall = 1000

	mostLines = 10_000
	fewLines  = 100
	allLines  = 320_000 // of all ranks, where they are many

	// Patience is for how many times Every a rank may send at once to the root: its lines may
	// have been held up for a minute, as the root or what lies between stood still.
	Patience = 8

	// notes is how many lines of its own Next returns in Every, at most: that it stops some
	// lines from now on, and how many it has stopped.
	notes = 2

	// MostText is how many bytes of a line are sent.
	MostText = 8 << 10
)

// PerRank returns how many lines one rank of so many may send.
func PerRank(ranks int) int { return min(mostLines, max(fewLines, allLines/max(ranks, 1))) }

// A Limiter counts the lines that are sent, and stops those that are too many. Its zero value
// is ready to use, by one goroutine at a time.
type Limiter struct {
	since   int64 // when the count began
	sent    int
	stopped int
}

// Next reports whether one more line may be sent, where most may be in [Every]. A note that
// is not empty is a line to send about lines that were stopped; who names their sender in
// it. now is in nanoseconds, from 1.
func (l *Limiter) Next(now int64, who string, most int) (pass bool, note string) {
	return l.next(now, who, most, most)
}

// Late is Next for the root. It stops no line that the rank's Next let pass, and no note,
// unless the line was held up for a minute.
func (l *Limiter) Late(now int64, who string, most int) (pass bool, note string) {
	most += notes
	return l.next(now, who, most, most*Patience)
}

// next is Next that lets burst lines pass at once, and most in Every in the long run.
func (l *Limiter) next(now int64, who string, most, burst int) (pass bool, note string) {
	if l.since == 0 {
		l.since = now
	}
	if past := (now - l.since) / int64(Every); past > 0 {
		if l.stopped > 0 {
			note = fmt.Sprintf("%d lines that %s logged were left out", l.stopped, who)
		}
		// By whole steps: the rest of the time counts the next time.
		*l = Limiter{since: l.since + past*int64(Every), sent: max(0, l.sent-int(min(past, Patience))*most)}
	}
	if l.sent < burst {
		l.sent++
		return true, note
	}
	if l.stopped == 0 {
		note = fmt.Sprintf("%s logged more than %d lines in %v: the rest of that time is left out of the log", who, most, Every)
	}
	l.stopped++
	return false, note
}
