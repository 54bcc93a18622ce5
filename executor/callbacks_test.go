package executor

import (
	"slices"
	"testing"

	"github.com/wasmpool/wasmpool/internal/dispatcher"
	"github.com/wasmpool/wasmpool/internal/unittest"
)

// TestOnDoneMeanwhile checks that a callback which is added at the very moment at which its
// future gets its outcome runs behind those that were added before.
func TestOnDoneMeanwhile(t *testing.T) {
	t.Parallel()
	ex := openTasks(t, Config{RootSlots: 1})
	f := &Future{}
	new(settings).prepare(&f.call, ex, nil, nil)
	ran := make(chan int, 4)
	add := func(i int) { f.OnDone(func(*Future) { ran <- i }) }
	f.call.Tell(listener(func() { add(2) })) // before the callbacks hear of it
	add(0)
	add(1)
	f.call.Withdraw(ErrCancelled)
	add(3)
	var got []int
	for range cap(ran) {
		got = append(got, <-ran)
	}
	if !slices.IsSorted(got) {
		t.Errorf("callbacks ran in the order %v", got)
	}
	unittest.Until(t, "nothing is kept", func() bool {
		ex.calls.mu.Lock()
		defer ex.calls.mu.Unlock()
		return len(ex.calls.waiting) == 0
	})
}

// A listener is a function that is called when a call is resolved.
type listener func()

// Resolved implements dispatcher.Listener.
func (fn listener) Resolved(*dispatcher.Call) { fn() }
