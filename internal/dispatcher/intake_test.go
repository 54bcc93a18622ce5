package dispatcher

import "testing"

// What was requested before a call was made, such as that calls may have duplicates, is done before that call is sent: also when the loop is just
// about to send others.
func TestRequestsComeFirst(t *testing.T) {
	t.Parallel()
	b := NewBlock(2, false)
	r, w := newReuser(t, b, 2)
	l := r.d.lock.loop
	w.slots = 8
	l.sched.place(w)
	l.takeIn()
	var c *Call
	done := false
	r.d.Request(func(*Loop) { done = c.State() == Pending })
	c = &Call{owner: r.owner, task: r.task, data: []byte("argument"), size: 8}
	if err := r.d.TryAdd(c); err != nil {
		t.Fatal(err)
	}
	l.dispatch()
	if c.State() != Sent || !done {
		t.Errorf("the call is %d, and the request is done: %t", c.State(), done)
	}
}

// A caller that has run the loop for a turn, in which it saw a block and left it to grow, sees to it that the dispatcher's goroutine goes on:
// the block may be all there is.
func TestGrowingBlockIsUnderWay(t *testing.T) {
	t.Parallel()
	b := NewBlock(2, false)
	r, _ := newReuser(t, b, 2)
	l := r.d.lock.loop
	l.sched.inflight = 0 // as if those of the first block had ended
	if l.underWay() {
		t.Fatal("something is under way before there is a block")
	}
	grown := NewBlock(2, false)
	grown.Prepare(r.owner, r.task, 0, nil, r, 0, 2)
	grown.Add([]byte("argument"))
	if err := r.d.AddBlock(grown); err != nil {
		t.Fatal(err)
	}
	l.takeIn()
	if !l.in.empty() || !l.underWay() || l.Snapshot().Queued != 1 {
		t.Errorf("the intake is empty: %t, something is under way: %t, %d calls wait", l.in.empty(), l.underWay(), l.Snapshot().Queued)
	}
}
