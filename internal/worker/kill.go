package worker

import (
	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/internal/wire"
)

// handleKill ends calls. Those that wait are answered at once, those that run as
// soon as their guests have ended. io is held.
func (s *server) handleKill(body []byte) error {
	var kill wire.Kill
	if err := wire.Decode(wire.TypeKill, body, &kill); err != nil {
		return err
	}
	numbers := make(map[uint64]bool, len(kill.Calls))
	for _, n := range kill.Calls {
		numbers[n] = true
	}
	failure := encodeFailure(&host.Error{Kind: host.Kind(kill.Kind), Message: kill.Reason})
	s.backlog.kill(numbers, failure, s.dropFetch)
	for _, r := range s.runners { // those that do not wait run, are about to, or have ended
		if n := s.backlog.taken(r); numbers[n] {
			r.slot.Stop(n, host.Kind(kill.Kind), kill.Reason)
		}
	}
	return nil
}

// taken returns the number of the call that a runner took last, 0 for none.
func (b *backlog) taken(r *runner) uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return r.current.number
}

// kill answers those of the calls that wait with failure, and takes them out of
// numbers. It gives up their arguments through drop.
func (b *backlog) kill(numbers map[uint64]bool, failure []byte, drop func(*fetch)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls.each(func(c *queuedCall) {
		if c.killed || !numbers[c.number] {
			return
		}
		delete(numbers, c.number)
		drop(c.fetch)
		c.killed, c.fetch = true, nil
		b.append(&wire.Result{Ticket: c.ticket, Gen: uint32(c.number), Failed: true, Data: failure})
	})
}
