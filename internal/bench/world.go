package bench

import (
	"errors"

	"github.com/wasmpool/wasmpool/internal/transport"
	"github.com/wasmpool/wasmpool/internal/wire"
)

const (
	// instantNanos is how long the workers of an instantWorld say that a call
	// took. It keeps a root from sending calls by the hundred, so that a frame
	// holds as many with few workers as with many.
	instantNanos = 1_000_000

	// instantBatch is how many frames arrive at once, however many workers
	// there are.
	instantBatch = 8
)

// An instantWorld is a root's endpoint in a world whose workers answer each
// call with its argument before Send returns. It implements
// [transport.Endpoint]. The workers have no memory of their own, which would
// count as the root's.
type instantWorld struct {
	workers int
	bell    *transport.Bell
	answers []answer // the oldest first, from at on
	at      int
	frames  []byte // theirs, one after the other, from read on
	read    int
	out     wire.Writer
}

// An answer is a frame that a worker has sent.
type answer struct {
	from   int
	length int
}

// newInstantWorld returns a world whose workers have just said hello.
func newInstantWorld(workers int, bell *transport.Bell) *instantWorld {
	w := &instantWorld{workers: workers, bell: bell}
	hello, err := wire.Control(wire.KindHello, wire.Hello{Host: "nowhere", Slots: 1})
	if err != nil {
		hello = nil // the root will say that the frame is empty
	}
	for rank := 1; rank <= workers; rank++ {
		w.answer(rank, hello)
	}
	return w
}

// answer queues a frame of a worker.
func (w *instantWorld) answer(from int, frame []byte) {
	w.answers = append(w.answers, answer{from, len(frame)})
	w.frames = append(w.frames, frame...)
}

func (w *instantWorld) Send(to int, frame []byte) error {
	kind, count, body, err := wire.Header(frame)
	switch {
	case err != nil:
		return err
	case kind == wire.KindTakeBack:
		w.out.Reset(wire.KindReturned)
		w.answer(to, w.out.Frame())
		return nil
	case kind != wire.KindCalls:
		return nil
	}
	w.out.Reset(wire.KindResults)
	r := wire.NewReader(count, body)
	var c wire.Call
	for r.NextCall(&c) {
		w.out.AddResult(&wire.Result{Ticket: c.Ticket, Gen: uint32(c.Number), Nanos: instantNanos, Data: c.Arg})
	}
	w.answer(to, w.out.Frame())
	return r.Err()
}

func (w *instantWorld) Poll(h transport.Handler) (int, error) {
	n := min(len(w.answers)-w.at, instantBatch)
	for range n {
		a := w.answers[w.at]
		w.at++
		frame := w.frames[w.read:][:a.length]
		w.read += a.length
		h.Frame(a.from, frame)
	}
	if w.at > len(w.answers)/2 {
		w.answers, w.at = append(w.answers[:0], w.answers[w.at:]...), 0
		w.frames, w.read = append(w.frames[:0], w.frames[w.read:]...), 0
	}
	return n, nil
}

// errNoPayloads ends payloads: these workers take none.
var errNoPayloads = errors.New("bench: an instant world has no payloads")

func (w *instantWorld) SendPayload(_ int, _ uint32, _ []byte, done func(error)) { done(errNoPayloads) }

func (w *instantWorld) RecvPayload(_ int, _ uint32, _ []byte, done func(error)) { done(errNoPayloads) }

func (w *instantWorld) Rank() int     { return 0 }
func (w *instantWorld) Size() int     { return w.workers + 1 }
func (w *instantWorld) Pending() bool { return false }
func (w *instantWorld) Doze()         {}

// Fence implements [transport.Endpoint]; nobody is lost here.
func (w *instantWorld) Fence(int, error) {}

func (w *instantWorld) Bell() *transport.Bell { return w.bell }
func (w *instantWorld) Close() error          { return nil }
