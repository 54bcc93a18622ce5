//go:build mpi

package mpi

// #include "fabric.h"
import "C"

import (
	"fmt"
	"runtime"
	"unsafe"

	"github.com/wasmpool/wasmpool/internal/transport"
)

const (
	// chunkLen is how much of a payload one message carries.
	chunkLen = 4 << 20

	// chunksAhead is how many messages of a payload are under way at once.
	chunksAhead = 4
)

// A transfer is a payload that is sent or received: by a loan, see there, or in
// chunks, which are messages with the payload's id as tag; MPI keeps them in order.
type transfer struct {
	send    bool
	peer    int
	tag     int
	data    []byte
	loan    loan
	place   int32 // in endpoint.transfers: the chunks' handle
	next    int   // where what was not begun begins
	started bool  // at least one chunk was: a payload of no bytes has one, too
	flying  int   // chunks under way
	done    func(error)
	pin     runtime.Pinner // kept when the transfer is used again
}

// A completion is a callback for the next Poll.
type completion struct {
	done func(error)
	err  error
}

func (e *endpoint) SendPayload(to int, id uint32, data []byte, done func(error)) {
	e.transfer(true, to, id, data, done)
}

func (e *endpoint) RecvPayload(from int, id uint32, data []byte, done func(error)) {
	e.transfer(false, from, id, data, done)
}

func (e *endpoint) transfer(send bool, peer int, id uint32, data []byte, done func(error)) {
	switch {
	case e.closed:
		e.finished = append(e.finished, completion{done, transport.ErrClosed})
		return
	case peer < 0 || peer >= e.size || peer == e.rank || id >= transport.MaxPayloads:
		e.finished = append(e.finished, completion{done, fmt.Errorf("mpi: no payload %d with rank %d of %d", id, peer, e.size)})
		return
	case e.lost[peer]:
		e.finished = append(e.finished, completion{done, errLost(peer)})
		return
	}
	t := e.newTransfer()
	t.send, t.peer, t.tag, t.data, t.done = send, peer, int(id), data, done
	if len(t.data) > 0 {
		t.pin.Pin(&t.data[0]) // MPI keeps the address after the call; for guest memory this does nothing
	}
	if n := len(e.free); n > 0 {
		t.place, e.free = e.free[n-1], e.free[:n-1]
		e.transfers[t.place] = t
	} else {
		t.place = int32(len(e.transfers))
		e.transfers = append(e.transfers, t)
	}
	e.live++
	if e.loans.with[peer] {
		e.lend(t)
	} else {
		e.startChunks(t)
	}
}

// newTransfer returns a transfer that was used before, or another.
func (e *endpoint) newTransfer() *transfer {
	n := len(e.spare)
	if n == 0 {
		return new(transfer)
	}
	t := e.spare[n-1]
	e.spare = e.spare[:n-1]
	return t
}

// startChunks keeps some of the payload's messages under way. Those to be received are
// all asked for at once: when the sender is through with its last one, it may use the
// id again, and its messages must not meet what is left of this payload.
func (e *endpoint) startChunks(t *transfer) {
	for (t.flying < chunksAhead || !t.send) && (t.next < len(t.data) || !t.started) {
		n := min(chunkLen, len(t.data)-t.next)
		var at unsafe.Pointer
		if n > 0 {
			at = unsafe.Pointer(&t.data[t.next])
		}
		send := C.int(0)
		if t.send {
			send = 1
		}
		C.wp_chunk(e.result, send, C.int(t.peer), C.int(t.tag), at, C.int(n), C.int32_t(t.place))
		t.next += n
		t.flying++
		t.started = true
	}
}

// chunkDone takes note that a chunk has arrived or left, or that it did not. Then its
// peer is lost: the other end would wait for the rest.
func (e *endpoint) chunkDone(place int32, bad bool) {
	t := e.transfers[place]
	t.flying--
	switch {
	case t.done == nil: // an orphan
	case bad:
		e.Fence(t.peer, fmt.Errorf("mpi: payload %d with rank %d did not pass, or not as long as was said", t.tag, t.peer))
	default:
		e.startChunks(t)
	}
	if t.flying == 0 {
		e.release(t)
	}
}

// release ends a transfer whose memory nobody uses any more.
func (e *endpoint) release(t *transfer) {
	t.pin.Unpin()
	e.transfers[t.place] = nil
	e.free = append(e.free, t.place)
	if t.done != nil {
		e.finish(t, nil)
	}
	*t = transfer{pin: t.pin}
	e.spare = append(e.spare, t)
}

// finish queues a transfer's callback.
func (e *endpoint) finish(t *transfer, err error) {
	e.finished = append(e.finished, completion{t.done, err})
	t.done = nil
	e.live--
}

// orphan ends the transfers with a rank, or with all when rank is negative.
// MPI, or the rank, may still use their memory, so it stays pinned until they are
// through, which may be never.
func (e *endpoint) orphan(rank int, err error) {
	for _, t := range e.transfers {
		if t != nil && t.done != nil && (rank < 0 || t.peer == rank) {
			delete(e.loans.lent, e.loanKey(t))
			e.finish(t, err)
		}
	}
}

// complete calls the callbacks that wait and returns how many there were.
func (e *endpoint) complete() int {
	n := 0
	for len(e.finished) > 0 { // a callback may start another transfer
		list := e.finished
		e.finished = nil
		for _, c := range list {
			c.done(c.err)
			n++
		}
	}
	return n
}

func errLost(rank int) error { return fmt.Errorf("mpi: rank %d is lost", rank) }
