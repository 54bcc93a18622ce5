package worker

import (
	"github.com/wasmpool/wasmpool/internal/transport"
	"github.com/wasmpool/wasmpool/internal/wire"
)

// borrowAtOnce is how many bytes of a lent argument are copied before a look whether the
// call is to end.
const borrowAtOnce = 4 << 20

// A fetch is an argument that is on its way into a buffer, before its call runs. Its fields
// are guarded by the server's io.
type fetch struct {
	transfer
	id      uint32
	buf     []byte
	dropped bool        // its call does not need it any more
	arrived func(error) // is called at its end
}

// newFetch returns a fetch that was used before, or another. io is held.
func (s *server) newFetch() *fetch {
	if n := len(s.fetches); n > 0 {
		f := s.fetches[n-1]
		s.fetches = s.fetches[:n-1]
		return f
	}
	f := new(fetch)
	f.arrived = func(err error) {
		s.payloads = append(s.payloads, f.id)
		f.done, f.err = true, err
		if f.dropped {
			s.freeFetch(f)
		}
	}
	return f
}

// fetchArg begins to fetch a long argument before its call runs. It returns nil
// when the runner should do that itself, while the call runs. io is held.
func (s *server) fetchArg(c *wire.Call) *fetch {
	if c.ArgLen > bufferedPayload || s.fetched+c.ArgLen > mostBuffered {
		return nil
	}
	id, ok := s.takePayload()
	if !ok {
		return nil
	}
	f := s.newFetch()
	f.id, f.buf = id, s.buffer(int(c.ArgLen))
	s.fetched += c.ArgLen
	s.ep.RecvPayload(0, id, f.buf, f.arrived)
	s.pulls.AddPull(wire.Pull{Ticket: c.Ticket, Gen: uint32(c.Number), Payload: id})
	return f
}

// sendPulls asks for the arguments whose fetch was begun. io is held.
func (s *server) sendPulls() {
	if s.pulls.Count() == 0 {
		return
	}
	if err := s.ep.Send(0, s.pulls.Frame()); err != nil {
		s.fail("sending a pull frame: %w", err)
	}
	s.pulls.Reset(wire.TypePull)
}

// dropFetch says that no call will read the fetch, which may be nil. io is held.
func (s *server) dropFetch(f *fetch) {
	switch {
	case f == nil:
	case f.done:
		s.freeFetch(f)
	default:
		f.dropped = true
	}
}

func (s *server) freeFetch(f *fetch) {
	s.fetched -= int64(len(f.buf))
	s.giveBuffer(f.buf)
	*f = fetch{arrived: f.arrived}
	s.fetches = append(s.fetches, f)
}

// readArg moves the current call's long argument into dst, which is guest
// memory: straight from the caller's slice on the root, or out of the buffer it
// was fetched into.
func (r *runner) readArg(dst []byte) error {
	s := r.s
	if r.current.lent != 0 && s.borrower != nil {
		return r.borrow(dst, r.current.lent)
	}
	if f := r.current.fetch; f != nil {
		if err := r.await(&f.transfer, nil); err != nil {
			return err
		}
		copy(dst, f.buf)
		return nil
	}
	var t transfer
	s.io.Lock()
	id, ok := s.takePayload()
	if ok {
		s.ep.RecvPayload(0, id, dst, s.finish(&t, id))
		s.pulls.AddPull(wire.Pull{Ticket: r.current.ticket, Gen: uint32(r.current.number), Payload: id})
		s.sendPulls()
	}
	s.io.Unlock()
	if !ok {
		return errTooManyPayloads
	}
	return r.await(&t, dst)
}

// borrow copies a lent argument, in pieces so that the call can be ended.
func (r *runner) borrow(dst []byte, at uint64) error {
	if len(dst) > borrowAtOnce {
		r.s.watchdog.lookAfter()
	}
	for len(dst) > 0 {
		if err := r.slot.Err(); err != nil {
			return err
		}
		n := min(len(dst), borrowAtOnce)
		if err := r.s.borrower.Borrow(dst[:n], at); err != nil {
			r.s.io.Lock()
			defer r.s.io.Unlock()
			r.s.ep.Fence(0, err)
			return err
		}
		dst, at = dst[n:], at+uint64(n)
	}
	return nil
}

// await moves the transfer of an argument until it is done, or the call is to end. direct
// is the guest memory that it goes to, nil for a buffer. When the call ends first, that
// memory is kept until the transport has let go of it.
func (r *runner) await(t *transfer, direct []byte) error {
	s := r.s
	var spinner transport.Spinner
	for {
		ended := r.slot.Err()
		s.io.Lock()
		done, err := t.done, t.err
		switch {
		case direct == nil || done && err == nil:
		case done:
			r.slot.Keep(direct) // for ever
		case ended != nil:
			t.free = r.slot.Keep(direct)
		}
		s.io.Unlock()
		switch {
		case ended != nil:
			return ended
		case done:
			return err
		case !s.step():
			spinner.Turn()
		}
	}
}
