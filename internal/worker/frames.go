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
	typ, count, body, err := wire.Header(frame)
	if err != nil {
		return err
	}
	switch typ {
	case wire.TypeCalls:
		err := s.backlog.add(s.tasks, &s.shared, count, body, s.fetchArg)
		s.sendPulls()
		return err
	case wire.TypeModule:
		return s.handleModule(body)
	case wire.TypeTasks:
		return s.handleTasks(body)
	case wire.TypeShared:
		return s.handleShared(body)
	case wire.TypeGive:
		return s.handleGive(body)
	case wire.TypeTakeBack:
		return s.handleTakeBack(body)
	case wire.TypeKill:
		return s.handleKill(body)
	case wire.TypeTake:
		return s.handleTake(body)
	case wire.TypeAsk:
		s.send(wire.TypeStatus, s.status())
		return nil
	case wire.TypeWatch:
		return s.handleWatch(body)
	case wire.TypeStop:
		s.stop(errStopped)
		return nil
	default:
		return fmt.Errorf("a worker does not expect a %s frame", typ)
	}
}

// handleWatch takes in whether somebody watches the pool.
func (s *server) handleWatch(body []byte) error {
	var watch wire.Watch
	err := wire.Decode(wire.TypeWatch, body, &watch)
	s.watched.Store(watch.On)
	return err
}

// handleTakeBack returns calls to the root that no slot has started, newest first. io
// is held.
func (s *server) handleTakeBack(body []byte) error {
	var ask wire.TakeBack
	if err := wire.Decode(wire.TypeTakeBack, body, &ask); err != nil {
		return err
	}
	var w wire.Writer
	w.Reset(wire.TypeReturned)
	for left := min(ask.Max, wire.MaxReturned); left > 0; {
		c, taken := s.backlog.takeBack(left)
		if taken.count == 0 {
			break
		}
		s.dropFetch(c.fetch)
		w.AddTicket(c.ticket, uint32(taken.first), uint32(taken.count))
		left -= taken.count
	}
	return s.ep.Send(0, w.Frame())
}
