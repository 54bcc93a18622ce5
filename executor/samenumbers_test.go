package executor

import (
	"testing"
	"unsafe"

	"github.com/wasmpool/wasmpool/internal/dispatcher"
)

// TestStateNumbers checks that the states of a call have the same numbers here and in the dispatcher.
func TestStateNumbers(t *testing.T) {
	t.Parallel()
	for here, there := range map[State]dispatcher.State{
		Pending: dispatcher.Pending, Sent: dispatcher.Sent, Running: dispatcher.Running,
		Finished: dispatcher.Finished, Cancelled: dispatcher.Cancelled, Killed: dispatcher.Killed,
	} {
		if here != State(there) {
			t.Errorf("%v has the number %d here, %d there", here, here, there)
		}
	}
}

// TestPriorities checks that the dispatcher has the same priorities.
func TestPriorities(t *testing.T) {
	t.Parallel()
	if MinPriority != dispatcher.MinPriority || MaxPriority != dispatcher.MaxPriority {
		t.Errorf("priorities are from %d to %d here, from %d to %d there", MinPriority, MaxPriority, dispatcher.MinPriority, dispatcher.MaxPriority)
	}
}

// TestFutureIsSmall holds what the docs say a pending call costs.
func TestFutureIsSmall(t *testing.T) {
	t.Parallel()
	if n := unsafe.Sizeof(Future{}); n > 144 {
		t.Errorf("a future has %d bytes", n)
	}
}
