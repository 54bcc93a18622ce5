package dispatcher

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/internal/memory"
	"github.com/wasmpool/wasmpool/internal/wire"
)

// A room bounds the bytes of long results that are on their way to the root. Those
// that find none wait, in the order in which they were announced; so does the slot of
// each with its guest. What is under way always arrives, whatever the root's program
// does, so that those that wait get on. It belongs to the loop.
type room struct {
	most    int64         // bytes that may be on their way
	taken   int64         // bytes that are
	waiting []*longResult // in the order in which they were announced
}

// A longResult is a long result that was announced.
type longResult struct {
	fabric *fabric
	worker *worker
	result wire.Result // its ticket leads to the call
}

// asks reports whether the worker waits for an answer before it sends.
func (a *longResult) asks() bool { return a.result.Len >= wire.AskFirst }

// admit lets a result come when there is room.
func (r *room) admit(a *longResult) {
	r.waiting = append(r.waiting, a)
	r.next()
}

// next lets come what there is room for. One that is larger than the room comes alone.
func (r *room) next() {
	for len(r.waiting) > 0 {
		a := r.waiting[0]
		n := a.result.Len
		if !a.worker.lost && r.taken > 0 && r.taken+n > r.most {
			return
		}
		// There may be very many: none is moved.
		r.waiting[0], r.waiting = nil, r.waiting[1:]
		if !a.worker.lost { // else its call is elsewhere
			r.begin(a)
		}
	}
}

// begin receives a result, straight into the memory that the caller gets, if that can
// be had. A short one comes in any case, as its worker has begun to send it.
func (r *room) begin(a *longResult) {
	n := a.result.Len
	var data []byte
	allocate := func() { data = uninitialized(int(n)) }
	shortage := memory.Process().Allocate(uint64(n), allocate)
	switch {
	case shortage == nil:
		preferHuge(data)
	case a.asks():
		a.refuse(shortage)
		return
	default:
		allocate()
	}
	r.taken += n
	if a.asks() {
		a.answer(false)
	}
	a.fabric.ep.RecvPayload(a.worker.peer, a.result.Payload, data, func(err error) {
		r.taken -= n
		switch {
		case a.worker.lost: // its call is elsewhere
		case err != nil:
			a.fabric.ep.Fence(a.worker.peer, fmt.Errorf("executor: a long result of rank %d: %w", a.worker.rank, err))
		case shortage != nil:
			a.fail(host.KindMemory, noRoom(n, shortage))
		default:
			a.end(data)
		}
		r.next()
	})
}

func noRoom(n int64, shortage error) string {
	return fmt.Sprintf("the root has no memory for the result of %s: %v", memory.Size(uint64(n)), shortage)
}

// answer tells the worker whether its result is taken.
func (a *longResult) answer(refused bool) {
	a.fabric.loop.out.control(a.worker, wire.TypeTake, wire.Take{Payload: a.result.Payload, Refused: refused})
}

// refuse fails the call, whose result there is no memory for.
func (a *longResult) refuse(shortage error) {
	a.unwanted(host.KindMemory, noRoom(a.result.Len, shortage))
}

// fail ends the run of the call with a failure in place of its result.
func (a *longResult) fail(kind host.Kind, message string) {
	body, err := json.Marshal(wire.Failure{Kind: uint8(kind), Message: message})
	if err != nil {
		a.fabric.loop.ending.fail(err) // two fields of plain types
		return
	}
	a.result.Failed = true
	a.end(body)
}

// end ends the run of the call with its result, or failure.
func (a *longResult) end(data []byte) {
	f, w := a.fabric, a.worker
	delete(w.receiving, a.result.Ticket)
	if w.departs(a.result.Ticket) {
		f.concludeLater(w, a.result, data)
		return
	}
	f.conclude(w, f.loop.sched.tickets[a.result.Ticket], &a.result, data)
	f.loop.sched.place(w)
}

// unwanted ends a call whose worker asks whether its result is taken: it is not.
func (a *longResult) unwanted(kind host.Kind, reason string) {
	a.answer(true)
	a.fail(kind, reason)
}

// drop ends a call whose result waits for room, and reports whether that is so. A short
// result comes now, room or not, as its worker waits with it.
func (r *room) drop(c *Call, kind host.Kind, reason string) bool {
	if _, announced := c.worker.receiving[c.ticket]; !announced {
		return false
	}
	at := slices.IndexFunc(r.waiting, func(a *longResult) bool { return a.worker == c.worker && a.result.Ticket == c.ticket })
	if at < 0 {
		return false
	}
	a := r.waiting[at]
	r.waiting = slices.Delete(r.waiting, at, at+1)
	if !a.asks() {
		r.begin(a)
		return true
	}
	a.unwanted(kind, reason)
	return true
}
