package executor

import (
	"context"
	"errors"
	"testing"

	"github.com/wasmpool/wasmpool/internal/unittest"
)

// TestKeyOutlivesContext checks that the end of the context of who waits for room with a call ends no call that others have
// submitted, too, by its key.
func TestKeyOutlivesContext(t *testing.T) {
	t.Parallel()
	ex, _ := inHand(t, 1, Config{QueueCalls: 1})
	ex.Submit(t.Context(), "echo", nil) // no worker has joined: it fills the queue
	begin := func(key string) (end context.CancelFunc, first chan *Future) {
		ctx, end := context.WithCancel(t.Context())
		first = make(chan *Future, 1)
		go func() { first <- ex.Submit(ctx, "echo", nil, Key(key)) }()
		unittest.Until(t, "it has the key", func() bool {
			ex.keys.mu.Lock()
			defer ex.keys.mu.Unlock()
			return ex.keys.calls[key].future != nil
		})
		return end, first
	}
	endAlone, alone := begin("alone")
	endAlone()
	if f := <-alone; !f.call.Resolved() || !errors.Is(f.call.Err(), context.Canceled) {
		t.Errorf("alone: %v", f)
	}
	endShared, shared := begin("shared")
	joined := ex.Submit(t.Context(), "echo", nil, Key("shared"))
	endShared()
	if f := <-shared; f != joined || f.call.Resolved() || f.call.Number() == 0 {
		t.Errorf("%v, and who has joined has %v", f, joined)
	}
}

// TestMemoDrained checks that a call whose result was found ends as any other after Drain.
func TestMemoDrained(t *testing.T) {
	t.Parallel()
	m := &countingMemo{results: map[[32]byte][]byte{}}
	ex := openTasks(t, Config{RootSlots: 1, Memo: m})
	if _, err := ex.Call(t.Context(), "echo", []byte("x"), Pure()); err != nil || m.count() != 1 {
		t.Fatalf("%v, and %d results are kept", err, m.count())
	}
	ex.Drain()
	if _, err := ex.Call(t.Context(), "echo", []byte("x"), Pure()); !errors.Is(err, ErrDrained) {
		t.Errorf("after Drain: %v", err)
	}
}
