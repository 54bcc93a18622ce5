package bench

import (
	"errors"

	"github.com/wasmpool/wasmpool/internal/transport"
	"github.com/wasmpool/wasmpool/internal/wire"
)

const (
	// instantNanos is how long the workers of an instantEndpoint say that a call
	// took. It keeps a root from sending calls by the hundred, so that a frame
	// holds as many with few workers as with many.
	instantNanos = 1_000_000

	// instantBatch is how many frames arrive at once, however many workers
	// there are.
	instantBatch = 8
)

// An instantEndpoint is a root's endpoint whose workers answer each
// call with its argument before Send returns. It implements
// [transport.Endpoint]. The workers have no memory of their own, which would
// count as the root's.
type instantEndpoint struct {
	workers int
	bell    *transport.Bell
	answers []answer // the oldest first, from at on
	at      int
	frames  []byte // theirs, one after the other, from read on
	read    int
	out     wire.Writer
	lens    []uint16 // of a block
}

// An answer is a frame that a worker has sent.
type answer struct {
	from   int
	length int
}

// newInstantEndpoint returns an endpoint whose workers have just said hello.
func newInstantEndpoint(workers int, bell *transport.Bell) *instantEndpoint {
	e := &instantEndpoint{workers: workers, bell: bell}
	hello, err := wire.Control(wire.TypeHello, wire.Hello{Host: "nowhere", Slots: 1})
	if err != nil {
		hello = nil // the root will say that the frame is empty
	}
	for rank := 1; rank <= workers; rank++ {
		e.answer(rank, hello)
	}
	return e
}

// answer queues a frame of a worker.
func (e *instantEndpoint) answer(from int, frame []byte) {
	e.answers = append(e.answers, answer{from, len(frame)})
	e.frames = append(e.frames, frame...)
}

func (e *instantEndpoint) Send(to int, frame []byte) error {
	typ, count, body, err := wire.Header(frame)
	switch {
	case err != nil:
		return err
	case typ == wire.TypeTakeBack:
		e.out.Reset(wire.TypeReturned)
		e.answer(to, e.out.Frame())
		return nil
	case typ != wire.TypeCalls:
		return nil
	}
	e.out.Reset(wire.TypeResults)
	r := wire.NewReader(count, body)
	var c wire.Call
	for r.NextCall(&c) {
		if c.Count > 0 {
			e.lens = e.lens[:0]
			for i := range c.Count {
				e.lens = append(e.lens, uint16(c.Lens.At(i)))
			}
			e.out.AddResults(&wire.Result{Ticket: c.Ticket, Gen: uint32(c.Number), Nanos: instantNanos, Data: c.Arg}, e.lens)
			continue
		}
		e.out.AddResult(&wire.Result{Ticket: c.Ticket, Gen: uint32(c.Number), Nanos: instantNanos, Data: c.Arg})
	}
	e.answer(to, e.out.Frame())
	return r.Err()
}

func (e *instantEndpoint) Poll(h transport.Handler) (int, error) {
	n := min(len(e.answers)-e.at, instantBatch)
	for range n {
		a := e.answers[e.at]
		e.at++
		frame := e.frames[e.read:][:a.length]
		e.read += a.length
		h.Frame(a.from, frame)
	}
	if e.at > len(e.answers)/2 {
		e.answers, e.at = append(e.answers[:0], e.answers[e.at:]...), 0
		e.frames, e.read = append(e.frames[:0], e.frames[e.read:]...), 0
	}
	return n, nil
}

// errNoPayloads ends payloads: these workers take none.
var errNoPayloads = errors.New("bench: instant workers have no payloads")

func (e *instantEndpoint) SendPayload(_ int, _ uint32, _ []byte, done func(error)) {
	done(errNoPayloads)
}

func (e *instantEndpoint) RecvPayload(_ int, _ uint32, _ []byte, done func(error)) {
	done(errNoPayloads)
}

func (e *instantEndpoint) Rank() int     { return 0 }
func (e *instantEndpoint) Size() int     { return e.workers + 1 }
func (e *instantEndpoint) Pending() bool { return false }
func (e *instantEndpoint) Doze()         {}

// Fence implements [transport.Endpoint]; nobody is lost here.
func (e *instantEndpoint) Fence(int, error) {}

func (e *instantEndpoint) Bell() *transport.Bell { return e.bell }
func (e *instantEndpoint) Close() error          { return nil }
