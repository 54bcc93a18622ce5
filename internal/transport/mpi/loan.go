//go:build mpi

package mpi

// #include "fabric.h"
import "C"

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"runtime"
	"unsafe"
)

// On one node the workers move the payloads: the root lends memory of its own, by
// its address, and the worker copies from there, or to there, with one system call.
// So the root, for which all workers wait, touches none of the bytes. See
// RATIONALE.md, "How is a payload copied on one node?".
//
// Memory that was lent to a rank which is lost stays with the endpoint for ever,
// as with MPI: the rank may still write to it. What it may only read does not.

// A loan is the root's end of a payload. It names the payload between two ranks.
type loan struct {
	id     uint32
	toRoot bool
	addr   uint64
	length uint64
}

// loanLen is the length of a loan in a message: id 4, direction 4, address 8,
// length 8. A worker gives a loan back in the same form.
const loanLen = 24

// moveAtOnce is about how many bytes a worker copies in one Poll.
const moveAtOnce = 1 << 20

// A loanKey tells the payloads under way apart.
type loanKey struct {
	peer   int
	id     uint32
	toRoot bool
}

// loans are the payloads that go this way. Only the endpoint's owner uses them.
type loans struct {
	with  []bool   // by rank: payloads between it and this one do
	notes [][]byte // by rank: loans to be told of
	due   []int    // ranks with notes

	// On the root.
	probe    []byte // what a worker must be able to read, and to write
	pin      runtime.Pinner
	lent     map[loanKey]*transfer // those that somebody waits for
	standing []standing            // by id

	// On a worker.
	root    memory                // the root's
	open    map[loanKey]loan      // no transfer has come for them yet
	waiting map[loanKey]*transfer // no loan has come for them yet
	ready   []*transfer           // to be copied
}

// offerLoans prepares the root's side: a worker that wants loans must read the
// secret at an address that the card names, and write to its place behind it.
func (e *endpoint) offerLoans(c *card) {
	l := &e.loans
	l.probe = append(bytes.Clone(c.Secret), make([]byte, e.size)...)
	l.pin.Pin(&l.probe[0]) // for ever, as the endpoint
	l.lent = map[loanKey]*transfer{}
	c.PID, c.Probe = os.Getpid(), address(l.probe)
}

// takesLoans finds out whether this worker can read and write the root's memory.
// A user who told Open MPI not to has reasons that hold here, too.
func (e *endpoint) takesLoans(c *card) bool {
	l := &e.loans
	if os.Getenv("OMPI_MCA_btl_vader_single_copy_mechanism") == "none" {
		return false
	}
	l.root.pid = c.PID
	seen := make([]byte, len(c.Secret))
	if err := l.root.read(seen, c.Probe); err != nil || !bytes.Equal(seen, c.Secret) {
		return false // another node, or forbidden
	}
	if err := l.root.write(c.Probe+uint64(len(seen)+e.rank), []byte{1}); err != nil {
		return false
	}
	l.open, l.waiting = map[loanKey]loan{}, map[loanKey]*transfer{}
	l.with[0] = true
	return true
}

// address returns where memory is that will be pinned.
func address(b []byte) uint64 {
	if len(b) == 0 {
		return 0
	}
	return uint64(uintptr(unsafe.Pointer(&b[0])))
}

// loanKey returns by which key a transfer is found.
func (e *endpoint) loanKey(t *transfer) loanKey {
	return loanKey{t.peer, uint32(t.tag), t.send != (e.rank == 0)}
}

// lend begins a transfer with a rank that has loans.
func (e *endpoint) lend(t *transfer) {
	l := &e.loans
	key := e.loanKey(t)
	if e.rank == 0 {
		if l.lent[key] != nil {
			e.Fence(t.peer, fmt.Errorf("mpi: it named payload %d for two", key.id))
			return
		}
		l.lent[key] = t
		e.note(t.peer, loan{key.id, key.toRoot, address(t.data), uint64(len(t.data))})
		return
	}
	if got, ok := l.open[key]; ok {
		delete(l.open, key)
		e.take(t, got)
	} else {
		l.waiting[key] = t
	}
}

