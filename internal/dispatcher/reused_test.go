package dispatcher

import (
	"errors"
	"log/slog"
	"testing"

	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/internal/transport/mem"
	"github.com/wasmpool/wasmpool/internal/wire"
)

// A reuser is a sink that takes the outcomes of a block as soon as all are there, and hands it in once more at once, as the
// goroutines of a map may do before the loop gets any further.
type reuser struct {
	t       *testing.T
	d       *Dispatcher
	owner   *Owner
	task    *Task
	calls   int // of the block, when it is handed in again
	settled int // calls
	reused  bool
}

func (r *reuser) Settled(b *Block, _, n int, _ int64) bool {
	r.settled += n
	if count, _ := b.Len(); r.reused || b.Ready(0) < count {
		return false
	}
	for i := range b.Ready(0) {
		b.Take(i, nil) //nolint:errcheck // it is not what this is about
	}
	if !b.Spent() {
		r.t.Error("outcomes are missing")
	}
	r.reused, r.settled = true, 0
	r.handIn(b, r.calls)
	return false
}

// handIn hands in a block of so many calls, and closes it.
func (r *reuser) handIn(b *Block, calls int) {
	b.Prepare(r.owner, r.task, 0, nil, r, 0, calls)
	for range calls {
		b.Add([]byte("argument"))
	}
	if err := r.d.AddBlock(b); err != nil {
		r.t.Error(err)
	}
	r.d.Newest()
}

// newReuser returns a reuser, and the root's view of a worker of which a block of so many calls was sent.
func newReuser(t *testing.T, b *Block, calls int) (*reuser, *worker) {
	t.Helper()
	ep := mem.New(2).Endpoint(0)
	failure := errors.New("a failure")
	d := New(Config{
		QueueCalls: 1000, QueueBytes: 1 << 20, ResultBytes: 1 << 20, Bell: ep.Bell(), Logger: slog.New(slog.DiscardHandler),
		Fail:   func(Failure) error { return failure },
		KindOf: func(err error) (host.Kind, bool) { return host.KindLost, err == failure }, //nolint:errorlint // it is the very value
	})
	d.AddWorkers(ep, false)
	r := &reuser{t: t, d: d, owner: &Owner{Dispatcher: d}, task: &Task{name: "task", module: &module{}}}
	l := d.lock.loop
	f := l.fabrics[0]
	w := &worker{rank: 1, host: "node", slots: 1, fabric: f, peer: 1, modules: []*module{r.task.module}}
	w.tasks.add(0)
	f.workers[1] = w
	l.join(w)
	r.handIn(b, calls)
	l.takeIn()
	c := l.sched.queue.pop()
	c.claim()
	l.sched.send(w, c)
	return r, w
}

// checkFresh checks that nothing has happened to the block that was handed in again.
func (r *reuser) checkFresh(b *Block) {
	r.t.Helper()
	l := r.d.lock.loop
	if !r.reused {
		r.t.Fatal("the block was not used again")
	}
	if r.settled > 0 || b.unsettled != r.calls || b.whole.left != r.calls || b.whole.head.lost != 0 {
		r.t.Errorf("%d calls of the block that was handed in again are settled, %d are not, %d are open, lost %d", r.settled, b.unsettled, b.whole.left, b.whole.head.lost)
	}
	if l.sched.queue.n != 0 || l.sched.inflight != 0 {
		r.t.Errorf("%d calls wait, %d are in flight", l.sched.queue.n, l.sched.inflight)
	}
	if n := l.takeIn(); n != 1 || l.sched.queue.n != r.calls {
		r.t.Errorf("%d entries with %d calls are taken in", n, l.sched.queue.n)
	}
}

// TestBlockReusedInLoss checks that a worker's loss does not touch a block any more of which the last call has ended with that.
func TestBlockReusedInLoss(t *testing.T) {
	t.Parallel()
	b := NewBlock(8, false)
	r, w := newReuser(t, b, 2)
	r.calls = 3
	l := r.d.lock.loop
	p := &b.whole
	c := l.sched.takeApart(w, p, 1)
	c.lost = maxLost - 1
	row := wire.Result{Ticket: p.head.ticket, Gen: uint32(b.number), Count: 1, Lens: wire.Lengths{1, 0}, Data: []byte("r")}
	if _, err := l.fabrics[0].handleRow(w, p, &row, nil); err != nil {
		t.Fatal(err)
	}
	l.fabrics[0].drop(1, errors.New("it died"))
	r.checkFresh(b)
}

