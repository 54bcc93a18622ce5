package mem

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/wasmpool/wasmpool/internal/memory"
	"github.com/wasmpool/wasmpool/internal/transport"
)

// An endpoint implements [transport.Endpoint], and what else goroutines can do. Its
// owner drains the inbox, which the others fill.
type endpoint struct {
	fabric *Fabric
	rank   int
	bell   *transport.Bell
	dead   atomic.Bool // to the others
	dozing atomic.Bool // the owner wants to be rung
	inbox  inbox

	// Only used by the owner.
	closed bool
	read   inbox // what Poll works on
}

var (
	_ transport.Lender   = (*endpoint)(nil)
	_ transport.Borrower = (*endpoint)(nil)
	_ transport.Voucher  = (*endpoint)(nil)
)

// An inbox holds what has arrived. Its memory is reused.
type inbox struct {
	mu     sync.Mutex
	filled atomic.Bool
	bytes  []byte
	frames []frame
	done   []completion
	lost   []loss
}

type loss struct {
	rank int
	err  error
}

type frame struct{ from, end int } // its bytes end there and begin where the one before ends

type completion struct {
	done func(error)
	err  error
}

func (e *endpoint) Rank() int             { return e.rank }
func (e *endpoint) Size() int             { return len(e.fabric.ends) }
func (e *endpoint) Bell() *transport.Bell { return e.bell }

// Pending reports false: nothing here needs polling to leave.
func (e *endpoint) Pending() bool { return false }

// Fence ends whichever of the two is the worker.
func (e *endpoint) Fence(rank int, cause error) {
	if e.closed || rank == e.rank {
		return
	}
	worker := max(rank, e.rank)
	if e.fabric.kill(worker, cause) {
		e.fabric.ends[worker].lose(0, cause)
	}
}

// lose tells the owner of a loss.
func (e *endpoint) lose(rank int, err error) {
	e.inbox.mu.Lock()
	e.inbox.lost = append(e.inbox.lost, loss{rank, err})
	e.inbox.mu.Unlock()
	e.arrived()
}

func (e *endpoint) Doze() { e.dozing.Store(true) }

// Lend implements [transport.Lender].
func (e *endpoint) Lend(to int, id uint32, data []byte) uint64 {
	if e.closed || e.dead.Load() || e.fabric.ends[to].dead.Load() {
		return 0
	}
	return e.fabric.loans.add(id, data)
}

func (e *endpoint) Reclaim(id uint32) { e.fabric.loans.end(id) }

func (e *endpoint) Borrow(dst []byte, at uint64) error { return e.fabric.loans.read(dst, at) }

// Vouch keeps suspect for [Fabric.Suspect]: nobody could fence a goroutine, so these ranks
// give no signs of their own.
func (e *endpoint) Vouch(suspect func() (call uint64, found bool)) {
	e.fabric.suspect.Store(&suspect)
}

// arrived tells the owner that its inbox has something.
func (e *endpoint) arrived() {
	e.inbox.filled.Store(true)
	if e.dozing.Load() && e.dozing.Swap(false) {
		e.bell.Ring()
	}
}

func (e *endpoint) Send(to int, b []byte) error {
	switch {
	case e.closed:
		return transport.ErrClosed
	case to < 0 || to >= e.Size() || to == e.rank:
		return fmt.Errorf("mem: rank %d cannot send to rank %d of %d", e.rank, to, e.Size())
	case len(b) == 0 || len(b) > transport.FrameCap+transport.Overhead:
		return fmt.Errorf("mem: a frame of %d bytes; 1 to %d are allowed", len(b), transport.FrameCap)
	}
	peer := e.fabric.ends[to]
	if e.dead.Load() || peer.dead.Load() {
		return nil
	}
	if e.rank == 0 {
		e.dozing.Store(false) // it looks for the answer before it sleeps again
	}
	peer.inbox.mu.Lock()
	peer.inbox.bytes = append(peer.inbox.bytes, b...)
	peer.inbox.frames = append(peer.inbox.frames, frame{from: e.rank, end: len(peer.inbox.bytes)})
	peer.inbox.mu.Unlock()
	peer.arrived()
	return nil
}

func (e *endpoint) SendPayload(to int, id uint32, data []byte, done func(error)) {
	e.transfer(transferKey{from: e.rank, to: to, id: id}, to, half{e, data, done})
}

func (e *endpoint) RecvPayload(from int, id uint32, data []byte, done func(error)) {
	e.transfer(transferKey{from: from, to: e.rank, id: id}, from, half{e, data, done})
}

// transfer brings the two halves of a payload together; the one that comes
// second copies.
func (e *endpoint) transfer(key transferKey, peer int, mine half) {
	if e.closed {
		e.complete(mine.done, transport.ErrClosed)
		return
	}
	f := e.fabric
	f.mu.Lock()
	if e.dead.Load() || f.ends[peer].dead.Load() {
		f.mu.Unlock()
		e.complete(mine.done, ErrKilled)
		return
	}
	other, met := f.transfers[key]
	if !met {
		f.transfers[key] = mine
		f.mu.Unlock()
		return
	}
	delete(f.transfers, key)
	f.mu.Unlock()
	var err error
	switch {
	case other.end == e:
		err = fmt.Errorf("mem: payload %d from rank %d to %d is under way twice", key.id, key.from, key.to)
	case len(mine.data) != len(other.data):
		err = fmt.Errorf("mem: payload %d from rank %d to %d: one side has %d bytes, the other %d", key.id, key.from, key.to, len(mine.data), len(other.data))
	case e.rank == key.to:
		memory.Copy(mine.data, other.data)
	default:
		memory.Copy(other.data, mine.data)
	}
	other.end.complete(other.done, err)
	e.complete(mine.done, err)
}

// complete queues a callback for the owner's next Poll.
func (e *endpoint) complete(done func(error), err error) {
	e.inbox.mu.Lock()
	e.inbox.done = append(e.inbox.done, completion{done, err})
	e.inbox.mu.Unlock()
	e.arrived()
}

func (e *endpoint) Poll(h transport.Handler) (int, error) {
	if e.closed {
		return 0, transport.ErrClosed
	}
	if !e.inbox.filled.Load() {
		return 0, nil
	}
	r := &e.read
	e.swap()
	n := len(r.frames) + len(r.done) + len(r.lost)
	at := 0
	for _, f := range r.frames {
		if !e.fabric.ends[f.from].dead.Load() {
			h.Frame(f.from, r.bytes[at:f.end:f.end])
		}
		at = f.end
	}
	for _, c := range r.done {
		c.done(c.err)
	}
	clear(r.done) // they hold on to payloads
	for _, l := range r.lost {
		h.Lost(l.rank, l.err)
	}
	return n, nil
}

// swap exchanges the inbox with the one that was read last.
func (e *endpoint) swap() {
	r, in := &e.read, &e.inbox
	r.bytes, r.frames, r.done, r.lost = r.bytes[:0], r.frames[:0], r.done[:0], r.lost[:0]
	in.mu.Lock()
	defer in.mu.Unlock()
	in.filled.Store(false)
	r.bytes, in.bytes = in.bytes, r.bytes
	r.frames, in.frames = in.frames, r.frames
	r.done, in.done = in.done, r.done
	r.lost, in.lost = in.lost, r.lost
}

func (e *endpoint) Close() error {
	if e.closed {
		return nil
	}
	e.fabric.drop(func(k transferKey) bool { return k.from == e.rank || k.to == e.rank }, transport.ErrClosed)
	e.swap()
	e.closed = true
	for _, c := range e.read.done {
		c.done(c.err)
	}
	return nil
}