// take makes a worker's transfer ready for copying.
func (e *endpoint) take(t *transfer, got loan) {
	if got.length != uint64(len(t.data)) {
		e.Fence(0, fmt.Errorf("mpi: payload %d has %d bytes here and %d at the root", t.tag, len(t.data), got.length))
		return
	}
	t.loan = got
	e.loans.ready = append(e.loans.ready, t)
}

// note remembers what a rank is to be told at the end of Poll.
func (e *endpoint) note(rank int, n loan) {
	l := &e.loans
	b := l.notes[rank]
	if len(b) == 0 {
		l.due = append(l.due, rank)
	}
	b = binary.LittleEndian.AppendUint32(b, n.id)
	b = append(b, 0, 0, 0, 0)
	if n.toRoot {
		b[len(b)-1] = 1
	}
	b = binary.LittleEndian.AppendUint64(b, n.addr)
	l.notes[rank] = binary.LittleEndian.AppendUint64(b, n.length)
}

// tellNotes sends what was noted.
func (e *endpoint) tellNotes() {
	const most = pieceLen / loanLen * loanLen
	l := &e.loans
	for _, rank := range l.due {
		b := l.notes[rank]
		l.notes[rank] = b[:0]
		for len(b) > 0 && !e.lost[rank] {
			n := min(len(b), most)
			C.wp_send(e.result, C.int(rank), typeLoans, 0, unsafe.Pointer(&b[0]), C.int(n))
			b = b[n:]
			if e.rank == 0 && e.mustRing(rank) {
				e.lifeline.ring(rank)
			}
		}
	}
	if len(l.due) > 0 {
		e.spoken()
	}
	l.due = l.due[:0]
}

// heardLoans takes in loans on a worker. On the root they come back.
func (e *endpoint) heardLoans(from int, b []byte) {
	l := &e.loans
	for ; len(b) >= loanLen && !e.lost[from]; b = b[loanLen:] {
		got := loan{
			id: binary.LittleEndian.Uint32(b), toRoot: b[7] == 1,
			addr: binary.LittleEndian.Uint64(b[8:]), length: binary.LittleEndian.Uint64(b[16:]),
		}
		key := loanKey{from, got.id, got.toRoot}
		switch {
		case e.rank == 0:
			e.endLoan(key)
		case l.waiting[key] != nil:
			t := l.waiting[key]
			delete(l.waiting, key)
			e.take(t, got)
		default:
			l.open[key] = got
		}
	}
}

// endLoan ends a transfer on the root.
func (e *endpoint) endLoan(key loanKey) {
	t := e.loans.lent[key]
	if t == nil {
		e.Fence(key.peer, fmt.Errorf("mpi: it returned payload %d, which was not lent", key.id))
		return
	}
	delete(e.loans.lent, key)
	e.release(t)
}

// move copies some of what is ready. It returns how many transfers it ended.
func (e *endpoint) move() int {
	l := &e.loans
	ended := 0
	for left := moveAtOnce; left > 0 && len(l.ready) > 0 && !e.lost[0]; {
		t := l.ready[0]
		n := min(len(t.data)-t.next, left)
		part, at := t.data[t.next:t.next+n], t.loan.addr+uint64(t.next)
		var err error
		if t.send {
			err = l.root.write(at, part)
		} else {
			err = l.root.read(part, at)
		}
		if err != nil {
			e.Fence(0, fmt.Errorf("mpi: moving payload %d of the root: %w", t.tag, err))
			return ended
		}
		left -= n
		if t.next += n; t.next == len(t.data) {
			l.ready = append(l.ready[:0], l.ready[1:]...)
			e.note(0, loan{id: t.loan.id, toRoot: t.loan.toRoot})
			e.release(t)
			ended++
		}
	}
	return ended
}
