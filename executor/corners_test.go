package executor

import (
	"context"
	"encoding/binary"
	"errors"
	"iter"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wasmpool/wasmpool/internal/guesttest"
	"github.com/wasmpool/wasmpool/internal/transport/mem"
	"github.com/wasmpool/wasmpool/internal/unittest"
	"github.com/wasmpool/wasmpool/internal/wire"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// Here are the corners that TestModel has found, each alone.

// inHand returns an executor whose loop turns when the test wants it, and the endpoints
// of workers that have not joined.
func inHand(t *testing.T, workers int, cfg Config) (*Executor, *mem.Fabric) {
	t.Helper()
	tasks := guesttest.Build(t, "testdata/tasks")
	fabric := mem.New(workers + 1)
	cfg.Modules, cfg.Logger = []*wasmtasks.Module{tasks}, slog.New(slog.DiscardHandler)
	root := fabric.Endpoint(0)
	ex, err := build(cfg.withDefaults(), root, root.Bell())
	if err != nil {
		t.Fatal(err)
	}
	return ex, fabric
}

// blocking yields so many arguments, and then blocks until the test ends.
func blocking(t *testing.T, n int) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for i := range n {
			if !yield(argument(uint64(i))) {
				return
			}
		}
		<-t.Context().Done()
	}
}

// TestBatchSeesItsEnd resolves the last call of a batch, and ends its input, just when
// who goes through the results has been told of the call before.
func TestBatchSeesItsEnd(t *testing.T) {
	t.Parallel()
	b := &Batch{changed: make(chan struct{}), done: make(chan struct{})}
	first := &Future{}
	b.futures = []*Future{first}
	got := make(chan int)
	go func() {
		n := 0
		for _, err := range b.Unordered(t.Context()) {
			if errors.Is(err, ErrCancelled) {
				n++
			}
		}
		got <- n
	}()
	var told *completions
	unittest.Until(t, "the batch is gone through", func() bool {
		all := first.call.Listeners()
		if len(all) == 0 {
			return false
		}
		told = all[0].(*completions) //nolint:forcetypeassert // it is what Unordered adds
		return true
	})
	b.mu.Lock()
	first.call.Withdraw(ErrCancelled)
	unittest.Until(t, "it is told of the first call", func() bool { return len(told.more) == 0 })
	b.futures = append(b.futures, failed(&Executor{}, ErrCancelled))
	b.ahead.taken.Store(2)
	b.closed = true
	b.change()
	b.mu.Unlock()
	select {
	case n := <-got:
		if n != 2 {
			t.Errorf("%d results of 2", n)
		}
	case <-time.After(time.Minute):
		t.Error("it waits for what has come")
	}
}

// TestStreamOfForkThatCloses shuts a fork down while calls of its stream wait and its input
// blocks, and drops them: All yields what became of each, and then the end.
func TestStreamOfForkThatCloses(t *testing.T) {
	t.Parallel()
	ex, _ := inHand(t, 1, Config{})
	fork := ex.Fork()
	s := fork.StreamUnordered(t.Context(), "echo", blocking(t, 3))
	unittest.Until(t, "its calls are submitted", func() bool { return s.ahead.fed.Load() == 3 })
	if err := fork.Shutdown(t.Context(), NoWait()); err != nil {
		t.Fatal(err)
	}
	<-s.InputDone() // its input is given up
	if err := fork.Shutdown(ended()); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	ex.dispatcher.Probe().Turn()
	n := 0
	for _, err := range s.All(t.Context()) {
		if n++; !errors.Is(err, ErrClosed) {
			t.Errorf("it yields %v", err)
		}
	}
	if n != 4 {
		t.Errorf("it yields %d errors, want the ends of three calls and its own", n)
	}
}

// TestStreamOfForkAtTheEnd ends the executor that was opened first while the input of a
// fork's stream blocks.
func TestStreamOfForkAtTheEnd(t *testing.T) {
	t.Parallel()
	ex := openTasks(t, Config{RootSlots: 1})
	s := ex.Fork().Stream(t.Context(), "echo", blocking(t, 0))
	if err := ex.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := s.Next(ctx); !errors.Is(err, ErrClosed) {
		t.Errorf("it ends with %v", err)
	}
}

// TestTornChunk checks that the arguments which an input gave before it panicked count,
// also those of a chunk that is not full.
func TestTornChunk(t *testing.T) {
	t.Parallel()
	ex := openTasks(t, Config{RootSlots: 1})
	const n = 7
	got := uint64(0)
	defer func() {
		if v := recover(); v != any("torn") || got != n {
			t.Errorf("%d results of %d, then %v", got, n, v)
		}
	}()
	input := func(yield func([]byte) bool) {
		for i := range uint64(n) {
			if !yield(argument(i)) {
				return
			}
		}
		panic("torn")
	}
	for data, err := range ex.Map(t.Context(), "echo", input, Chunk(5)) {
		if err != nil || binary.LittleEndian.Uint64(data) != got {
			t.Errorf("result %d is %x, %v", got, data, err)
		}
		got++
	}
}

// TestFruitlessIsLeftAlone asks an overloaded worker for calls that it cannot give back:
// it is not asked again at once.
func TestFruitlessIsLeftAlone(t *testing.T) {
	t.Parallel()
	if _, err := wasmtasks.Build(t.Context(), "testdata/tasks"); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) { // in which time stands still
		ex, fabric := inHand(t, 2, Config{})
		loaded, idle := fabric.Endpoint(1), fabric.Endpoint(2)
		send(t, loaded, hello(t))
		ex.dispatcher.Probe().Turn()
		for range 2 {
			ex.Submit(t.Context(), "echo", nil)
		}
		ex.dispatcher.Probe().Turn()
		time.Sleep(10 * time.Millisecond) // ten times as long as a worker that is taken for overloaded is quiet
		send(t, idle, hello(t))
		var asks takeBacks
		for range 10 {
			ex.dispatcher.Probe().Turn()
			if _, err := loaded.Poll(&asks); err != nil {
				t.Fatal(err)
			}
			for ; asks.open > 0; asks.open-- {
				send(t, loaded, wire.Bare(wire.TypeReturned))
			}
		}
		if asks.n != 1 {
			t.Errorf("it was asked %d times", asks.n)
		}
	})
}

// takeBacks counts the frames that ask for calls.
type takeBacks struct{ n, open int }

func (*takeBacks) Lost(int, error) {}

func (a *takeBacks) Frame(_ int, frame []byte) {
	if typ, _, _, err := wire.Header(frame); err == nil && typ == wire.TypeTakeBack {
		a.n++
		a.open++
	}
}
