package worker

import (
	"time"

	"github.com/wasmpool/wasmpool/internal/transport"
	"github.com/wasmpool/wasmpool/internal/wire"
)

const (
	// rangeTime is for how long the calls should run that a runner takes of a block at once.
	rangeTime = 100 * time.Microsecond

	// leastRange is for how long they should run even where other slots could have some of them: to
	// wake a runner takes as long.
	leastRange = 10 * time.Microsecond
)

// A span is numbers in a row.
type span struct {
	first uint64
	count int
}

// has reports whether n is one of the numbers.
func (s span) has(n uint64) bool { return n-s.first < uint64(s.count) }

// span returns the numbers of the calls of an entry: one, or those of a block.
func (c *queuedCall) span() span { return span{c.number, max(c.lens.Len(), 1)} }

// isBlock reports whether the entry is a block, which never is empty.
func (c *queuedCall) isBlock() bool { return len(c.lens) > 0 }

// split returns the first n calls of a block, and those behind them: there are none of these where n is all.
func (c *queuedCall) split(n int) (front, rest queuedCall) {
	front, rest = *c, *c
	size := c.lens.Sum(0, n)
	front.lens, front.arg = c.lens.Slice(0, n), c.arg[:size:size]
	rest.lens, rest.arg = c.lens.Slice(n, c.lens.Len()), c.arg[size:]
	rest.number += uint64(n)
	return front, rest
}

// nextOf takes calls of the block at the front of the queue into r.current: as many as r should run in
// one go. It reports false when all that were left of the block were answered already; then the
// block is gone. mu is held.
func (b *backlog) nextOf(r *runner, block *queuedCall) bool {
	n := block.lens.Len()
	skip := 0
	for skip < n && b.bury(block, skip) {
		skip++
	}
	if skip == n {
		b.release(block.body)
		b.calls.dropOldest()
		return false
	}
	if skip > 0 {
		_, *block = block.split(skip)
	}
	n = b.alive(block, min(b.share(r, block.task), n-skip))
	b.live -= n
	if n == block.lens.Len() {
		r.current = *block
		b.calls.dropOldest()
		return true
	}
	r.current, *block = block.split(n)
	r.current.body.left++ // both parts need it
	return true
}

// share returns how many calls of a block r should take at once: one, unless r knows that they are
// short. A call may wait behind those that were taken with it for about rangeTime. mu is held.
func (b *backlog) share(r *runner, t *servedTask) int {
	nanos := r.expects(t)
	if nanos == 0 || nanos >= int64(longCall) || r.s.watchdog.silent { // nothing would tell that one is long after all
		return 1
	}
	slots := max(r.s.cfg.Slots, 1)
	fair := max(int64((b.live+slots-1)/slots), int64(leastRange)/nanos)
	return int(max(min(fair, int64(rangeTime)/nanos), 1))
}

// A deadCall is a call of a block that was answered while it waits. A number alone might come again.
type deadCall struct {
	ticket uint32
	number uint64
}

// alive returns how many calls at the front of a block, at most n, come before one that was
// answered already. The first was not. mu is held.
func (b *backlog) alive(block *queuedCall, n int) int {
	if len(b.dead) == 0 {
		return n
	}
	for i := 1; i < n; i++ {
		if b.isDead(block, i) {
			return i
		}
	}
	return n
}

// isDead reports whether the call with index i of a block that waits was answered already. mu is held.
func (b *backlog) isDead(block *queuedCall, i int) bool {
	_, dead := b.dead[deadCall{block.ticket, block.number + uint64(i)}]
	return dead
}

// bury is isDead for a call that is about to leave the queue if it was answered. mu is held.
func (b *backlog) bury(block *queuedCall, i int) bool {
	if len(b.dead) == 0 || !b.isDead(block, i) {
		return false
	}
	delete(b.dead, deadCall{block.ticket, block.number + uint64(i)})
	return true
}

// takeBackOf takes up to most calls from the end of the block that came last, so that no slot will run
// them: those behind the last one that was answered already. There may be none left. mu is held.
func (b *backlog) takeBackOf(block *queuedCall, most int) (taken span) {
	n := block.lens.Len()
	for n > 0 && b.bury(block, n-1) {
		n--
	}
	from := n
	for from > 0 && n-from < most && !b.isDead(block, from-1) {
		from--
	}
	taken = span{block.number + uint64(from), n - from}
	b.live -= taken.count
	if from > 0 {
		*block, _ = block.split(from)
		return taken
	}
	b.release(block.body)
	b.calls.dropNewest()
	return taken
}

// part has r keep of its range the current call alone, and puts those behind it back to where they were
// taken from. It reports whether there were any. From then on an order to end the current call goes to
// the slot.
func (b *backlog) part(r *runner) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.noteLive()
	if o := r.orders[r.current.number]; o != nil {
		r.slot.Stop(r.current.number, o.kind, o.reason)
	}
	r.held = span{r.current.number, 1}
	rest := r.cutRest()
	if !rest.isBlock() {
		r.forgetOrders()
		return false
	}
	rest.body.left++
	b.live += rest.lens.Len()
	for i := range rest.lens.Len() {
		if o := r.orders[rest.number+uint64(i)]; o != nil {
			b.answerDead(&rest, i, o.failure)
		}
	}
	r.forgetOrders()
	b.calls.pushFront(rest)
	b.wakeFor(b.live)
	return true
}

// cutRest takes the calls that have not begun out of the range.
func (r *runner) cutRest() queuedCall {
	rest := r.current
	_, rest = rest.split(r.at)
	rest.number = r.current.number + 1
	r.at = r.current.lens.Len()
	return rest
}

// answerDead answers the call with index i of a block that waits: it must not run any more. mu is held.
func (b *backlog) answerDead(block *queuedCall, i int, failure []byte) {
	if b.dead == nil {
		b.dead = map[deadCall]struct{}{}
	}
	dead := deadCall{block.ticket, block.number + uint64(i)}
	b.dead[dead] = struct{}{}
	b.live--
	b.append(&wire.Result{Ticket: dead.ticket, Gen: uint32(dead.number), Failed: true, Data: failure})
}

// noteLive lets others read, without mu, how many calls wait. mu is held.
func (b *backlog) noteLive() { b.queued.Store(int64(b.live)) }

// putBlock adds results of a block and reports whether a full frame waits to be sent.
func (b *backlog) putBlock(res *wire.Result, lens []uint16) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.out.Count() > 0 && b.out.Len()+wire.ResultsSize(len(lens), res.Data) > transport.EagerFrame {
		b.closeFrame()
	}
	b.out.AddResults(res, lens)
	return len(b.full) > 0
}
