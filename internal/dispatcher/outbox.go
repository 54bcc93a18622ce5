package dispatcher

import (
	"slices"

	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/internal/transport"
	"github.com/wasmpool/wasmpool/internal/wire"
)

// An outbox sends frames to the workers. Calls are gathered: a worker's frame leaves when it
// is full or at the next flush, and everything else at once. It belongs to the loop.
type outbox struct {
	fail    func(error)    // told when an endpoint is broken
	touched []*worker      // those whose frame may be under construction
	writers []*wire.Writer // those that no worker has
	bytes   int64          // arguments added since takeBytes
	sharing *sharing
}

// add puts a call into the frame for its worker, and tells the worker about the task if
// need be. Only a frame of one call is longer than what leaves at once.
func (o *outbox) add(w *worker, c *Call) {
	o.announce(w, c.task)
	if p := c.head(); p != nil {
		o.addStretch(w, p)
		return
	}
	one := wire.Call{
		Number: c.number, Ticket: c.ticket, Task: c.task.number, Attempt: c.attempt,
		Arg: c.data, ArgLen: int64(len(c.data)), Long: len(c.data) > wire.Inline,
	}
	if lender := w.fabric.lender; one.Long && lender != nil {
		one.Lent = lender.Lend(w.peer, c.ticket, c.data)
	}
	if c.options != nil {
		one.Limits = c.options.wireLimits()
		if set := c.options.Shared; set != nil {
			one.Shared = o.announceShared(w, set)
		}
	}
	o.frame(w, one.Size()).AddCall(&one)
	o.bytes += int64(len(c.data))
}

// addStretch is add for calls of a block, which find room in a frame.
func (o *outbox) addStretch(w *worker, p *stretch) {
	h, args := &p.head, p.block.data[p.at:][:p.n]
	one := wire.Call{Number: h.number, Ticket: h.ticket, Task: h.task.number, Attempt: h.attempt}
	o.frame(w, wire.BlockSize(len(args), int(h.size))).AddBlock(&one, args)
	o.bytes += h.size
}

// frame returns the frame for a worker, in which there is room for an entry of n bytes.
func (o *outbox) frame(w *worker, n int) *wire.Writer {
	if w.out != nil && w.out.Len()+n > transport.EagerFrame {
		o.sendCalls(w)
	}
	if w.out == nil {
		w.out = o.takeWriter()
		o.touched = append(o.touched, w)
	}
	return w.out
}

// takeBytes returns how many bytes of arguments were added since it was last called.
func (o *outbox) takeBytes() int64 {
	n := o.bytes
	o.bytes = 0
	return n
}

// flush sends the frames under construction.
func (o *outbox) flush() {
	for _, w := range o.touched {
		if w.out != nil {
			o.sendCalls(w)
		}
	}
	o.touched = o.touched[:0]
}

func (o *outbox) sendCalls(w *worker) {
	o.send(w, w.out.Frame())
	o.writers = append(o.writers, w.out)
	w.out = nil
}

// takeWriter returns a calls frame to be filled, the one that was sent last if it can: its
// memory is in the cache, and the workers need none of their own.
func (o *outbox) takeWriter() *wire.Writer {
	var out *wire.Writer
	if n := len(o.writers); n > 0 {
		out, o.writers = o.writers[n-1], o.writers[:n-1]
	} else {
		out = new(wire.Writer)
	}
	out.Reset(wire.TypeCalls)
	return out
}

// send sends a frame, unless its worker is lost.
func (o *outbox) send(w *worker, frame []byte) {
	if w.lost {
		return
	}
	if err := w.fabric.ep.Send(w.peer, frame); err != nil {
		o.fail(err)
	}
}

// control sends a control frame. It overtakes calls that were not flushed.
func (o *outbox) control(w *worker, typ wire.Type, v any) {
	frame, err := wire.Control(typ, v)
	if err != nil {
		o.fail(err)
		return
	}
	o.send(w, frame)
}

// order makes workers end calls that they have.
func (o *outbox) order(calls []*Call, kind host.Kind, reason string) {
	if len(calls) == 0 {
		return
	}
	byWorker := make(map[*worker][]uint64)
	for _, c := range calls {
		byWorker[c.worker] = c.appendNumbers(byWorker[c.worker])
	}
	o.flush() // the order must not be faster than the call
	for w, numbers := range byWorker {
		for part := range slices.Chunk(numbers, wire.MaxKill) {
			o.control(w, wire.TypeKill, wire.Kill{Calls: part, Kind: uint8(kind), Reason: wire.Shortened(reason, wire.MaxReason)})
		}
	}
}

// announce tells w about a task that it has not seen yet, and its module.
func (o *outbox) announce(w *worker, t *Task) {
	if w.tasks.has(t.number) {
		return
	}
	w.tasks.add(t.number)
	m := t.module
	for int(m.index) >= len(w.modules) {
		w.modules = append(w.modules, nil)
	}
	if w.modules[m.index] == nil {
		w.modules[m.index] = m
		o.control(w, wire.TypeModule, wire.Module{
			Index: m.index, Name: m.source.Name(), Digest: m.source.Digest().String(), Size: int64(len(m.source.Bytes())),
		})
	}
	o.control(w, wire.TypeTasks, wire.Tasks{Tasks: []wire.Task{{Task: t.number, Module: m.index, Export: t.export}}})
}
