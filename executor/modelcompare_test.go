package executor

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"time"
)

// compare holds everything against the reference.
func (p *program) compare() {
	now := time.Now()
	p.inOrder()
	for _, w := range p.works {
		p.letGo(w)
	}
	for _, c := range p.calls {
		p.look(c, now)
	}
	for _, w := range p.works {
		p.progress(w)
	}
	p.callers()
	for _, o := range p.owners {
		o.lately = 0
		p.lifeOf(o)
	}
	p.calls = slices.DeleteFunc(p.calls, p.forget)
	p.works = slices.DeleteFunc(p.works, func(w *work) bool { return w.returned && !w.feeding() && w.left() == 0 })
}

// census finds out where each call is. It holds the intake's lock, so that who goes on
// after that, does.
func (p *program) census() {
	p.ex.in.mu.Lock()
	defer p.ex.in.mu.Unlock()
	for _, o := range p.owners {
		o.open = 0
	}
	for _, c := range p.calls {
		c.place = nowhere
	}
	l := loopOf(p.ex)
	var bytes int64
	n := 0
	for i := range l.sched.queue.levels {
		for f := l.sched.queue.levels[i].head; f != nil; f = f.next {
			n++
			bytes += f.size
			if State(f.state.Load()) == Pending {
				p.put(f, waits)
			}
		}
	}
	for f := range l.resting.timers {
		p.put(f, rests)
	}
	for f := range l.in.promised {
		if State(f.state.Load()) == Pending {
			p.put(f, promised)
		}
	}
	for _, f := range l.sched.tickets {
		if f != nil {
			p.put(f, flies)
		}
	}
	switch {
	case !p.served.Load() && (l.in.first != nil || len(l.in.requests)+len(l.in.recalls) > 0):
		p.fail("something was handed in, and the loop sleeps")
	case !p.served.Load() && (n != l.sched.queue.n || n != l.in.calls || bytes != l.in.bytes):
		p.fail("%d calls of %d bytes wait; the queue has %d, the intake counts %d of %d bytes", n, bytes, l.sched.queue.n, l.in.calls, l.in.bytes)
	}
	p.waiting = l.in.calls
	p.workers(n)
}

func (p *program) put(f *Future, at place) {
	c := p.of(f)
	switch {
	case c == nil:
		p.fail("call %d is there, which nobody submitted or which has ended", f.number)
	case c.place != nowhere:
		p.wrong(c, fmt.Sprintf("it is at %d, too", at))
	}
	if at == waits && c.age == 0 {
		p.ages++
		c.age = p.ages
	}
	c.number, c.place, c.fed = f.number, at, true
	c.own.open++
	p.tally.places[at].Add(1)
}

// workers compares what workers hold with what the root thinks.
func (p *program) workers(waiting int) {
	if p.served.Load() {
		return
	}
	for _, w := range loopOf(p.ex).sched.workers {
		h := p.hands[w.rank-1]
		switch {
		case w.lost != h.lost:
			p.fail("rank %d is lost: %t, the root thinks %t", h.rank, h.lost, w.lost)
		case w.inflight != len(h.calls):
			p.fail("rank %d has %d calls, the root thinks %d", h.rank, len(h.calls), w.inflight)
		case !h.lost && w.inflight < w.slots && waiting > 0:
			p.fail("rank %d has a free slot while %d calls wait", h.rank, waiting)
		}
		for f := w.first; f != nil; f = f.next {
			if c := p.of(f); c.holder != h {
				p.wrong(c, fmt.Sprintf("rank %d does not have it", h.rank))
			}
		}
	}
}

// inOrder checks that calls were sent by priority, and then by age.
func (p *program) inOrder() {
	var first *tracked // of those that have waited all the time
	for _, c := range p.calls {
		if c.waited && c.place == waits && (first == nil || c.sooner(first)) {
			first = c
		}
	}
	for _, c := range p.calls {
		if first != nil && c.sent && (first.priority > c.priority || !c.flown && first.sooner(c)) {
			p.wrong(c, fmt.Sprintf("it was sent before call %d", first.number))
		}
		c.waited, c.sent = c.place == waits, false
	}
}

func (c *tracked) sooner(than *tracked) bool {
	return cmp.Or(cmp.Compare(than.priority, c.priority), cmp.Compare(c.age-1, than.age-1)) < 0 // one that was never seen came last
}

// look compares one call.
func (p *program) look(c *tracked, now time.Time) {
	if c.f != nil && !c.over && c.f.resolved() {
		_, err := c.f.outcome()
		p.ended(c, c.f.data, err)
	}
	known := c.f != nil || c.over
	if known || c.place != nowhere {
		if what := c.wrong(c.place, c.told, now); what != "" {
			p.wrong(c, what)
		}
	}
	c.fresh = false
}

// ended notes how a call has ended.
func (p *program) ended(c *tracked, data []byte, err error) {
	how := endOf(err)
	if err == nil && (len(data) != 8 || binary.LittleEndian.Uint64(data) != c.answer()) {
		p.wrong(c, fmt.Sprintf("its result is %x", data))
	}
	if c.pred != nil && c.pred.over && err != nil && err == c.pred.err { //nolint:errorlint // it is the very value
		how |= asBefore
	}
	if c.err = err; err != nil {
		c.failed = true
	}
	if what := c.end(how); what != "" {
		p.wrong(c, fmt.Sprintf("%s: it ended with %v", what, err))
	}
	for i := range p.tally.ends {
		if how&(1<<i) != 0 {
			p.tally.ends[i].Add(1)
		}
	}
}

// forget reports whether nothing more can be learnt of a call.
func (p *program) forget(c *tracked) bool {
	switch {
	case c.place != nowhere:
		return false
	case c.f == nil && !c.over && (!c.left || c.work != nil && c.work.feeding()):
		return false
	case c.f != nil && !c.over:
		return false
	}
	if n := c.resolves.Load(); c.watched && n != 1 {
		p.wrong(c, fmt.Sprintf("it was resolved %d times", n))
	}
	if int(c.ran.Load()) != c.due {
		p.wrong(c, fmt.Sprintf("%d of %d callbacks have run", c.ran.Load(), c.due))
	}
	delete(p.futures, c.f)
	delete(p.byID, c.id)
	p.recent[p.rnd.IntN(len(p.recent))] = c
	return true
}

// callers looks who still waits.
func (p *program) callers() {
	if what := p.complaint.Load(); what != nil {
		p.fail("%s", *what)
	}
	p.blocked = slices.DeleteFunc(p.blocked, func(b *blocked) bool {
		returned := b.returned.Load()
		if !returned && !b.may() {
			if b.work != nil {
				b.work.fail("who takes its results waits for what cannot come")
			}
			p.fail("%s does not return", b.what)
		}
		return returned
	})
}

// lifeOf checks what must be true of an executor.
func (p *program) lifeOf(o *owner) {
	s := o.ex.fork
	if s == nil || !o.asked {
		return
	}
	ended := false
	select {
	case <-s.ended():
		ended = true
	default:
	}
	s.mu.Lock()
	open := s.open
	s.mu.Unlock()
	if want := p.served.Load() || o.closed && open == 0; ended != want {
		p.fail("a fork that is closed, %t, with %d calls open, has ended: %t", o.closed, open, ended)
	}
}
