package executor

import (
	"errors"
	"io"
	"testing"
)

// TestSparesAreBounded takes very many results of calls that were all open at once: only as
// many of their futures are kept as a map reads ahead.
func TestSparesAreBounded(t *testing.T) {
	t.Parallel()
	const n = mostAhead + 1000
	o := newAnyOrder(false)
	var f feeder
	for range n {
		o.arrivals.Resolved(o.call())
		f.ahead.gave(0)
	}
	for range n - 1 { // one is under way
		r, err := o.next(t.Context(), &f)
		if r.n != 1 || err != nil {
			t.Fatal(r.n, err)
		}
		o.took(&r, 1)
	}
	if len(o.spares) > mostAhead {
		t.Errorf("%d futures are kept", len(o.spares))
	}
	if o.batch[0].call != nil {
		t.Error("what was taken is kept, too")
	}
}

// TestCloseAfterTheEnd closes a stream that was gone through: the loop, which would look
// at each call that waits, hears nothing of it.
func TestCloseAfterTheEnd(t *testing.T) {
	t.Parallel()
	ex, _ := inHand(t, 1, Config{})
	for _, s := range []*Stream{ex.Stream(t.Context(), "echo", none), ex.StreamUnordered(t.Context(), "echo", none)} {
		if _, err := s.Next(t.Context()); !errors.Is(err, io.EOF) {
			t.Error(err)
		}
		s.Close()
	}
	for _, err := range ex.Map(t.Context(), "echo", none) {
		t.Error(err)
	}
	if !ex.dispatcher.Probe().Empty() {
		t.Error("the loop was asked for something")
	}
}

// none is an input without arguments.
func none(func([]byte) bool) {}
