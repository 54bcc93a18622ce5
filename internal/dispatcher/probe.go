package dispatcher

import (
	"maps"
	"slices"
	"time"

	"github.com/wasmpool/wasmpool/internal/monotime"
)

// A Probe is for tests of other packages: it runs a dispatcher's loop by hand and looks inside. A test
// that uses the loop through it holds the loop's lock, or knows that nobody else runs the loop.
type Probe struct{ d *Dispatcher }

// Probe returns the dispatcher's probe.
func (d *Dispatcher) Probe() Probe { return Probe{d} }

// Lock waits for the loop's lock.
func (p Probe) Lock() { p.d.lock.acquire() }

// Unlock releases the loop's lock.
func (p Probe) Unlock() { p.d.lock.release() }

// Loop returns the loop.
func (p Probe) Loop() *Loop { return p.d.lock.loop }

// Visit runs do as a caller who runs the loop does. It reports false where the loop's lock is not free.
func (p Probe) Visit(do func()) bool {
	l := p.d.lock.try()
	if l != nil {
		p.d.visit(l, do)
	}
	return l != nil
}

// Turn makes the loop take in and hand out what there is, and returns how many things moved.
func (p Probe) Turn() int { return p.d.lock.loop.turn() }

// Doze waits for the bell, without the lock, and writes the log's lines.
func (p Probe) Doze() {
	p.d.doze(p.d.lock.loop, 0)
	p.d.lock.loop.late.write()
}

// Finished reports whether the loop was asked to stop and nothing is left.
func (p Probe) Finished() bool { return p.d.lock.loop.finished() }

// Broken returns what broke the pool, nil while it works.
func (p Probe) Broken() error { return p.d.lock.loop.ending.broken }

// End resolves what is left, as at the end of Run.
func (p Probe) End() { p.d.lock.loop.end() }

// Asleep reports whether the dispatcher's goroutine must be woken.
func (p Probe) Asleep() bool { return p.d.asleep.Load() }

// Crowded reports whether a caller waits for room.
func (p Probe) Crowded() bool { return p.d.in.crowded() }

// Empty reports whether the loop was handed nothing that it has not taken in.
func (p Probe) Empty() bool { return p.d.in.empty() }

// Slip is Request that does not wake the dispatcher.
func (p Probe) Slip(fn func(*Loop)) {
	p.d.in.mu.Lock()
	defer p.d.in.mu.Unlock()
	p.d.in.requests = append(p.d.in.requests, fn)
}

// Withdrawn makes the loop think that so many calls of its queue were withdrawn.
func (p Probe) Withdrawn(n int64) { p.d.withdrawn.Store(n) }

// Hasty makes a run unusually long after d, in place of 100 ms, where it is three times as long as others.
func (p Probe) Hasty(d time.Duration) {
	p.d.in.request(func(l *Loop) { l.duplicates.least = d })
}

// Double has a call in flight run at the worker of that rank, too, as one that takes unusually long, if it may.
func (p Probe) Double(c *Call, rank int) {
	p.d.in.request(func(l *Loop) {
		l.duplicates.on = true
		for _, w := range l.sched.workers {
			if w.rank == rank && !w.lost && l.sched.inFlight(c) && l.mayRunTwice(c) && l.mayDuplicate(c, w) {
				l.now = monotime.Now()
				l.beginDuplicate(c, w)
				l.out.flush()
				l.out.takeBytes()
			}
		}
	})
}

// Original returns the call that c, which is in flight, is a run of: nil for a leftover.
func (p Probe) Original(c *Call) *Call {
	if !c.duplicate() {
		return c
	}
	return p.d.lock.loop.duplicates.pairs[c]
}

// Leftovers returns how many second runs workers have that nobody needs, or of which the call has no outcome yet.
func (p Probe) Leftovers() int { return p.d.lock.loop.sched.duplicates }

