package executor

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/wasmpool/wasmpool/internal/dispatcher"
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

// census finds out where each call is.
func (p *program) census() {
	for _, o := range p.owners {
		o.open = 0
	}
	for _, c := range p.calls {
		c.place = nowhere
	}
	p.ends = p.ex.dispatcher.Probe().Finished()
	p.ex.dispatcher.Probe().Census(func(all *dispatcher.Census) {
		var bytes int64
		for _, f := range all.Queued {
			bytes += f.Size()
			if f.State() == dispatcher.Pending {
				p.put(f, waits)
			}
		}
		for _, f := range all.Opened {
			p.put(f, waits)
		}
		for _, f := range all.Resting {
			p.put(f, rests)
		}
		for _, f := range all.Promised {
			if f.State() == dispatcher.Pending {
				p.put(f, promised)
			}
		}
		for _, f := range all.InFlight {
			p.put(f, flies)
		}
		n := len(all.Queued)
		switch {
		case !p.served.Load() && all.HandedIn:
			p.fail("something was handed in, and the loop sleeps")
		case !p.served.Load() && (n != all.Length || n != all.Waiting || bytes != all.WaitingBytes):
			p.fail("%d calls of %d bytes wait; the queue has %d, the intake counts %d of %d bytes", n, bytes, all.Length, all.Waiting, all.WaitingBytes)
		}
		p.waiting = all.Waiting
		if !p.ends {
			p.workers(all.Workers, n+len(all.Opened))
		}
	})
}

func (p *program) put(f *dispatcher.Call, at place) {
	c := p.of(f)
	switch {
	case c == nil:
		p.fail("call %d is there, which nobody submitted or which has ended", f.Number())
	case c.place != nowhere:
		p.wrong(c, fmt.Sprintf("it is at %d, too", at))
	}
	if at == waits && c.age == 0 {
		p.ages++
		c.age = p.ages
	}
	c.number, c.place, c.fed = f.Number(), at, true
	c.own.open++
	p.tally.places[at].Add(1)
}

// workers compares what workers hold with what the root thinks.
func (p *program) workers(all []dispatcher.WorkerCensus, waiting int) {
	if p.served.Load() {
		return
	}
	for _, w := range all {
		h := p.hands[w.Rank-1]
		switch {
		case w.Lost != h.lost:
			p.fail("rank %d is lost: %t, the root thinks %t", h.rank, h.lost, w.Lost)
		case w.InFlight != len(h.calls):
			p.fail("rank %d has %d calls, the root thinks %d", h.rank, len(h.calls), w.InFlight)
		case !h.lost && w.InFlight < w.Slots && waiting > 0:
			p.fail("rank %d has a free slot while %d calls wait", h.rank, waiting)
		}
		for _, f := range w.Calls {
			if f = p.ex.dispatcher.Probe().Original(f); f == nil {
				continue // a leftover
			}
			if c := p.of(f); !slices.Contains(c.holders, h) {
				p.wrong(c, fmt.Sprintf("rank %d does not have it", h.rank))
			}
		}
	}
}

// inOrder checks that calls were sent by priority, and then by age.
func (p *program) inOrder() {
	var first *tracked // of those that have waited all the time
	for _, c := range p.calls {
		if c.waited && !c.sent && c.place == waits && (first == nil || c.sooner(first)) {
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
	if c.f != nil && !c.over && c.f.call.Resolved() {
		p.ended(c, c.f.call.Argument(), c.f.call.Err())
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
	if c.f != nil {
		delete(p.futures, &c.f.call)
	}
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
		if !returned && !p.ends && !b.may() {
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
