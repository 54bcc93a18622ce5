package worker

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/wasmpool/wasmpool/internal/transport"
	"github.com/wasmpool/wasmpool/internal/wire"
)

// A backlog is where the calls that arrived wait for a slot and the results wait
// to be sent. It allocates nothing once it is warm. It is safe for concurrent use.
type backlog struct {
	closed atomic.Bool  // the worker ends: no call is handed out any more
	queued atomic.Int64 // live, readable without mu

	mu     sync.Mutex
	calls  callQueue
	live   int                   // calls that wait in it: a block counts as all that are left of it
	dead   map[deadCall]struct{} // calls of its blocks that are answered already; nil before the first
	bodies []*frameBody          // free
	parked []*runner             // those that sleep, last in first out
	out    *wire.Writer          // the frame of results under construction
	full   []*wire.Writer        // frames to be sent, oldest first
	free   []*wire.Writer
	sent   *wire.Writer // handed out by takeFrame
}

// A frameBody is a copy of a frame of calls, kept until the last of them has run.
type frameBody struct {
	data []byte
	left int // entries of the queue, and runners, that still need it
}

// A queuedCall is one call that waits for a slot, or runs; or it is a block of calls, or what is left of one: see
// blocks.go.
type queuedCall struct {
	number  uint64 // of a block, that of its first call
	ticket  uint32
	attempt uint16
	long    bool // its argument is not in the frame
	task    *servedTask
	arg     []byte       // a view of body; of a block, all arguments in a row
	lens    wire.Lengths // of these; empty for what is no block
	argLen  int64
	lent    uint64 // where the root lends a long argument; 0 if it does not
	fetch   *fetch // of a long argument, when it was begun
	body    *frameBody
	limits  *wire.Limits // its own; nil for none
	shared  *sharedSet   // its shared inputs; nil for none
	killed  bool         // while it waited; it is answered already
}

func newBacklog() *backlog {
	b := &backlog{out: new(wire.Writer)}
	b.out.Reset(wire.TypeResults)
	return b
}

// add queues the calls of a frame and wakes runners for them. It calls begin for each
// long argument, which may begin to fetch it.
func (b *backlog) add(tasks []*servedTask, shared *sharedInputs, count int, data []byte, begin func(*wire.Call) *fetch) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	body := b.newBody(data)
	r := wire.NewReader(count, body.data)
	var c wire.Call
	for r.NextCall(&c) {
		if int(c.Task) >= len(tasks) || tasks[c.Task] == nil {
			return fmt.Errorf("call %d is of task %d, which was not announced", c.Number, c.Task)
		}
		var set *sharedSet
		if c.Shared != 0 {
			if set = shared.set(c.Shared); set == nil {
				return fmt.Errorf("call %d has the shared inputs %d, which were not announced", c.Number, c.Shared)
			}
		}
		body.left++
		var f *fetch
		if c.Long && c.Lent == 0 {
			f = begin(&c)
		}
		b.calls.push(queuedCall{
			number: c.Number, ticket: c.Ticket, attempt: c.Attempt, long: c.Long, lens: c.Lens,
			task: tasks[c.Task], arg: c.Arg, argLen: c.ArgLen, lent: c.Lent, fetch: f, body: body, limits: c.Limits, shared: set,
		})
		b.live += max(c.Count, 1)
	}
	b.noteLive()
	if body.left == 0 {
		b.bodies = append(b.bodies, body)
	}
	b.wakeFor(b.live - 1) // one is for the runner that watches
	return r.Err()
}

// newBody copies data into a free body. mu is held.
func (b *backlog) newBody(data []byte) *frameBody {
	var body *frameBody
	if n := len(b.bodies); n > 0 {
		body, b.bodies = b.bodies[n-1], b.bodies[:n-1]
	} else {
		body = new(frameBody)
	}
	body.data = append(body.data[:0], data...)
	return body
}

// release says that a call no longer needs its body. mu is held.
func (b *backlog) release(body *frameBody) {
	if body.left--; body.left == 0 {
		b.bodies = append(b.bodies, body)
	}
}

