package dispatcher

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/internal/monotime"
	"github.com/wasmpool/wasmpool/internal/wire"
)

const (
	// A call takes unusually long when it was sent longer ago than so many times the median of the last
	// runs of its task, and than leastUnusual. Before fewestRuns have ended there is no telling.
	unusual      = 3
	leastUnusual = 100 * time.Millisecond
	fewestRuns   = 3

	// mostDuplicated is the longest argument of a call that gets a duplicate: it may be copied, twice.
	mostDuplicated = 64 << 20

	// lookShare bounds the time that the loop looks for calls that take unusually long, to a part of all. It looks ten
	// times in the least time that is unusual.
	lookShare = 50

	// leftoverPatience is how long the end of the pool waits for workers to say that they have ended
	// what nobody needs.
	leftoverPatience = 3 * time.Second
)

// duplicates are second runs, on other workers, of calls that take unusually long. The first answer counts.
// They belong to the loop.
//
// A duplicate is a Call without an owner: the place of such a run at its worker, with a ticket of its own
// and the number of the call. A call has one at most. When one of the two workers answers, the call takes the place at
// that one and ends there, as any other. What stands for the other run then is a leftover: its worker is told
// to end it, and nothing that it says counts.
type duplicates struct {
	on    bool            // calls may have duplicates
	least time.Duration   // leastUnusual, but in tests
	pairs map[*Call]*Call // of calls that have a duplicate: it; and of each duplicate that is not a leftover: the call
	ended []*Call         // leftovers whose workers are to be told
	next  int64           // when to look again, by monotime
	due   []*Call         // the memory of dueCalls
}

// LeftoverReason is why a worker is told to end a leftover.
const LeftoverReason = "another worker has answered"

// duplicate reports whether c stands for the second run of a call.
func (c *Call) duplicate() bool { return c.owner == nil }

// concern reports whether c has a duplicate, or is one.
func (d *duplicates) concern(c *Call) bool {
	return c.duplicate() || len(d.pairs) > 0 && d.pairs[c] != nil
}

// argument returns the argument of a call for a message to a worker. Where the call may end before the message has
// left it is not the caller's.
func (d *duplicates) argument(c *Call) []byte {
	switch {
	case !d.concern(c):
		return c.data
	case c.data == nil: // a leftover's: whatever comes of it is dropped
		return make([]byte, c.size)
	default:
		return bytes.Clone(c.data)
	}
}

// AllowDuplicates says that calls may have duplicates from now on.
func (d *Dispatcher) AllowDuplicates() {
	d.in.request(func(l *Loop) { l.duplicates.on = true })
}

// tendDuplicates ends duplicates that are in the way of other calls, and those that are not needed any more, and
// begins some where slots idle. It returns how many it began.
//
// sent is how many calls were sent just now. Where no slot is free some of them may wait behind others at a worker.
func (l *Loop) tendDuplicates(sent int) (begun int) {
	d := &l.duplicates
	if len(d.pairs) > 0 && l.sched.idle.head == nil {
		l.yieldSlots(sent + l.sched.waiting())
	}
	if l.sched.waiting() == 0 && l.sched.alive > 1 && l.sched.idle.head != nil && l.sched.flying() > 0 && l.ending.refusing == nil {
		if now := monotime.Now(); now >= d.next {
			begun = l.beginDuplicates(now)
			took := monotime.Now() - now
			d.next = now + max(int64(l.duplicates.least/10), lookShare*took)
		}
	}
	l.endLeftovers()
	return begun
}

// beginDuplicates starts calls a second time that take unusually long, on workers with idle slots.
func (l *Loop) beginDuplicates(now int64) (begun int) {
	due := l.dueCalls(now)
	if len(due) == 0 {
		return 0
	}
	l.now = now
	workers := l.idleWorkers(due)
	for _, c := range due {
		at := slices.IndexFunc(workers, func(w *worker) bool { return l.mayDuplicate(c, w) })
		if at < 0 {
			continue
		}
		w := workers[at]
		l.beginDuplicate(c, w)
		begun++
		if w.inflight >= w.slots && w.load >= w.window() {
			if workers = slices.Delete(workers, at, at+1); len(workers) == 0 {
				break
			}
		}
	}
	clear(due)
	l.out.flush()
	l.out.takeBytes() // they do not wait
	return begun
}

// dueCalls returns the calls that take unusually long, and that may run a second time: the oldest first.
func (l *Loop) dueCalls(now int64) []*Call {
	due := l.duplicates.due[:0]
	for _, c := range l.sched.tickets {
		if c != nil && !c.duplicate() && c.options != nil && c.options.Duplicate && l.takesLong(c, now) && l.mayRunTwice(c) {
			due = append(due, c)
		}
	}
	slices.SortFunc(due, func(a, b *Call) int { return cmp.Compare(l.sent[a.ticket], l.sent[b.ticket]) })
	l.duplicates.due = due
	return due
}

