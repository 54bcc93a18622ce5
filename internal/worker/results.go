package worker

import (
	"fmt"
	"time"

	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/internal/transport"
	"github.com/wasmpool/wasmpool/internal/wire"
)

// sendLong sends a long result. It returns when the instance may be used again.
func (s *server) sendLong(slot *host.Slot, res *wire.Result, data []byte) {
	res.Data, res.Long, res.Len = nil, true, int64(len(data))
	var t transfer
	s.io.Lock()
	id, ok := s.takePayload()
	buffered := ok && len(data) <= bufferedPayload && s.posted+int64(len(data)) <= mostBuffered
	switch {
	case buffered:
		s.post(id, data)
	case ok && len(data) >= wire.AskFirst:
		s.offer(&t, id, data)
	case ok:
		s.ep.SendPayload(0, id, data, s.finish(&t, id))
	default:
		res.Long, res.Failed, res.Data = false, true, encodeFailure(errTooManyPayloads)
	}
	res.Payload = id
	s.backlog.put(res) // before another slot can get the id again
	s.io.Unlock()
	if buffered && s.backlog.waiting() {
		return // it leaves with others, as short results do
	}
	s.step()
	if !ok || buffered {
		return
	}
	if err := s.drive(&t, slot, data); err != nil {
		s.cfg.Logger.Warn("sending a result", "error", err) // the root is lost, or drops the call
	}
}

// A post is a result that leaves from a buffer. Its fields are guarded by the
// server's io.
type post struct {
	id   uint32
	buf  []byte
	left func(error) // is called at its end
}

// newPost returns a post that was used before, or another. io is held.
func (s *server) newPost() *post {
	if n := len(s.posts); n > 0 {
		p := s.posts[n-1]
		s.posts = s.posts[:n-1]
		return p
	}
	p := new(post)
	p.left = func(error) { // an error is that of a lost root, which is reported elsewhere
		s.payloads = append(s.payloads, p.id)
		s.posted -= int64(len(p.buf))
		s.left += int64(len(p.buf))
		s.giveBuffer(p.buf)
		p.buf = nil
		s.posts = append(s.posts, p)
	}
	return p
}

// post sends a copy of data. io is held.
func (s *server) post(id uint32, data []byte) {
	p := s.newPost()
	p.id, p.buf = id, s.buffer(len(data))
	copy(p.buf, data)
	s.posted += int64(len(data))
	s.ep.SendPayload(0, id, p.buf, p.left)
}

// drainPosts waits until the results that are in buffers now have left. A runner calls it
// before it runs a call so long that they would have to wait for it. It does not wait for
// what other runners post meanwhile, which may never end.
func (s *server) drainPosts() {
	var wait pacer
	s.io.Lock()
	defer s.io.Unlock()
	for until := s.left + s.posted; s.left < until && !s.ended(); {
		s.io.Unlock()
		wait.turn(s.step())
		s.io.Lock()
	}
}

// offer remembers a result that the root is told of first, and then takes or refuses: see
// handleTake. io is held.
func (s *server) offer(t *transfer, id uint32, data []byte) {
	if s.offers == nil {
		s.offers = map[uint32]func(refused bool){}
	}
	s.offers[id] = func(refused bool) {
		finish := s.finish(t, id)
		if refused {
			finish(nil)
			return
		}
		s.ep.SendPayload(0, id, data, finish)
	}
}

// handleTake sends a result that was offered, or forgets it. io is held.
func (s *server) handleTake(body []byte) error {
	var take wire.Take
	if err := wire.Decode(wire.TypeTake, body, &take); err != nil {
		return err
	}
	answered := s.offers[take.Payload]
	if answered == nil {
		return fmt.Errorf("payload %d was not offered", take.Payload)
	}
	delete(s.offers, take.Payload)
	answered(take.Refused)
	return nil
}

// A pacer paces the polls of a runner that waits for what moves only while it polls, and
// perhaps only when the root does something: the longer nothing moves, the fewer.
type pacer struct {
	spinner transport.Spinner
	since   time.Time // when something last moved
}

// turn makes the pause after a poll, which moved something or not.
func (p *pacer) turn(moved bool) {
	switch {
	case moved || p.since.IsZero():
		p.since = time.Now()
	case time.Since(p.since) > longWait:
		transport.Nap(longNap)
	case time.Since(p.since) > sendSpin:
		transport.Nap(sendNap)
	default:
		p.spinner.Turn()
	}
}

const (
	sendSpin = 2 * time.Millisecond  // for so long a runner polls without a pause
	longWait = 50 * time.Millisecond // from then on its pauses are long
	longNap  = time.Millisecond
)

// drive moves the transfer of a result, which lies in the slot's memory, until it is done.
// When the server ends before, or the root is lost, the transport may go on reading that
// memory, so it is kept.
func (s *server) drive(t *transfer, slot *host.Slot, data []byte) error {
	var wait pacer
	for {
		moved := s.step()
		ended := s.ended()
		s.io.Lock()
		done, err := t.done, t.err
		s.io.Unlock()
		if done && err != nil || !done && ended {
			slot.Keep(data) // for ever
			return err
		}
		if done {
			return err
		}
		wait.turn(moved)
	}
}
