package executor

import (
	"slices"
	"testing"
)

// TestOnDoneMeanwhile checks that a callback which is added at the very moment at which its
// future gets its outcome runs behind those that were added before.
func TestOnDoneMeanwhile(t *testing.T) {
	t.Parallel()
	ex := openTasks(t, Config{RootSlots: 1})
	f := &Future{ex: ex}
	ran := make(chan int, 4)
	add := func(i int) { f.OnDone(func(*Future) { ran <- i }) }
	add(0)
	add(1)
	f.state.Store(uint32(Finished))
	w := f.waiters.Swap(resolved) // as settle does,
	add(2)
	w.wake(f)
	add(3)
	var got []int
	for range cap(ran) {
		got = append(got, <-ran)
	}
	if !slices.IsSorted(got) {
		t.Errorf("callbacks ran in the order %v", got)
	}
	until(t, "nothing is kept", func() bool {
		ex.calls.mu.Lock()
		defer ex.calls.mu.Unlock()
		return len(ex.calls.waiting) == 0
	})
}
