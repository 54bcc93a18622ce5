// Package seal makes the frames of an endpoint notice what should never happen to
// them: each carries its number and a checksum, so that one that is missing,
// doubled, cut or changed is found. The peer is fenced then: its calls run again
// elsewhere, and nobody waits for what will not come.
//
// Payloads pass as they are: they are as long as memory, and MPI does not lose
// messages of a link that lives.
package seal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/wasmpool/wasmpool/internal/transport"
)

// ErrBroken is matched by the cause with which a peer is fenced.
var ErrBroken = errors.New("seal: frames were lost or changed on their way")

// sealLen is how many bytes a seal has; fabrics take no more.
const (
	sealLen = 13
	_       = uint(transport.Overhead - sealLen)
)

// A seal is the last sealLen bytes of a frame: what the frame is, how many its
// sender has sent to this peer with it, how many it has received, and a CRC-32C of
// all that.
const (
	atType     = 0
	atSent     = 1
	atReceived = 5
	atSum      = 9
)

// Types of sealed frames. The last two have no body and do not count.
const (
	typeFrame    = 1 + iota
	typeQuestion // what have you received?
	typeAnswer
)

// patience is how long a frame may be without an acknowledgement before its
// sender asks. A frame that is lost when no other follows is found so.
const patience = 2 * time.Second

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// New returns ep with sealed frames. Both ends must be sealed.
func New(ep transport.Endpoint) transport.Endpoint {
	return &endpoint{Wrapper: transport.Wrapper{Endpoint: ep}, links: make([]link, ep.Size())}
}

// An endpoint seals the frames of the one beneath. Its owner is the same.
type endpoint struct {
	transport.Wrapper
	handler transport.Handler // of the Poll under way
	links   []link            // by rank
	dozes   bool              // who polls will sleep then
	unsure  int               // links with frames that were not acknowledged
	looked  time.Time         // when those were last gone through
	scratch []byte
}

// A link counts the frames exchanged with one peer. The counts wrap.
type link struct {
	sent, received uint32
	acknowledged   uint32    // of those sent
	since          time.Time // when there was last news of them
	broken         bool      // a frame was wrong: nothing that follows counts
}

func (e *endpoint) Send(to int, frame []byte) error {
	if len(frame) == 0 || len(frame) > transport.FrameCap {
		return fmt.Errorf("seal: a frame of %d bytes; 1 to %d are allowed", len(frame), transport.FrameCap)
	}
	if to < 0 || to >= len(e.links) {
		return e.Endpoint.Send(to, frame) // it says what is wrong
	}
	l := &e.links[to]
	if l.sent == l.acknowledged {
		e.unsure++
		l.since = time.Now()
	}
	l.sent++
	return e.send(to, typeFrame, frame)
}

func (e *endpoint) send(to int, kind byte, body []byte) error {
	l := &e.links[to]
	b := append(append(e.scratch[:0], body...), kind)
	b = binary.LittleEndian.AppendUint32(b, l.sent)
	b = binary.LittleEndian.AppendUint32(b, l.received)
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	e.scratch = b
	return e.Endpoint.Send(to, b)
}

func (e *endpoint) Poll(h transport.Handler) (int, error) {
	e.handler = h
	n, err := e.Endpoint.Poll(e)
	if n == 0 && err == nil && e.unsure > 0 && !e.dozes {
		e.ask()
	}
	e.dozes = false
	return n, err
}

// Doze implements [transport.Endpoint]. Who sends after it does not sleep.
func (e *endpoint) Doze() {
	e.dozes = true
	e.Endpoint.Doze()
}

// ask has the peers that were silent for long say what they have received.
func (e *endpoint) ask() {
	now := time.Now()
	if now.Sub(e.looked) < patience/2 {
		return
	}
	e.looked = now
	for rank := range e.links {
		if l := &e.links[rank]; l.sent != l.acknowledged && now.Sub(l.since) >= patience {
			l.since = now
			e.check(rank, e.send(rank, typeQuestion, nil))
		}
	}
}

// check fences a peer when there is an error.
func (e *endpoint) check(rank int, err error) {
	if err != nil {
		e.Fence(rank, fmt.Errorf("%w: %w", ErrBroken, err))
	}
}

// Lost implements [transport.Handler].
func (e *endpoint) Lost(rank int, err error) {
	e.acknowledge(&e.links[rank], e.links[rank].sent)
	e.handler.Lost(rank, err)
}

// Frame implements [transport.Handler].
func (e *endpoint) Frame(from int, frame []byte) {
	l := &e.links[from]
	if l.broken {
		return
	}
	kind, body, err := e.unseal(l, frame)
	switch {
	case err != nil:
		l.broken = true
		e.check(from, err)
	case kind == typeFrame:
		e.handler.Frame(from, body)
	case kind == typeQuestion:
		e.check(from, e.send(from, typeAnswer, nil))
	}
}

// unseal checks a frame and takes its seal off.
func (e *endpoint) unseal(l *link, frame []byte) (kind byte, body []byte, err error) {
	n := len(frame) - sealLen
	if n < 0 {
		return 0, nil, fmt.Errorf("%d bytes are no frame", len(frame))
	}
	seal := frame[n:]
	if crc32.Checksum(frame[:n+atSum], castagnoli) != binary.LittleEndian.Uint32(seal[atSum:]) {
		return 0, nil, fmt.Errorf("the checksum of a frame of %d bytes is wrong", n)
	}
	kind = seal[atType]
	if kind == typeFrame {
		l.received++
	}
	if sent := binary.LittleEndian.Uint32(seal[atSent:]); sent != l.received {
		return 0, nil, fmt.Errorf("it says that it has sent %d frames, %d are here", sent, l.received)
	}
	received := binary.LittleEndian.Uint32(seal[atReceived:])
	if received-l.acknowledged > l.sent-l.acknowledged {
		return 0, nil, fmt.Errorf("it says that it has received %d frames, %d were sent", received, l.sent)
	}
	e.acknowledge(l, received)
	return kind, frame[:n:n], nil
}

// acknowledge notes what a peer has received.
func (e *endpoint) acknowledge(l *link, received uint32) {
	if received == l.acknowledged {
		return
	}
	l.acknowledged = received
	if l.sent == received {
		e.unsure--
		return
	}
	l.since = e.looked // later than it was; the clock is not read for each frame
}