// TestBlockReusedInRow checks that a worker which answers, or gives back, more calls of a block than it has does not get
// at what the block is after the last of them.
func TestBlockReusedInRow(t *testing.T) {
	t.Parallel()
	for name, more := range map[string]func(*fabric, *stretch, uint32) error{
		"results": func(f *fabric, p *stretch, gen uint32) error {
			var frame wire.Writer
			frame.Reset(wire.TypeResults)
			frame.AddResults(&wire.Result{Ticket: p.head.ticket, Gen: gen, Data: []byte("abcd")}, []uint16{1, 1, 1, 1})
			return f.handle(1, frame.Frame())
		},
		"returned": func(f *fabric, p *stretch, gen uint32) error {
			p.head.state.Store(uint32(recalled)) // so that what is given back ends
			var frame wire.Writer
			frame.Reset(wire.TypeReturned)
			frame.AddTicket(p.head.ticket, gen, 4)
			return f.handle(1, frame.Frame())
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := NewBlock(8, false)
			r, w := newReuser(t, b, 2)
			r.calls = 8
			l := r.d.lock.loop
			if err := more(l.fabrics[0], &b.whole, uint32(b.number)); err == nil {
				t.Error("there is no error")
			}
			if r.reused {
				r.checkFresh(b)
				return
			}
			if r.settled > 0 || w.inflight != 2 {
				t.Errorf("%d calls are settled, %d in flight", r.settled, w.inflight)
			}
		})
	}
}

// TestBlockReusedInKill checks that a kill does not touch a block any more of which the last call ends with it, as its long result
// waits for room.
func TestBlockReusedInKill(t *testing.T) {
	t.Parallel()
	b := NewBlock(8, false)
	r, _ := newReuser(t, b, 1)
	r.calls = 3
	l := r.d.lock.loop
	l.room.taken = l.room.most // none is left
	var frame wire.Writer
	frame.Reset(wire.TypeResults)
	frame.AddResult(&wire.Result{Ticket: b.whole.head.ticket, Gen: uint32(b.number), Long: true, Len: wire.AskFirst, Payload: 1, Nanos: 1})
	if err := l.fabrics[0].handle(1, frame.Frame()); err != nil {
		t.Fatal(err)
	}
	if n := l.KillWhere(func(*Call) bool { return true }, "a test"); n != 1 {
		t.Errorf("%d calls are killed", n)
	}
	r.checkFresh(b)
}

// TestWorkerOfBadFrame checks that a worker which has answered all its calls, in a frame that goes on with nonsense, is one
// without calls until it is lost.
func TestWorkerOfBadFrame(t *testing.T) {
	t.Parallel()
	for name, frame := range map[string]func(frame *wire.Writer, ticket, gen uint32){
		"results": func(frame *wire.Writer, ticket, gen uint32) {
			frame.Reset(wire.TypeResults)
			frame.AddResults(&wire.Result{Ticket: ticket, Gen: gen, Data: []byte("ab")}, []uint16{1, 1})
			frame.AddResult(&wire.Result{Ticket: ticket + 1})
		},
		"returned": func(frame *wire.Writer, ticket, gen uint32) {
			frame.Reset(wire.TypeReturned)
			frame.AddTicket(ticket, gen, 2)
			frame.AddTicket(ticket+1, gen, 2)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := NewBlock(8, false)
			r, w := newReuser(t, b, 2)
			r.reused = true // it is not to be
			l := r.d.lock.loop
			l.sched.place(w)
			if !w.loaded {
				t.Fatal("no call waits there for a slot")
			}
			var bad wire.Writer
			frame(&bad, b.whole.head.ticket, uint32(b.number))
			if err := l.fabrics[0].handle(1, bad.Frame()); err == nil {
				t.Error("there is no error")
			}
			if w.loaded || w.inflight != 0 {
				t.Errorf("%d calls are there, and some wait for a slot: %t", w.inflight, w.loaded)
			}
		})
	}
}
