package dispatcher

import (
	"errors"
	"testing"

	"github.com/wasmpool/wasmpool/internal/wire"
)

// TestLostBlock looks at what is said of the calls of a block whose worker is lost: of those without an answer only, and when they
// were sent.
func TestLostBlock(t *testing.T) {
	t.Parallel()
	b := NewBlock(8, false)
	r, w := newReuser(t, b, 5)
	l := r.d.lock.loop
	watch := l.Watch()
	p := &b.whole
	l.sched.release(w, &p.head)
	l.sched.free, l.sched.tickets = nil, append(l.sched.tickets, nil) // so that its ticket is not the first
	l.sched.send(w, &p.head)
	l.now = 12345
	l.noteSent(&p.head)
	row := wire.Result{Ticket: p.head.ticket, Gen: uint32(b.number), Count: 2, Lens: wire.Lengths{1, 0, 1, 0}, Data: []byte("rr"), Nanos: 1}
	if _, err := l.fabrics[0].handleRow(w, p, &row, nil); err != nil {
		t.Fatal(err)
	}
	w.slots = 2
	if got, want := l.sched.suspects(w, errors.New("it died")), "call 4 of task, call 3 of task"; got != want {
		t.Errorf("suspects are %q, want %q", got, want)
	}
	l.fabrics[0].drop(1, errors.New("it died"))
	u := l.Look(watch)
	if len(u.Runs) != 5 {
		t.Fatalf("%d runs", len(u.Runs))
	}
	for _, run := range u.Runs {
		if !run.Sent.Equal(l.wall(12345)) {
			t.Errorf("call %d was sent at %v", run.Call, run.Sent)
		}
	}
}