// InFlight returns the call with that number, which a worker has under that ticket; nil without. For one of a block that does not go
// its own way it is a copy.
func (p Probe) InFlight(ticket uint32, number uint64) *Call {
	c := p.d.lock.loop.sched.tickets[ticket]
	if c == nil || c.head() == nil {
		return c
	}
	for _, one := range append(slices.Collect(maps.Values(c.stretch.apart)), each(c)...) {
		if one.number == number {
			return one
		}
	}
	return nil
}

// each returns the calls that c stands for: copies, where it is not alone.
func each(c *Call) (calls []*Call) {
	p := c.head()
	if p == nil {
		return []*Call{c}
	}
	for _, run := range p.open.runs(p.at, p.n) {
		for i := range run.n {
			calls = append(calls, p.block.newMember(run.i+i, c))
		}
	}
	return calls
}

func eachOf(calls []*Call) (all []*Call) {
	for _, c := range calls {
		all = append(all, each(c)...)
	}
	return all
}

// InFlight returns the calls that workers have, each once, as Probe.InFlight does. It is for tests, as all in this file.
func (l *Loop) InFlight() []*Call {
	return eachOf(slices.DeleteFunc(slices.Clone(l.sched.tickets), func(c *Call) bool { return c == nil || c.duplicate() }))
}

// LongResults returns how many bytes of long results are on their way, and how many long results wait for
// room. It is for tests.
func (l *Loop) LongResults() (bytes int64, waiting int) { return l.room.taken, len(l.room.waiting) }

// Listeners returns those that wait for a call. It is for tests.
func (c *Call) Listeners() []Listener {
	w := c.waiters.Load()
	if w == nil {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.told)
}

// A Census is where every call is.
type Census struct {
	Queued   []*Call // in the queue, also those that were withdrawn there
	Opened   []*Call // in the block that may still grow
	Resting  []*Call
	Promised []*Call // they wait for another's result
	Checks   []*Call // they wait for their second run
	InFlight []*Call
	Workers  []WorkerCensus

	Length       int   // of the queue, as it says itself
	Waiting      int   // the calls that wait, as the intake counts them
	WaitingBytes int64 // the length of their arguments
	HandedIn     bool  // there is something that the loop has not taken in
}

// A WorkerCensus is what the root thinks that a worker has.
type WorkerCensus struct {
	Rank, Slots int
	InFlight    int
	Load, Bytes int64 // as the root counts them
	Lost        bool
	Calls       []*Call
}

// Census looks where every call is, and calls look with the intake locked, so that what goes on after
// that, does.
func (p Probe) Census(look func(*Census)) {
	l := p.d.lock.loop
	l.in.mu.Lock()
	defer l.in.mu.Unlock()
	c := Census{
		Length: l.sched.queue.n, Waiting: l.in.calls, WaitingBytes: l.in.bytes,
		HandedIn: l.in.first != nil || len(l.in.requests)+len(l.in.recalls) > 0,
		InFlight: l.InFlight(),
	}
	for i := range l.sched.queue.levels {
		c.Queued = append(c.Queued, eachOf(appendList(nil, l.sched.queue.levels[i].head))...)
	}
	if b := l.in.opened; b != nil {
		n, _ := b.Len()
		for _, arg := range b.data[:n] {
			c.Opened = append(c.Opened, &Call{owner: b.owner, task: b.task, data: arg, size: int64(len(arg)), options: b.options, priority: b.priority, attempt: 1})
		}
	}
	for call := range l.resting.timers {
		c.Resting = append(c.Resting, call)
	}
	c.Checks = slices.Clone(l.sched.checks)
	for call := range l.in.promised {
		c.Promised = append(c.Promised, call)
	}
	for _, w := range l.sched.workers {
		c.Workers = append(c.Workers, WorkerCensus{
			Rank: w.rank, Slots: w.slots, InFlight: w.inflight, Load: w.load, Bytes: w.bytes, Lost: w.lost, Calls: eachOf(l.sched.callsOf(w)),
		})
	}
	look(&c)
}

// appendList appends the calls of a list that begins with c.
func appendList(calls []*Call, c *Call) []*Call {
	for ; c != nil; c = c.next {
		calls = append(calls, c)
	}
	return calls
}
