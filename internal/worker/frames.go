package worker

import (
	"fmt"

	"github.com/wasmpool/wasmpool/internal/wire"
)

// Frame implements [transport.Handler]: it takes in one frame of the root. The
// caller of Poll holds io.
func (s *server) Frame(_ int, frame []byte) {
	if err := s.handle(frame); err != nil {
		s.fail("a frame of the root: %w", err)
	}
}

// handle does what a frame asks for. io is held.
func (s *server) handle(frame []byte) error {
	kind, count, body, err := wire.Header(frame)
	if err != nil {
		return err
	}
	switch kind {
	case wire.KindCalls:
		err := s.backlog.add(s.tasks, count, body, s.fetchArg)
		s.sendPulls()
		return err
	case wire.KindModule:
		return s.handleModule(body)
	case wire.KindTasks:
		return s.handleTasks(body)
	case wire.KindTakeBack:
		return s.handleTakeBack(body)
	case wire.KindKill:
		return s.handleKill(body)
	case wire.KindTake:
		return s.handleTake(body)
	case wire.KindAsk:
		s.send(wire.KindStatus, s.status())
		return nil
	case wire.KindStop:
		s.stop(errStopped)
		return nil
	default:
		return fmt.Errorf("a worker does not expect a %s frame", kind)
	}
}

// handleTakeBack returns calls to the root that no slot has started, newest first. io
// is held.
func (s *server) handleTakeBack(body []byte) error {
	var ask wire.TakeBack
	if err := wire.Decode(wire.KindTakeBack, body, &ask); err != nil {
		return err
	}
	var w wire.Writer
	w.Reset(wire.KindReturned)
	for range min(ask.Max, wire.MaxReturned) {
		c, ok := s.backlog.takeBack()
		if !ok {
			break
		}
		s.dropFetch(c.fetch)
		w.AddTicket(c.ticket, uint32(c.number))
	}
	return s.ep.Send(0, w.Frame())
}
