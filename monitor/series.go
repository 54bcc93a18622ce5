package monitor

import "math"

// A series has sums over equal stretches of time, in seconds after the job began. It holds so many: then the oldest go, or where
// it is of the whole job, two become one.
type series struct {
	step  float64
	most  int
	whole bool
	first int // the number of the first stretch: it begins at first times step
	list  []point
}

// A point is what happened in a stretch of time.
type point struct {
	span         float64 // how much of it was seen
	busy, room   float64 // slot time
	done, failed float64 // runs
	queued       float64 // at its end
}

// add adds what happened in a span of time that begins then.
func (s *series) add(begin float64, p point) {
	if p.span <= 0 {
		return
	}
	end := begin + p.span
	for at := begin; at < end; {
		n := int(math.Floor(at/s.step + 1e-9))
		next := min(float64(n+1)*s.step, end)
		if next <= at {
			return
		}
		share := (next - at) / p.span
		s.at(n).merge(point{p.span * share, p.busy * share, p.room * share, p.done * share, p.failed * share, p.queued})
		at = next
	}
}

func (p *point) merge(o point) {
	p.span, p.busy, p.room = p.span+o.span, p.busy+o.busy, p.room+o.room
	p.done, p.failed, p.queued = p.done+o.done, p.failed+o.failed, o.queued
}

// at returns the stretch with that number, for which room is made.
func (s *series) at(n int) *point {
	if len(s.list) == 0 || n >= s.first+len(s.list)+s.most && !s.whole {
		s.first, s.list = n, s.list[:0]
	}
	for n >= s.first+s.most {
		if !s.whole {
			s.list = append(s.list[:0], s.list[1:]...)
			s.first++
			continue
		}
		s.halve()
		n /= 2
	}
	for n >= s.first+len(s.list) {
		s.list = append(s.list, point{})
	}
	return &s.list[max(n-s.first, 0)]
}

// halve makes one stretch of two.
func (s *series) halve() {
	var list []point
	first := s.first / 2
	for i, p := range s.list {
		at := (s.first+i)/2 - first
		if at == len(list) {
			list = append(list, point{})
		}
		list[at].merge(p)
	}
	s.first, s.list, s.step = first, list, 2*s.step
}

// fewPoints is how many of the last points a state has that says what has changed: the last is not whole, and the one before may
// not have been then.
const fewPoints = 3

// state returns all points, or the last ones.
func (s *series) state(whole bool) Series {
	skip := 0
	if !whole {
		skip = max(0, len(s.list)-fewPoints)
	}
	n := len(s.list) - skip
	out := Series{
		Step: s.step, First: float64(s.first+skip) * s.step,
		Use: make([]float64, n), Done: make([]float64, n), Failed: make([]float64, n), Queued: make([]float64, n),
	}
	for i, p := range s.list[skip:] {
		out.Use[i], out.Queued[i] = share{p.busy, p.room}.part(), p.queued
		if p.span > 0 {
			out.Done[i], out.Failed[i] = rounded(p.done/p.span), rounded(p.failed/p.span)
		}
	}
	return out
}
