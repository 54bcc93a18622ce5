package executor_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"strings"
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

// TestInputOutlivesContext checks that an argument which is yielded after the end of the context is not submitted, and
// that an input which ends after it has not come to its end.
func TestInputOutlivesContext(t *testing.T) {
	t.Parallel()
	ex := shape(t).Fork()
	for name, stream := range streams(ex) {
		for _, yieldsMore := range []bool{false, true} {
			ctx, cancel := context.WithCancel(t.Context())
			s := stream(ctx, "echo", func(yield func([]byte) bool) {
				if yield(number(1)) {
					cancel()
					if yieldsMore {
						yield(number(2))
					}
				}
			})
			results := 0
			var end error
			for _, err := range s.All(t.Context()) {
				if end = err; err == nil {
					results++
				}
			}
			if results > 1 || !errors.Is(end, context.Canceled) {
				t.Errorf("%s, more arguments: %t: %d results, and then %v", name, yieldsMore, results, end)
			}
		}
	}
}

// TestStreamEndStays checks that Next gives the end of a stream again and again, whatever it
// is, and that All yields it once.
func TestStreamEndStays(t *testing.T) {
	t.Parallel()
	ex := shape(t).Fork()
	panics := func(v any) iter.Seq[[]byte] {
		return func(yield func([]byte) bool) {
			yield(number(1))
			panic(v)
		}
	}
	for name, stream := range streams(ex) {
		ctx, cancel := context.WithCancel(t.Context())
		var stopper executor.Stopper
		blocks := func(until <-chan struct{}) iter.Seq[[]byte] {
			return func(yield func([]byte) bool) {
				if yield(number(1)) {
					<-until
					yield(number(2))
				}
			}
		}
		release := make(chan struct{})
		ended := stream(ctx, "echo", blocks(ctx.Done()))
		stopped := stream(t.Context(), "echo", blocks(release), executor.StoppedBy(&stopper))
		closed, whole := stream(t.Context(), "echo", blocks(release)), stream(t.Context(), "echo", numbers(3))
		for _, s := range []*executor.Stream{ended, stopped, closed, whole} {
			if _, err := s.Next(t.Context()); err != nil {
				t.Errorf("%s: the first result: %v", name, err)
			}
		}
		cancel()
		for _, tt := range []struct {
			what string
			s    *executor.Stream
			want error
		}{
			{"the input's end", whole, io.EOF},
			{"Close", closed, context.Canceled},
			{"its context", ended, context.Canceled},
			{"a stopper", stopped, executor.ErrStopped},
			{"a bad input", stream(t.Context(), "echo", panics(errBadInput)), errBadInput},
			{"an input that panics with io.EOF", stream(t.Context(), "echo", panics(io.EOF)), io.EOF},
		} {
			switch tt.what {
			case "Close":
				tt.s.Close()
			case "a stopper":
				stopper.Stop()
			}
			var end error
			for end == nil {
				_, end = tt.s.Next(t.Context())
			}
			for range 3 {
				if _, again := tt.s.Next(t.Context()); !errors.Is(end, tt.want) || again != end { //nolint:errorlint // it is the very value
					t.Errorf("%s, %s: Next ends with %v, then with %v, want %v each time", name, tt.what, end, again, tt.want)
				}
			}
			yielded := 0
			for _, err := range tt.s.All(t.Context()) {
				if yielded++; err != end { //nolint:errorlint // it is the very value
					t.Errorf("%s, %s: All yields %v, want %v", name, tt.what, err, end)
				}
			}
			want := 1
			if tt.s == whole {
				want = 0
			}
			if yielded != want {
				t.Errorf("%s, %s: All yields %d errors, want %d", name, tt.what, yielded, want)
			}
		}
		close(release)
	}
}

var errBadInput = errors.New("a bad input")

func TestStream(t *testing.T) {
	t.Parallel()
	ex := shape(t).Fork()
	s := ex.Stream(t.Context(), "odd", numbers(500))
	for i := range 500 {
		got, err := s.Next(t.Context())
		if i%2 == 0 && (err != nil || !bytes.Equal(got, number(i))) || i%2 == 1 && err == nil {
			t.Fatalf("element %d: % x, %v", i, got, err)
		}
	}
	for range 2 {
		if _, err := s.Next(t.Context()); !errors.Is(err, io.EOF) {
			t.Errorf("the end: %v", err)
		}
	}
	// A Next that gives up loses nothing.
	busy := open(t, executor.Config{RootSlots: 1})
	release := hold(t, busy)
	slow := busy.Stream(t.Context(), "echo", numbers(1))
	<-slow.InputDone()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := slow.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("a context that has ended: %v", err)
	}
	release()
	if got, err := slow.Next(t.Context()); err != nil || !bytes.Equal(got, number(0)) {
		t.Errorf("after that: % x, %v", got, err)
	}
	n := 0
	for _, err := range ex.StreamUnordered(t.Context(), "echo", numbers(1_000), executor.Buffer(7)).All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != 1_000 {
		t.Errorf("%d results without order", n)
	}
	if err := last(ex.Stream(t.Context(), "echo", broken(3)).All(t.Context())); err == nil || !strings.Contains(err.Error(), "the input broke") {
		t.Errorf("a broken input: %v", err)
	}
}
