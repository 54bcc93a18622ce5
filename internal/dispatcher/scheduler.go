package dispatcher

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// The window: how much a worker holds.
const (
	// windowTime is how much work, per slot, a worker holds of short calls, so
	// that the way to the root and back is hidden.
	windowTime = 4 * time.Millisecond

	// windowCalls and windowBytes bound the calls that one slot holds, and their
	// arguments: twice as many bytes no longer stay in a core's cache, half of them
	// no longer hide the way.
	windowCalls = 8192
	windowBytes = 640 << 10

	// firstEstimate is how long a call of a new task is taken to run. It makes
	// the first windows small.
	firstEstimate = time.Millisecond

	// estimateWeight is how many calls an estimate remembers.
	estimateWeight = 32

	// leastWork is how much work of short calls a worker gets at once, if there is so much: to wake
	// one, and to receive its answer, takes as long.
	leastWork = 500 * time.Microsecond

	// backlog is how much work a worker must have waiting before an idle one
	// takes some of it, and silence how long it must have been quiet to be
	// taken for overloaded whatever its estimate says.
	backlog = 300 * time.Microsecond
	silence = time.Millisecond
)

// A scheduler decides which worker runs which call. It is a state machine
// without goroutines or clocks, and belongs to the loop. Choosing a worker is
// O(1): workers with a free slot are in idle, those that have less than their
// window in roomy, and no step looks at all of them.
type scheduler struct {
	queue   queue
	workers []*worker // all that ever joined
	slots   int       // of the workers that live
	alive   int       // workers that live

	idle    workerList // workers with a free slot
	roomy   workerList // workers without one that hold less than their window
	loaded  workerList // workers with calls that wait for a slot
	nloaded int        // workers in loaded

	dropped int64 // bytes of arguments of cancelled calls that left the queue since takeDropped

	tickets    []*Call    // calls in flight, by ticket; duplicates of them, too
	free       []uint32   // tickets that are not in use
	duplicates int        // tickets that duplicates have
	inflight   int        // calls in flight, each counted once
	stretches  []*stretch // those that may be used again

	checks checkList // calls that wait for their second run, which is to be on another worker
}

func newScheduler() *scheduler {
	home := func(w *worker) *links { return &w.links }
	return &scheduler{
		idle: workerList{of: home}, roomy: workerList{of: home},
		loaded: workerList{of: func(w *worker) *links { return &w.loads }},
	}
}

// join adds a worker.
func (s *scheduler) join(w *worker) {
	s.workers = append(s.workers, w)
	s.slots += w.slots
	s.alive++
	s.place(w)
}

// window returns the load up to which w is filled.
func (w *worker) window() int64 { return int64(w.slots) * int64(windowTime) }

// full reports whether w holds all it should: two calls a slot, or as many
// short ones as its window takes.
func (w *worker) full() bool {
	return w.inflight >= 2*w.slots &&
		(w.load >= w.window() || w.inflight >= w.slots*windowCalls || w.bytes >= int64(w.slots)*windowBytes)
}

// hasRoom reports whether w should get more: not as soon as one short call came
// back of a full window, so that frames hold many.
func (w *worker) hasRoom() bool {
	return w.inflight < 2*w.slots ||
		(w.load < w.window()*3/4 && w.inflight < w.slots*windowCalls*3/4 && w.bytes < int64(w.slots)*windowBytes*3/4)
}

// place puts w into the lists where it belongs by its load.
func (s *scheduler) place(w *worker) {
	var home *workerList
	switch {
	case w.lost:
	case w.inflight < w.slots:
		home = &s.idle
	case w.hasRoom():
		home = &s.roomy
	}
	if home != w.home {
		if w.home != nil {
			w.home.remove(w)
		}
		switch w.home = home; home {
		case nil:
		case &s.idle:
			home.pushFront(w) // the one that worked last is awake
		default:
			home.pushBack(w)
		}
	}
	if loaded := w.inflight > w.slots && !w.lost; loaded != w.loaded {
		w.loaded = loaded
		if loaded {
			s.loaded.pushBack(w)
			s.nloaded++
		} else {
			s.loaded.remove(w)
			s.nloaded--
		}
	}
}

// assign gives waiting calls to workers through give, until calls or room run
// out. It returns how many it took off the queue, cancelled ones included.
func (s *scheduler) assign(give func(*worker, *Call)) int {
	before := s.queue.n
	for s.queue.n > 0 {
		w := s.idle.head
		if w == nil {
			w = s.roomy.head
		}
		if w == nil {
			break
		}
		s.fill(w, give)
		s.place(w)
		if w.home != nil { // to the back, so that workers take turns
			w.home.remove(w)
			w.home.pushBack(w)
		}
	}
	return before - s.queue.n
}

