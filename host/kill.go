package host

import (
	"errors"

	"github.com/wasmpool/wasmpool/internal/wire"
)

// errStopped ends what still runs when the root stopped the pool.
var errStopped = errors.New("host: the pool is shut down")

// handleKill ends calls. Those that wait are answered at once, those that run as
// soon as their guests have ended. io is held.
func (s *server) handleKill(body []byte) error {
	var kill wire.Kill
	if err := wire.Decode(wire.KindKill, body, &kill); err != nil {
		return err
	}
	numbers := make(map[uint64]bool, len(kill.Calls))
	for _, n := range kill.Calls {
		numbers[n] = true
	}
	failure := encodeFailure(&Error{Kind: Kind(kill.Kind), Message: kill.Reason})
	s.desk.kill(numbers, failure, s.dropFetch)
	for _, r := range s.runners { // those that do not wait run, are about to, or have ended
		if n := s.desk.taken(r); numbers[n] {
			r.slot.Stop(n, Kind(kill.Kind), kill.Reason)
		}
	}
	return nil
}

// taken returns the number of the call that a slot took last, 0 for none.
func (d *desk) taken(r *runner) uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return r.current.number
}

// kill answers those of the calls that wait with failure, and takes them out of
// numbers.
func (d *desk) kill(numbers map[uint64]bool, failure []byte, drop func(*fetch)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls.each(func(c *deskCall) {
		if c.killed || !numbers[c.number] {
			return
		}
		delete(numbers, c.number)
		drop(c.fetch)
		c.killed, c.fetch = true, nil
		d.append(&wire.Result{Ticket: c.ticket, Gen: uint32(c.number), Failed: true, Data: failure})
	})
}
