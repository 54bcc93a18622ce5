package monitor

import "time"

// A pace is how fast inputs, or calls, have ended in the last minute.
type pace struct {
	list [lastPoints + 1]mark
	n    int // how many were added
}

// A mark is how many had ended at a moment.
type mark struct {
	at    time.Time
	ended uint64
}

func (p *pace) add(at time.Time, ended uint64) {
	p.list[p.n%len(p.list)] = mark{at, ended}
	p.n++
}

// rate returns how many end in a second.
func (p *pace) rate() float64 {
	if p.n < 2 {
		return 0
	}
	last := p.list[(p.n-1)%len(p.list)]
	first := p.list[max(p.n-len(p.list), 0)%len(p.list)]
	span := last.at.Sub(first.at).Seconds()
	if span <= 0 || last.ended < first.ended {
		return 0
	}
	return rounded(float64(last.ended-first.ended) / span)
}