// takesLong reports whether a call in flight was sent unusually long ago.
func (l *Loop) takesLong(c *Call, now int64) bool {
	if int(c.ticket) >= len(l.sent) {
		return false
	}
	sent := l.sent[c.ticket]
	return sent != 0 && now-sent > int64(l.duplicates.least) && now-sent > c.task.lately.unusual()
}

// mayRunTwice reports whether a call in flight may get a duplicate now. One whose argument is on its way must not end before
// that has left; nor may one of the root's own slots, which read a long argument where it is. A call with which a worker was
// lost may be what ends workers.
func (l *Loop) mayRunTwice(c *Call) bool {
	s := State(c.state.Load())
	return (s == Sent || s == Running) && c.lost == 0 && l.duplicates.pairs[c] == nil &&
		c.size <= mostDuplicated && (c.size <= wire.Inline || !c.worker.fabric.own) && !c.worker.departs(c.ticket) &&
		l.ending.refuses(c) == nil
}

// idleWorkers returns the workers with idle slots: last those that have one of the calls that take long, as they may have stopped.
func (l *Loop) idleWorkers(due []*Call) []*worker {
	late := map[*worker]bool{}
	for _, c := range due {
		late[c.worker] = true
	}
	var list, last []*worker
	for w := l.sched.idle.head; w != nil; w = w.links.next {
		if late[w] || w.leftovers > 0 {
			last = append(last, w)
		} else {
			list = append(list, w)
		}
	}
	return append(list, last...)
}

// mayDuplicate reports whether a duplicate of c may run at w: it must be another worker than those that have run the call, or do.
func (l *Loop) mayDuplicate(c *Call, w *worker) bool {
	if w == c.worker || c.size > wire.Inline && w.fabric.own {
		return false
	}
	if first := l.checks.first(c); first != nil && first.worker == w {
		return false
	}
	if w.leftovers > 0 { // one of them may be of this call
		for _, other := range l.sched.callsOf(w) {
			if other.number == c.number {
				return false
			}
		}
	}
	return true
}

// beginDuplicate has c run at w, too.
func (l *Loop) beginDuplicate(c *Call, w *worker) {
	d := &Call{
		task: c.task, data: c.data, number: c.number, options: c.options, size: c.size,
		attempt: c.attempt, priority: c.priority,
	}
	d.state.Store(uint32(Sent))
	l.sched.send(w, d)
	l.noteSent(d)
	l.out.add(w, d)
	l.sched.place(w)
	if l.duplicates.pairs == nil {
		l.duplicates.pairs = map[*Call]*Call{}
	}
	l.duplicates.pairs[c], l.duplicates.pairs[d] = d, c
	l.counts.duplicated++
	l.log.Debug("a call takes unusually long and is started a second time", append(c.words(), "call", c.number, "rank", c.worker.rank, "second", w.rank)...)
}

// part ends that two calls are a pair, and returns the duplicate, which is a leftover from now on.
func (l *Loop) part(a, b *Call) *Call {
	delete(l.duplicates.pairs, a)
	delete(l.duplicates.pairs, b)
	left := a
	if !a.duplicate() {
		left = b
	}
	left.worker.leftovers++
	left.data = nil // it is the caller's when the call has ended
	return left
}

// answer takes in that w answers for c, which has a duplicate or is one, and returns the call that ends so: it has
// the place at w then. It returns nil where the answer does not count.
func (l *Loop) answer(w *worker, c *Call, res *wire.Result, data []byte) *Call {
	other := l.duplicates.pairs[c]
	if other == nil {
		return nil // a leftover
	}
	if res.Failed {
		kind := failureOf(c, w, data).Kind
		if !ofTask(kind) || l.strayOrder(c, kind) {
			l.goesOnElsewhere(c)
			return nil
		}
	}
	if c.duplicate() {
		l.sched.trade(c, other)
		c, other = other, c
	}
	l.duplicates.ended = append(l.duplicates.ended, l.part(c, other))
	return c
}

// strayOrder reports whether a run of c was ended that nobody wanted to end: a worker knows runs by the call's number, and was
// to end an earlier one that was a leftover.
func (l *Loop) strayOrder(c *Call, kind host.Kind) bool {
	if kind != host.KindCancelled {
		return false
	}
	if c.duplicate() {
		c = l.duplicates.pairs[c]
	}
	return c.lost != beingKilled && State(c.state.Load()) != recalled
}

