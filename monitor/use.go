package monitor

import (
	"math"
	"time"

	"github.com/wasmpool/wasmpool/feed"
)

// lastPoints is how many values "the last minute" has.
const lastPoints = 60

// use says how much of the slots' time calls have taken.
//
// A worker says how long its runs took when they have ended. So what a long run took before an update began is taken off, and
// for what runs at its end an estimate is added: see busy.
type use struct {
	began   bool // an update was taken in
	total   Use
	all     share
	ring    ring
	workers []workerUse // in the order in which they joined
}

// A share is slot time that calls took, of slot time that there was, in seconds.
type share struct{ busy, room float64 }

func (s *share) add(o share) { s.busy, s.room = s.busy+o.busy, s.room+o.room }

// part returns the share, from 0 to 1.
func (s share) part() float64 {
	if s.room <= 0 {
		return 0
	}
	return rounded(min(s.busy/s.room, 1))
}

// rounded leaves three digits: a state has thousands of them.
func rounded(f float64) float64 { return math.Round(f*1000) / 1000 }

// A ring holds the shares of the last minute.
type ring struct {
	list [lastPoints]share
	n    int // how many were added
}

func (r *ring) add(s share) {
	r.list[r.n%lastPoints] = s
	r.n++
}

// sum returns them together.
func (r *ring) sum() (s share) {
	for _, o := range r.list {
		s.add(o)
	}
	return s
}

// percents returns them one by one, the oldest first.
func (r *ring) percents() []int {
	list := make([]int, 0, lastPoints)
	for i := max(0, r.n-lastPoints); i < r.n; i++ {
		list = append(list, int(r.list[i%lastPoints].part()*100+0.5))
	}
	return list
}

// workerUse is what is kept of one worker.
type workerUse struct {
	runs     uint64
	ran      time.Duration
	inFlight int
	now, all share
	ring     ring
}

// take takes an update in, and returns the slot time that calls took in it, of that there was.
func (a *use) take(u *feed.Update) (busy, room float64) {
	before := earlier(u)
	var now share
	a.total.Slots = 0
	for i := range u.Workers {
		w := &u.Workers[i]
		if i == len(a.workers) {
			one := workerUse{}
			if !a.began {
				one.runs, one.ran = w.Runs, w.Ran // before the watch
			}
			a.workers = append(a.workers, one)
		}
		kept := &a.workers[i]
		one := kept.take(w, u, before[w.Rank])
		now.add(one)
		if !w.Lost {
			a.total.Slots += w.Slots
		}
	}
	a.began = true
	a.all.add(now)
	a.ring.add(now)
	a.total.Now, a.total.Last, a.total.All = now.part(), a.ring.sum().part(), a.all.part()
	return now.busy, now.room
}

// earlier returns how long runs that have ended in an update took before it began, by rank.
func earlier(u *feed.Update) map[int]time.Duration {
	before := map[int]time.Duration{}
	for i := range u.Runs {
		if r := &u.Runs[i]; r.Began.Before(u.Begin) {
			before[r.Rank] += min(u.Begin.Sub(r.Began), r.Ran)
		}
	}
	return before
}

// take takes in what an update says of the worker, and returns its share.
func (k *workerUse) take(w *feed.Worker, u *feed.Update, before time.Duration) share {
	from := u.Begin
	if w.Joined.After(from) {
		from = w.Joined
	}
	var s share
	if span := u.End.Sub(from); span > 0 && !w.Lost {
		s.room = float64(w.Slots) * span.Seconds()
		s.busy = min(k.busy(w, span, before).Seconds(), s.room)
	}
	k.runs, k.ran, k.inFlight = w.Runs, w.Ran, w.InFlight
	k.now = s
	k.all.add(s)
	k.ring.add(s)
	return s
}

// busy returns for how long the slots of a worker have run calls, in a span of time at whose end it has the calls
// that w says. Of these as many run as there are slots. Where fewer calls ended than that, some slots have ended none, and
// have run theirs for the whole span; the others have run theirs for half of what a run takes.
func (k *workerUse) busy(w *feed.Worker, span, before time.Duration) time.Duration {
	ended, ran := int(w.Runs-k.runs), w.Ran-k.ran
	busy := max(ran-before, 0)
	run := min(w.InFlight, w.Slots)
	stay := max(run-ended, 0)
	begun := max(stay-min(k.inFlight, w.Slots), 0) // of those, had none before
	busy += time.Duration(stay-begun)*span + time.Duration(begun)*span/2
	if ended > 0 {
		busy += time.Duration(run-stay) * min(ran/time.Duration(ended), span) / 2
	}
	return busy
}

// state returns the workers of the last update, with the shares of the last minute if those are wanted.
func (a *use) state(u *feed.Update, recent bool) []Worker {
	list := make([]Worker, 0, len(u.Workers))
	for i := range u.Workers {
		w, kept := &u.Workers[i], &a.workers[i]
		s := Worker{
			Rank: w.Rank, Host: line(w.Host), PID: w.PID, Slots: w.Slots, Joined: w.Joined, Heard: rounded(w.Heard.Seconds()),
			InFlight: w.InFlight, Runs: w.Runs, Ran: rounded(w.Ran.Seconds()),
			Use: kept.now.part(), Last: kept.ring.sum().part(), All: kept.all.part(),
		}
		if recent {
			s.Recent = kept.ring.percents()
		}
		if w.Lost {
			at := w.LostAt
			s.Lost, s.Reason = &at, text(w.Reason, mostText)
		}
		list = append(list, s)
	}
	return list
}
