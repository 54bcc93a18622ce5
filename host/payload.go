package host

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/wasmpool/wasmpool/internal/transport"
	"github.com/wasmpool/wasmpool/internal/wire"
)

const (
	// bufferedPayload is the longest payload that takes the way through a buffer
	// of the worker: an argument is fetched while the calls before it run, and a
	// result leaves while those after it do. A longer one goes straight to or from
	// guest memory while the slot waits: there the copy would cost more than the
	// wait.
	bufferedPayload = 256 << 10

	// mostBuffered bounds the bytes in buffers, in each direction.
	mostBuffered = 16 << 20

	// borrowAtOnce is how many bytes are copied before a look whether the call is to
	// end.
	borrowAtOnce = 4 << 20

	// keepBuffers is how many buffers are kept for the next payloads.
	keepBuffers = 16
)

// A transfer is a payload under way. Its fields are guarded by the server's io.
type transfer struct {
	done bool
	err  error
	free func() // what is to be done then, when nobody waits any more
}

// finish returns the callback that ends a transfer and frees its id. The
// endpoint calls it while io is held.
func (s *server) finish(t *transfer, id uint32) func(error) {
	return func(err error) {
		s.payloads = append(s.payloads, id)
		t.done, t.err = true, err
		if t.free != nil && err == nil {
			t.free()
		}
	}
}

// A fetch is an argument that is on its way into a buffer. Its fields are
// guarded by the server's io.
type fetch struct {
	transfer
	id      uint32
	buf     []byte
	dropped bool        // nobody wants it any more
	arrived func(error) // its end
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

// fetchArg starts to fetch a long argument before its call runs. It returns nil
// when the slot should do it itself. io is held.
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
		s.fail(fmt.Errorf("host: sending a pull frame: %w", err))
	}
	s.pulls.Reset(wire.KindPull)
}

// dropFetch says that nobody will read the fetch, which may be nil. io is held.
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
		r.s.standby.heed()
	}
	for len(dst) > 0 {
		if ended := r.slot.ended(); ended != nil {
			return ended
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

// await moves the transfer of an argument until it is done, or the call is to
// end. One that goes directly to guest memory then frees it when the transport
// has let go of it.
func (r *runner) await(t *transfer, direct []byte) error {
	s := r.s
	var spinner transport.Spinner
	for {
		ended := r.slot.ended()
		s.io.Lock()
		done, err := t.done, t.err
		switch {
		case direct == nil || done && err == nil:
		case done:
			r.slot.giveUpMemory(direct) // for ever
		case ended != nil:
			t.free = r.slot.giveUpMemory(direct)
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

var errTooManyPayloads = errors.New("host: too many payloads are under way")

// sendLong sends a long result. It returns when the instance may be used again.
func (s *server) sendLong(slot *Slot, res *wire.Result, data []byte) {
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
	s.desk.put(res) // before another slot can get the id again
	s.io.Unlock()
	if buffered && s.desk.waiting() {
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
	left func(error) // its end
}

// newPost returns a post that was used before, or another. io is held.
func (s *server) newPost() *post {
	if n := len(s.posts); n > 0 {
		p := s.posts[n-1]
		s.posts = s.posts[:n-1]
		return p
	}
	p := new(post)
	p.left = func(error) { // it is of a lost root, which is reported apart
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

// drainPosts waits until as much has left as there is of results in buffers. A slot calls
// it before it runs a call so long that they would wait for it. It does not wait for what
// others post meanwhile, which may never end.
func (s *server) drainPosts() {
	var wait patience
	s.io.Lock()
	defer s.io.Unlock()
	for until := s.left + s.posted; s.left < until && !s.done(); {
		s.io.Unlock()
		wait.turn(s.step())
		s.io.Lock()
	}
}

// offer remembers a result that the root was told of and has to take. io is held.
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
	if err := wire.Decode(wire.KindTake, body, &take); err != nil {
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

// A patience says how a slot waits for what only moves while somebody polls, and may
// have to wait for the root.
type patience struct {
	spinner transport.Spinner
	since   time.Time // when something last moved
}

// turn ends a poll that moved something or not.
func (p *patience) turn(moved bool) {
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
	sendSpin = 2 * time.Millisecond  // for so long a slot polls without a pause
	longWait = 50 * time.Millisecond // from then on its pauses are long
	longNap  = time.Millisecond
)

// drive moves the transfer of a result until it is done. When the server ends before,
// or the root is lost, the transport may go on reading the memory, so that stays.
func (s *server) drive(t *transfer, slot *Slot, data []byte) error {
	var wait patience
	for {
		moved := s.step()
		ended := s.done()
		s.io.Lock()
		done, err := t.done, t.err
		s.io.Unlock()
		if done && err != nil || !done && ended {
			slot.giveUpMemory(data) // for ever
			return err
		}
		if done {
			return err
		}
		wait.turn(moved)
	}
}

// takePayload returns a payload id that is not in use. io is held.
func (s *server) takePayload() (uint32, bool) {
	n := len(s.payloads)
	if n == 0 {
		return 0, false
	}
	id := s.payloads[n-1]
	s.payloads = s.payloads[:n-1]
	return id, true
}

// buffer returns a buffer of n bytes. io is held.
func (s *server) buffer(n int) []byte {
	for i := len(s.buffers) - 1; i >= 0; i-- {
		if b := s.buffers[i]; cap(b) >= n {
			s.buffers = slices.Delete(s.buffers, i, i+1)
			return b[:n]
		}
	}
	return make([]byte, n)
}

// giveBuffer takes back what buffer returned, or lets go the one that was kept
// for longest. io is held.
func (s *server) giveBuffer(b []byte) {
	if len(s.buffers) == keepBuffers {
		s.buffers = slices.Delete(s.buffers, 0, 1)
	}
	s.buffers = append(s.buffers, b)
}
