package executor

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/internal/guesttest"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// A slowMemo finds nothing, and takes its time once slow is set.
type slowMemo struct {
	countingMemo
	slow   chan struct{}        // closed when Find is to block
	asked  chan context.Context // gets the context of a Find that blocks,
	answer chan struct{}        // until this is closed
}

func (m *slowMemo) Find(ctx context.Context, _ *MemoKey) ([]byte, bool) {
	select {
	case <-m.slow:
		m.asked <- ctx
		<-m.answer
	default:
	}
	return nil, false
}

// TestThenEndsWithPool checks that the end of the pool resolves a call of Then whose result is still looked for in the memo, and
// ends the context of that.
func TestThenEndsWithPool(t *testing.T) {
	t.Parallel()
	m := &slowMemo{slow: make(chan struct{}), asked: make(chan context.Context, 1), answer: make(chan struct{})}
	m.results = map[[32]byte][]byte{}
	defer close(m.answer)
	ex, err := Local(Config{RootSlots: 1, Memo: m, Modules: []*wasmtasks.Module{guesttest.Build(t, "testdata/tasks")}})
	if err != nil {
		t.Fatal(err)
	}
	f := ex.Submit(t.Context(), "echo", []byte("x"), Pure())
	close(m.slow)
	g := f.Then("echo", Pure())
	h := g.Then("echo", Pure())
	var looks context.Context
	select {
	case looks = <-m.asked:
	case <-time.After(time.Minute):
		t.Fatal("nobody looks for the result")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := ex.Shutdown(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown: %v", err)
	}
	<-ex.Done()
	for _, f := range []*Future{g, h} {
		if !f.call.Resolved() || !errors.Is(f.call.Err(), ErrClosed) {
			t.Errorf("it has not ended, or not with ErrClosed: %v", f)
		}
	}
	select {
	case <-looks.Done():
	case <-time.After(time.Minute):
		t.Error("the context of Find has not ended")
	}
}