// waiting reports whether a call waits for a slot.
func (b *backlog) waiting() bool { return b.queued.Load() > 0 }

// next takes the oldest call into r.current, or several of a block, after it has released what that
// held. It reports false, and empties r.current, when none waits or the worker ends.
func (b *backlog) next(r *runner) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if r.current.body != nil {
		b.release(r.current.body)
	}
	r.forgetOrders()
	taken := !b.closed.Load() && b.nextCall(r)
	if taken {
		r.held = r.current.span()
	} else {
		r.current, r.held = queuedCall{}, span{}
	}
	b.noteLive()
	return taken
}

// nextCall takes the oldest call that was not answered already. mu is held.
func (b *backlog) nextCall(r *runner) bool {
	for c := b.calls.oldest(); c != nil; c = b.calls.oldest() {
		if c.isBlock() {
			if b.nextOf(r, c) {
				return true
			}
			continue
		}
		r.current = *c
		b.calls.dropOldest()
		if !r.current.killed {
			b.live--
			return true
		}
		b.release(r.current.body)
	}
	return false
}

// takeBack takes the newest calls, at least one and at most so many of one entry, so that no slot will run them.
// There are none when count is 0.
func (b *backlog) takeBack(most int) (c queuedCall, taken span) {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.noteLive()
	for newest := b.calls.newest(); newest != nil && taken.count == 0; newest = b.calls.newest() {
		c = *newest
		if c.isBlock() {
			taken = b.takeBackOf(newest, most)
			continue
		}
		b.calls.dropNewest()
		b.release(c.body)
		if !c.killed {
			b.live--
			taken = c.span()
		}
	}
	return c, taken
}

// put adds a result and reports whether a full frame waits to be sent.
func (b *backlog) put(res *wire.Result) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.append(res)
}

// append is put with mu held.
func (b *backlog) append(res *wire.Result) bool {
	if b.out.Count() > 0 && b.out.Len()+len(res.Data)+wire.ResultOverhead > transport.EagerFrame {
		b.closeFrame()
	}
	b.out.AddResult(res)
	return len(b.full) > 0
}

// closeFrame closes the frame under construction. mu is held.
func (b *backlog) closeFrame() {
	b.full = append(b.full, b.out)
	if n := len(b.free); n > 0 {
		b.out, b.free = b.free[n-1], b.free[:n-1]
	} else {
		b.out = new(wire.Writer)
	}
	b.out.Reset(wire.TypeResults)
}

// takeFrame returns a frame to send, the oldest first, or nil. It must be
// given back before the next is taken.
func (b *backlog) takeFrame() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.full) == 0 {
		if b.out.Count() == 0 {
			return nil
		}
		b.closeFrame()
	}
	b.sent = b.full[0]
	b.full = append(b.full[:0], b.full[1:]...)
	return b.sent.Frame()
}

// giveFrame returns the frame that takeFrame gave.
func (b *backlog) giveFrame() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.free = append(b.free, b.sent)
	b.sent = nil
}

// park notes that r is about to wait for its wake. It reports false when r must not,
// since a call waits, or the worker ends.
func (b *backlog) park(r *runner) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.live > 0 || b.closed.Load() {
		return false
	}
	b.parked = append(b.parked, r)
	return true
}

// wake wakes one parked runner, if there is one. mu is held.
func (b *backlog) wake() bool {
	n := len(b.parked)
	if n == 0 {
		return false
	}
	r := b.parked[n-1]
	b.parked = b.parked[:n-1]
	r.wake <- struct{}{} // never blocks: the channel of a parked runner is empty
	return true
}

// wakeFor wakes parked runners for n calls, as far as there are some. mu is held.
func (b *backlog) wakeFor(n int) {
	for range n {
		if !b.wake() {
			return
		}
	}
}

// wakeOne wakes a parked runner, if there is one.
func (b *backlog) wakeOne() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.wake()
}

// close drops the calls that wait, and makes every runner return.
func (b *backlog) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed.Store(true)
	for b.wake() {
	}
}
