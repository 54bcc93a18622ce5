package host

import (
	"errors"

	"github.com/wasmpool/wasmpool/internal/transport"
	"github.com/wasmpool/wasmpool/internal/wire"
)

// A transfer is a payload under way. Its fields are guarded by the server's io.
type transfer struct {
	done bool
	err  error
}

// finish returns the callback that ends a transfer and frees its id. The
// endpoint calls it while io is held.
func (s *server) finish(t *transfer, id uint32) func(error) {
	return func(err error) {
		s.payloads = append(s.payloads, id)
		t.done, t.err = true, err
	}
}

// readArg fetches the current call's long argument into dst, which is guest
// memory: the bytes go there straight from the caller's slice on the root.
func (r *runner) readArg(dst []byte) error {
	s := r.s
	var t transfer
	s.io.Lock()
	id, ok := s.takePayload()
	if ok {
		s.ep.RecvPayload(0, id, dst, s.finish(&t, id))
		s.send(wire.KindPull, wire.Pull{Ticket: r.current.ticket, Gen: uint32(r.current.number), Payload: id})
	}
	s.io.Unlock()
	if !ok {
		return errors.New("host: too many payloads are under way")
	}
	return s.drive(&t)
}

// sendLong sends a long result straight from guest memory. It returns when the
// instance may be used again.
func (s *server) sendLong(res *wire.Result, data []byte) {
	var t transfer
	s.io.Lock()
	id, ok := s.takePayload()
	if ok {
		s.ep.SendPayload(0, id, data, s.finish(&t, id))
	}
	s.io.Unlock()
	if !ok {
		res.Failed, res.Data = true, encodeFailure(errors.New("host: too many payloads are under way"))
		s.desk.put(res)
		return
	}
	res.Data, res.Long, res.Len, res.Payload = nil, true, int64(len(data)), id
	s.desk.put(res)
	if err := s.drive(&t); err != nil {
		s.cfg.Logger.Warn("sending a result", "error", err) // the root is lost, or drops the call
	}
}

// drive moves a transfer until it is done. It never leaves early, since the
// transport may still write to the guest's memory; the transport ends every
// transfer, with an error when the root is lost.
func (s *server) drive(t *transfer) error {
	var spinner transport.Spinner
	for {
		moved := s.step()
		s.io.Lock()
		done, err := t.done, t.err
		s.io.Unlock()
		if done {
			return err
		}
		if !moved {
			spinner.Turn()
		}
	}
}