// ofTask reports whether a failure of that kind is an answer while the call still runs elsewhere: one that another worker would give, too, or
// that was ordered.
func ofTask(kind host.Kind) bool {
	switch kind {
	case host.KindMemory, host.KindTimeout, host.KindLost, host.KindBadModule, host.KindUnknownTask, host.KindHost:
		return false
	default:
		return true
	}
}

// goesOnElsewhere takes in that the run of c, which has a duplicate or is one, is over at its worker and has given no answer. It reports
// whether the call, as far as it needs a run, has another one: then it has the place of that, and the one at the worker is a leftover.
func (l *Loop) goesOnElsewhere(c *Call) bool {
	other := l.duplicates.pairs[c]
	if other == nil {
		return c.duplicate()
	}
	if !c.duplicate() {
		l.sched.trade(c, other)
	}
	l.part(c, other)
	return true
}

// loseRuns takes in that w is about to be taken out of the pool: calls that run elsewhere, too, go on there.
func (l *Loop) loseRuns(w *worker) {
	if l.sched.duplicates == 0 {
		return
	}
	for _, c := range l.sched.callsOf(w) {
		call := c
		if c.duplicate() {
			call = l.duplicates.pairs[c]
		}
		if call != nil && l.duplicates.pairs[c] != nil {
			l.goesOnElsewhere(c)
			if call.lost != beingKilled {
				call.lost++
				call.attempt++
			}
		}
	}
}

// begun takes in that a call which a worker has runs.
func (l *Loop) begun(c *Call) {
	c.begun()
	if c.duplicate() && l.duplicates.pairs[c] != nil {
		l.duplicates.pairs[c].begun()
	}
}

// unwanted reports whether nobody waits for what a worker has for c.
func (l *Loop) unwanted(c *Call) bool {
	if c.duplicate() {
		if c = l.duplicates.pairs[c]; c == nil {
			return true
		}
	}
	return State(c.state.Load()) == recalled
}

// yieldSlots ends up to n duplicates: so many calls may wait, and no slot is free. Calls that wait behind others at a worker are
// taken back for the slots that come free.
func (l *Loop) yieldSlots(n int) {
	for c, d := range l.duplicates.pairs {
		switch {
		case n <= 0:
			return
		case !c.duplicate():
			n--
			l.duplicates.ended = append(l.duplicates.ended, l.part(c, d))
		}
	}
}

// endLeftovers tells the workers which runs nobody needs any more.
func (l *Loop) endLeftovers() {
	d := &l.duplicates
	if len(d.ended) == 0 {
		return
	}
	left := slices.DeleteFunc(d.ended, func(c *Call) bool { return !l.sched.inFlight(c) })
	l.order(left, host.KindCancelled, LeftoverReason)
	clear(d.ended)
	d.ended = d.ended[:0]
}

// awaitLeftovers waits, at the end of a pool that works, until workers have ended what nobody needs. Those that do not say so in time are
// given up: they may have stopped, and the end of MPI would wait for them.
func (l *Loop) awaitLeftovers() {
	if l.ending.broken != nil || l.sched.duplicates == 0 {
		return
	}
	l.ending.over = true
	l.endLeftovers()
	nap := firstNap
	for begin := time.Now(); l.sched.duplicates > 0 && time.Since(begin) < leftoverPatience; {
		if l.poll() == 0 {
			time.Sleep(nap)
			nap = min(2*nap, longNap)
		}
	}
	for _, w := range l.sched.workers {
		if w.leftovers > 0 && !w.lost {
			w.fabric.ep.Fence(w.peer, fmt.Errorf("executor: rank %d has not ended a call that another worker has answered", w.rank))
		}
	}
	l.poll() // it takes in that they are lost
}

// A spread is how long the last runs of a task took, in nanoseconds.
type spread struct {
	runs  [127]int64
	n     int   // how many have ended
	limit int64 // from when on a run is unusually long; 0 is not known
}

// took notes how long a run took.
func (t *Task) took(nanos int64) {
	if t.lately == nil {
		t.lately = new(spread)
	}
	t.lately.runs[t.lately.n%len(t.lately.runs)] = nanos
	t.lately.n++
	t.lately.limit = 0
}

// unusual returns from when on a run is unusually long.
func (s *spread) unusual() int64 {
	if s == nil || s.n < fewestRuns {
		return 1<<63 - 1
	}
	if s.limit == 0 {
		runs := s.runs
		known := runs[:min(s.n, len(runs))]
		slices.Sort(known)
		s.limit = unusual*known[len(known)/2] + 1
	}
	return s.limit
}
