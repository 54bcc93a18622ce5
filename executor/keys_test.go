package executor

import (
	"testing"

	"github.com/wasmpool/wasmpool/internal/wire"
)

// Who submits a call with the key of one that was cancelled gets one that runs, even
// while a worker still has the other.
func TestKeyOfCancelled(t *testing.T) {
	t.Parallel()
	ex, fabric := inHand(t, 1, Config{})
	worker := fabric.Endpoint(1)
	send(t, worker, hello(t))
	loop := ex.dispatcher.Probe()
	loop.Turn()
	submit := func() *Future { return ex.Submit(t.Context(), "echo", nil, Key("k")) }
	first := submit()
	loop.Turn()
	if !first.Cancel() || first.call.Resolved() {
		t.Fatalf("it is not at the worker, cancelled: %v", first)
	}
	second := submit()
	if second == first {
		t.Error("got the call that was cancelled, want a new one")
	}
	send(t, worker, results(wire.Call{Number: first.call.Number()}, wire.Result{}))
	loop.Turn()
	if !first.call.Resolved() {
		t.Error("the worker has let it go, and it is not resolved")
	}
	if got := submit(); got != second {
		t.Errorf("after the end of the first: got %v, want the second", got)
	}
}
