package executor

import (
	"testing"

	"github.com/wasmpool/wasmpool/internal/unittest"
)

// A map may live of its own results: the loop's body makes an argument of each, and waits until the input has taken it. So it does not
// wait for results that were taken, however long they are.
func TestMapOfItsOwnResults(t *testing.T) {
	t.Parallel()
	const (
		circling = 60      // calls
		length   = 8 << 10 // of a result
		all      = 2000
	)
	s := newStandstill(t, 1, 1, Config{HeldBytes: circling*length + length/2})
	next, end := make(chan []byte), make(chan struct{})
	args := func(yield func([]byte) bool) {
		for i := range circling {
			if !yield(spinArgument(i, 0, 8)) {
				return
			}
		}
		for {
			select {
			case arg := <-next:
				if !yield(arg) {
					return
				}
			case <-end:
				return
			}
		}
	}
	n := 0
	for result, err := range s.ex.Map(t.Context(), "long", args) {
		if err != nil || len(result) != length {
			t.Fatalf("%d bytes, %v", len(result), err)
		}
		if n == 0 {
			unittest.Until(t, "the first calls have a result", func() bool { return stats(t, s.ex).Done >= circling })
		}
		switch n++; {
		case n < all-circling:
			next <- spinArgument(n, 0, 8)
		case n == all-circling:
			close(end)
		}
	}
	if n < all-circling {
		t.Errorf("%d results", n)
	}
}
