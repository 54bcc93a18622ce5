package executor_test

import (
	"context"
	"errors"
	"io"
	"iter"
	"sync"
	"testing"

	"github.com/wasmpool/wasmpool/executor"
)

// streams are the two ways to make a stream.
func streams(ex *executor.Executor) map[string]func(context.Context, string, iter.Seq[[]byte], ...executor.MapOption) *executor.Stream {
	return map[string]func(context.Context, string, iter.Seq[[]byte], ...executor.MapOption) *executor.Stream{
		"ordered": ex.Stream, "unordered": ex.StreamUnordered,
	}
}

// TestStreamClose checks that Close cancels what waits, in either order.
func TestStreamClose(t *testing.T) {
	t.Parallel()
	const calls = 1_000
	ex := open(t, executor.Config{RootSlots: 1})
	for name, stream := range streams(ex) {
		long := ex.Submit(t.Context(), "burn", number(100_000_000))
		s := stream(t.Context(), "echo", numbers(calls))
		<-s.InputDone()
		s.Close()
		long.Kill("the slot is needed")
		cancelled, all := 0, 0
		for ; ; all++ {
			_, err := s.Next(t.Context())
			if errors.Is(err, io.EOF) {
				break
			}
			if errors.Is(err, executor.ErrCancelled) {
				cancelled++
			}
			if all == calls {
				t.Fatalf("%s: after all calls Next returns %v", name, err)
			}
		}
		if cancelled < calls*9/10 || all != calls { // a worker may have some
			t.Errorf("%s: %d of %d were cancelled", name, cancelled, all)
		}
	}
}

// TestStreamCloseMeanwhile closes streams while their results are taken.
func TestStreamCloseMeanwhile(t *testing.T) {
	t.Parallel()
	ex := open(t, executor.Config{})
	for _, stream := range streams(ex) {
		for range 10 {
			pulled := make(chan struct{})
			s := stream(t.Context(), "echo", func(yield func([]byte) bool) {
				defer close(pulled)
				numbers(3_000)(yield)
			})
			<-pulled
			var closer sync.WaitGroup
			closer.Go(func() {
				for range 100 {
					s.Close()
				}
			})
			for range s.All(t.Context()) { //nolint:errcheck // to the end
			}
			closer.Wait()
		}
	}
}
