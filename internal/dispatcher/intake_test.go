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
	done := false
	r.d.Request(func(*Loop) { done = true })
	c := &Call{owner: r.owner, task: r.task, data: []byte("argument"), size: 8}
	if err := r.d.TryAdd(c); err != nil {
		t.Fatal(err)
	}
	l.dispatch()
	if c.State() != Pending {
		t.Errorf("the call is %d, and the request is done: %t", c.State(), done)
	}
	l.takeIn()
	l.dispatch()
	if c.State() != Sent || !done {
		t.Errorf("the call is %d, and the request is done: %t", c.State(), done)
	}
}