// takeDropped returns how many bytes of arguments of cancelled calls have left the queue
// since it was last called.
func (s *scheduler) takeDropped() int64 {
	n := s.dropped
	s.dropped = 0
	return n
}

// fill gives w its share of the queue: half of what an even split would be, so
// that towards the end of the queue all workers finish together, but as much as is worth a frame.
func (s *scheduler) fill(w *worker, give func(*worker, *Call)) {
	share, least := max(s.queue.n*w.slots/(2*s.slots), 1), leastWork
	for share > 0 {
		c := s.queue.pop()
		if c == nil {
			return
		}
		if least > 0 {
			share, least = max(share, c.task.calls(least)), 0
		}
		if p := c.head(); p != nil {
			if n, bytes := p.fits(min(share, p.left, s.most(w, c))); n < p.left {
				c = &s.split(p, n, bytes).head
				s.queue.pushFront(&p.head)
			}
		}
		if !c.claim() {
			s.dropped += c.size // cancelled
			continue
		}
		s.send(w, c)
		give(w, c)
		share -= c.calls()
		if w.full() {
			return
		}
	}
}

// most returns how many calls like c make w full, at least 1.
func (s *scheduler) most(w *worker, c *Call) int {
	n, estimate := int64(c.calls()), int64(c.task.estimate())
	work := (w.window() - w.load + estimate - 1) / estimate
	calls := int64(w.slots*windowCalls - w.inflight)
	bytes := n
	if c.size > 0 {
		bytes = (int64(w.slots)*windowBytes - w.bytes) * n / c.size
	}
	return int(max(min(work, calls, bytes), int64(2*w.slots-w.inflight), 1))
}

// send books c as in flight at w.
func (s *scheduler) send(w *worker, c *Call) {
	if n := len(s.free); n > 0 {
		c.ticket, s.free = s.free[n-1], s.free[:n-1]
		s.tickets[c.ticket] = c
	} else {
		c.ticket = uint32(len(s.tickets))
		s.tickets = append(s.tickets, c)
	}
	c.estimate = c.task.estimate()
	if c.duplicate() {
		s.duplicates++
	} else {
		s.inflight += c.calls()
	}
	w.attach(c)
}

// lookup returns the call in flight at w with that ticket and generation: the head of its stretch, as long as it
// is one of those.
func (s *scheduler) lookup(w *worker, ticket, gen uint32) *Call {
	if int(ticket) >= len(s.tickets) {
		return nil
	}
	c := s.tickets[ticket]
	if c == nil || c.worker != w {
		return nil
	}
	if p := c.head(); p != nil {
		if one := p.apart[gen]; one != nil {
			return one
		}
		if i, ok := p.place(gen, 1); !ok || !p.open.has(i, 1) {
			return nil
		}
		return c
	}
	if uint32(c.number) != gen {
		return nil
	}
	return c
}

// release undoes send: the call came back. The caller places w when it has
// released all it wants.
func (s *scheduler) release(w *worker, c *Call) {
	s.tickets[c.ticket] = nil
	s.free = append(s.free, c.ticket)
	if c.duplicate() {
		s.duplicates--
		w.leftovers--
	} else {
		s.inflight -= c.calls()
	}
	w.detach(c)
	if c.stretch != nil && c.head() == nil {
		s.rejoin(w, c)
	}
}

// trade gives each of two calls in flight the place of the other, at another worker.
func (s *scheduler) trade(a, b *Call) {
	placeOfA, placeOfB := placeOf(a), placeOf(b)
	placeOfB.give(a)
	placeOfA.give(b)
	s.tickets[a.ticket], s.tickets[b.ticket] = a, b
}

// A place is that of a call in flight.
type place struct {
	worker           *worker
	ticket, estimate uint32
}

func placeOf(c *Call) place { return place{c.worker, c.ticket, c.estimate} }

// give puts c where another call of the same size was.
func (p *place) give(c *Call) {
	c.worker, c.ticket, c.estimate = p.worker, p.ticket, p.estimate
}

// another returns a worker with room that is not w; w itself only where no other one lives; nil where none has room.
func (s *scheduler) another(w *worker) *worker {
	alone := s.alive == 1 && !w.lost
	for _, list := range []*workerList{&s.idle, &s.roomy} {
		first := list.head
		if first == w && !alone {
			first = list.of(w).next
		}
		if first != nil {
			return first
		}
	}
	return nil
}

