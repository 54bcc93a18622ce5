package worker

import (
	"slices"

	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/internal/wire"
)

// An order ends calls.
type order struct {
	kind    host.Kind
	reason  string
	failure []byte // the body of their results
}

// handleKill ends calls. Those that wait are answered at once, those that run as
// soon as their guests have ended, and those that a runner has taken to run them next when it gets
// to them. io is held.
func (s *server) handleKill(body []byte) error {
	var kill wire.Kill
	if err := wire.Decode(wire.TypeKill, body, &kill); err != nil {
		return err
	}
	o := &order{kind: host.Kind(kill.Kind), reason: kill.Reason}
	o.failure = encodeFailure(&host.Error{Kind: o.kind, Message: o.reason})
	slices.Sort(kill.Calls)
	s.backlog.kill(kill.Calls, o, s.runners, s.dropFetch)
	return nil
}

// kill answers those of the calls, in order of their numbers, that wait, and gives up their arguments through drop. The
// runners of the others get the order: calls do not go from here to there meanwhile, nor back.
func (b *backlog) kill(numbers []uint64, o *order, runners []*runner, drop func(*fetch)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.noteLive()
	b.calls.each(func(c *queuedCall) {
		for _, n := range c.span().among(numbers) {
			switch i := int(n - c.number); {
			case c.isBlock():
				if !b.isDead(c, i) {
					b.answerDead(c, i, o.failure)
				}
			case !c.killed:
				drop(c.fetch)
				c.killed, c.fetch = true, nil
				b.live--
				b.append(&wire.Result{Ticket: c.ticket, Gen: uint32(c.number), Failed: true, Data: o.failure})
			}
		}
	})
	for _, r := range runners { // their calls run, are about to, or have ended
		for _, n := range r.held.among(numbers) {
			r.order(n, o)
		}
	}
}

// among returns those of the numbers, which are in order, that are in the span.
func (s span) among(numbers []uint64) []uint64 {
	from, _ := slices.BinarySearch(numbers, s.first)
	to := from
	for to < len(numbers) && s.has(numbers[to]) {
		to++
	}
	return numbers[from:to]
}

// order ends a call that r holds. Which of several runs only r knows, so it looks for orders before
// each and while one goes on. The backlog's mu is held.
func (r *runner) order(number uint64, o *order) {
	if r.held.count == 1 {
		r.slot.Stop(number, o.kind, o.reason)
		return
	}
	if r.orders == nil {
		r.orders = map[uint64]*order{}
	}
	r.orders[number] = o
	r.ordered.Store(true)
}

// forgetOrders forgets the orders for calls that r does not hold any more. The backlog's mu is
// held.
func (r *runner) forgetOrders() {
	if len(r.orders) > 0 {
		clear(r.orders)
		r.ordered.Store(false)
	}
}

// orderFor returns the order to end the current call of a range, nil for none.
func (b *backlog) orderFor(r *runner) *order {
	b.mu.Lock()
	defer b.mu.Unlock()
	return r.orders[r.current.number]
}

// passOrder ends the current call of a range, which runs, if there is an order.
func (b *backlog) passOrder(r *runner) {
	if o := b.orderFor(r); o != nil {
		r.slot.Stop(r.current.number, o.kind, o.reason)
	}
}
