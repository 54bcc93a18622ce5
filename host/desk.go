package host

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/wasmpool/wasmpool/internal/transport"
	"github.com/wasmpool/wasmpool/internal/wire"
)

// A desk is where the calls that arrived wait for a slot and the results wait
// to be sent. It allocates nothing once it is warm.
type desk struct {
	closed atomic.Bool
	queued atomic.Int64 // len of calls, readable without mu

	mu     sync.Mutex
	calls  ring
	bodies []*body   // free
	parked []*runner // slots that sleep, last in first out
	out    *wire.Writer
	full   []*wire.Writer
	free   []*wire.Writer
	sent   *wire.Writer // handed out by takeFrame
}

// A body holds a copy of a calls frame until the last of its calls has run.
type body struct {
	data []byte
	left int // calls that still need it
}

// A deskCall is one call that waits.
type deskCall struct {
	number  uint64
	ticket  uint32
	attempt uint16
	long    bool
	task    *servedTask
	arg     []byte // a view of body
	argLen  int64
	lent    uint64 // where the root lends a long argument; 0 if it does not
	fetch   *fetch // of a long argument, when it was begun
	body    *body
	limits  *wire.Limits // its own; nil for the worker's
	killed  bool         // while it waited: it was answered
}

func newDesk() *desk {
	d := &desk{out: new(wire.Writer)}
	d.out.Reset(wire.KindResults)
	return d
}

// add queues the calls of a frame and wakes slots for them. It fetches long
// arguments through begin.
func (d *desk) add(tasks []*servedTask, count int, data []byte, begin func(*wire.Call) *fetch) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	b := d.newBody(data)
	r := wire.NewReader(count, b.data)
	var c wire.Call
	for r.NextCall(&c) {
		if int(c.Task) >= len(tasks) || tasks[c.Task] == nil {
			return fmt.Errorf("call %d is of task %d, which was not announced", c.Number, c.Task)
		}
		b.left++
		var f *fetch
		if c.Long && c.Lent == 0 {
			f = begin(&c)
		}
		d.calls.push(deskCall{
			number: c.Number, ticket: c.Ticket, attempt: c.Attempt, long: c.Long,
			task: tasks[c.Task], arg: c.Arg, argLen: c.ArgLen, lent: c.Lent, fetch: f, body: b, limits: c.Limits,
		})
	}
	d.queued.Store(int64(d.calls.len()))
	if b.left == 0 {
		d.bodies = append(d.bodies, b)
	}
	for range d.calls.len() - 1 { // one is for the slot that watches
		if !d.wake() {
			break
		}
	}
	return r.Err()
}

// newBody copies data into a free body. mu is held.
func (d *desk) newBody(data []byte) *body {
	var b *body
	if n := len(d.bodies); n > 0 {
		b, d.bodies = d.bodies[n-1], d.bodies[:n-1]
	} else {
		b = new(body)
	}
	b.data = append(b.data[:0], data...)
	return b
}

// release says that a call no longer needs its body. mu is held.
func (d *desk) release(b *body) {
	if b.left--; b.left == 0 {
		d.bodies = append(d.bodies, b)
	}
}

// waiting reports whether a call waits for a slot.
func (d *desk) waiting() bool { return d.queued.Load() > 0 }

// next takes the oldest call into c, after the one that c holds is released.
func (d *desk) next(c *deskCall) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if c.body != nil {
		d.release(c.body)
	}
	for {
		if d.closed.Load() || !d.calls.pop(c) {
			*c = deskCall{}
			d.queued.Store(int64(d.calls.len()))
			return false
		}
		if !c.killed {
			break
		}
		d.release(c.body)
	}
	d.queued.Store(int64(d.calls.len()))
	return true
}

// takeBack takes the newest call, which no slot will run then.
func (d *desk) takeBack() (c deskCall, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for d.calls.popLast(&c) {
		d.queued.Store(int64(d.calls.len()))
		d.release(c.body)
		if !c.killed {
			return c, true
		}
	}
	return c, false
}

// put adds a result and reports whether a full frame waits to be sent.
func (d *desk) put(res *wire.Result) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.append(res)
}

// append is put with mu held.
func (d *desk) append(res *wire.Result) bool {
	if d.out.Count() > 0 && d.out.Len()+len(res.Data)+wire.ResultOverhead > transport.EagerFrame {
		d.shift()
	}
	d.out.AddResult(res)
	return len(d.full) > 0
}

// shift closes the frame under construction. mu is held.
func (d *desk) shift() {
	d.full = append(d.full, d.out)
	if n := len(d.free); n > 0 {
		d.out, d.free = d.free[n-1], d.free[:n-1]
	} else {
		d.out = new(wire.Writer)
	}
	d.out.Reset(wire.KindResults)
}

// takeFrame returns a frame to send, the oldest first, or nil. It must be
// given back before the next is taken.
func (d *desk) takeFrame() []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.full) == 0 {
		if d.out.Count() == 0 {
			return nil
		}
		d.shift()
	}
	d.sent = d.full[0]
	d.full = append(d.full[:0], d.full[1:]...)
	return d.sent.Frame()
}

// giveFrame returns the frame that takeFrame gave.
func (d *desk) giveFrame([]byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.free = append(d.free, d.sent)
	d.sent = nil
}

// park notes that a slot is about to sleep. It reports false when there is a
// reason not to.
func (d *desk) park(r *runner) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.calls.len() > 0 || d.closed.Load() {
		return false
	}
	d.parked = append(d.parked, r)
	return true
}

// wake wakes one sleeping slot, if there is one. mu is held.
func (d *desk) wake() bool {
	n := len(d.parked)
	if n == 0 {
		return false
	}
	r := d.parked[n-1]
	d.parked = d.parked[:n-1]
	r.wake <- struct{}{} // never blocks: a parked slot has an empty channel
	return true
}

// wakeOne wakes a sleeping slot.
func (d *desk) wakeOne() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.wake()
}

// close drops the calls that wait and sends every slot home.
func (d *desk) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed.Store(true)
	for d.wake() {
	}
}