// rouse wakes the worker that would get a call now, while the frame for it is made.
func (s *scheduler) rouse() {
	if w := s.idle.head; w != nil && w.fabric.waker != nil {
		w.fabric.waker.Rouse(w.peer)
	}
}

// inFlight reports whether a worker has a call.
func (s *scheduler) inFlight(c *Call) bool {
	return int(c.ticket) < len(s.tickets) && s.tickets[c.ticket] == c
}

// victim returns an overloaded worker from which an idle one could take calls,
// and how many, or nil. now is in nanoseconds.
func (s *scheduler) victim(now int64) (*worker, int) {
	if s.queue.n > 0 || s.idle.head == nil {
		return nil, 0
	}
	const tries = 4 // a bounded look; the list is turned for the next time
	for range tries {
		w := s.loaded.head
		if w == nil {
			return nil, 0
		}
		waiting := w.inflight - w.slots
		behind := w.load * int64(waiting) / int64(w.inflight)
		quiet := now-w.heard > int64(silence)
		if !w.asked && (!w.fruitless || quiet) && (behind > int64(backlog) || quiet) {
			return w, (waiting + 1) / 2
		}
		s.loaded.remove(w)
		s.loaded.pushBack(w)
	}
	return nil, 0
}

// slack returns for how long, in nanoseconds, the workers have work without
// another frame: by the one worker it looks at, and 0 when not all have some.
func (s *scheduler) slack() int64 {
	w := s.loaded.head
	if w == nil || s.nloaded < s.alive {
		return 0
	}
	return w.load * int64(w.inflight-w.slots) / int64(w.inflight*w.slots)
}

// lose takes a worker out and returns the calls that were in flight there.
func (s *scheduler) lose(w *worker) []*Call {
	w.lost = true
	s.slots -= w.slots
	s.alive--
	s.place(w)
	calls := s.callsOf(w)
	for _, c := range calls {
		s.release(w, c)
	}
	return calls
}

// callsOf returns the calls in flight at w, the newest first. It looks at those of all workers.
func (s *scheduler) callsOf(w *worker) (calls []*Call) {
	for _, c := range s.tickets {
		if c != nil && c.worker == w && c.calls() > 0 {
			calls = append(calls, c)
		}
	}
	slices.SortFunc(calls, func(a, b *Call) int { return cmp.Compare(b.number, a.number) })
	return calls
}

// flyingWhere returns the calls in flight that match. It leaves out stretches of which every call goes its own way: when
// the last of these has ended, the block may be another one.
func (s *scheduler) flyingWhere(match func(*Call) bool) (calls []*Call) {
	for _, c := range s.tickets {
		if c != nil && !c.duplicate() && c.calls() > 0 && match(c) {
			calls = append(calls, c)
		}
	}
	return calls
}

// hasRoom reports whether a worker has room.
func (s *scheduler) hasRoom() bool { return s.idle.head != nil || s.roomy.head != nil }

// hasDemand reports whether a worker has room and no call waits.
func (s *scheduler) hasDemand() bool { return s.queue.n == 0 && s.hasRoom() }

// flying returns how many calls are in flight, each counted once.
func (s *scheduler) flying() int { return s.inflight }

// waiting returns how many calls wait for a worker.
func (s *scheduler) waiting() int { return s.queue.n + len(s.checks) }

// busy reports whether calls wait or are in flight.
func (s *scheduler) busy() bool { return s.waiting() > 0 || s.flying() > 0 }

// learn moves a task's estimate towards a measured mean of n calls.
func (t *Task) learn(nanos int64, n int) {
	mean := float64(nanos) / float64(n)
	if t.nanos == 0 {
		t.nanos = max(mean, 1)
		return
	}
	weight := float64(n) / float64(n+estimateWeight)
	t.nanos = max(t.nanos+(mean-t.nanos)*weight, 1)
}

// calls returns how many calls of t should run in d, at least 1.
func (t *Task) calls(d time.Duration) int {
	if t.nanos == 0 {
		return 1
	}
	return int(max(float64(d)/t.nanos, 1))
}

// estimate returns how long a call of t should run, in nanoseconds.
func (t *Task) estimate() uint32 {
	if t.nanos == 0 {
		return uint32(firstEstimate)
	}
	return uint32(min(t.nanos, math.MaxUint32))
}
