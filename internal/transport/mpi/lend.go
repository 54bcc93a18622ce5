//go:build mpi

package mpi

import "runtime"

// A standing loan is the root's memory that a worker may read when it likes: it
// takes no message, only an address in a frame.
type standing struct {
	to   int // 0 for none
	data []byte
	pin  runtime.Pinner
}

// Lend implements [transport.Lender].
func (e *endpoint) Lend(to int, id uint32, data []byte) uint64 {
	if e.closed || e.rank != 0 || to < 1 || to >= e.size || e.lost[to] || !e.loans.with[to] || len(data) == 0 {
		return 0
	}
	l := &e.loans
	for int(id) >= len(l.standing) {
		l.standing = append(l.standing, standing{})
	}
	s := &l.standing[id]
	s.end()
	s.to, s.data = to, data
	s.pin.Pin(&data[0])
	return address(data)
}

// Reclaim implements [transport.Lender].
func (e *endpoint) Reclaim(id uint32) {
	if int(id) < len(e.loans.standing) {
		e.loans.standing[id].end()
	}
}

func (s *standing) end() {
	if s.to != 0 {
		s.pin.Unpin()
		s.to, s.data = 0, nil
	}
}

// endStanding ends what a rank, or with 0 any, was lent.
func (e *endpoint) endStanding(to int) {
	for i := range e.loans.standing {
		if s := &e.loans.standing[i]; to == 0 || s.to == to {
			s.end()
		}
	}
}

// Borrow implements [transport.Borrower].
func (e *endpoint) Borrow(dst []byte, at uint64) error {
	root := memory{pid: e.loans.root.pid} // of its own, as there may be several at once
	return root.read(dst, at)
}
