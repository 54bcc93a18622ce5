package executor_test

import (
	"context"
	"errors"
	"io"
	"iter"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/executor"
)

// blocked is an input that yields one argument and then blocks until release is called.
func blocked(t *testing.T) (args iter.Seq[[]byte], begun <-chan struct{}) {
	t.Helper()
	release, waits := make(chan struct{}), make(chan struct{})
	t.Cleanup(func() { close(release) })
	return func(yield func([]byte) bool) {
		if !yield(number(1)) {
			return
		}
		close(waits)
		<-release
	}, waits
}

// bounded fails the test where f does not return.
func bounded(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatalf("%s did not return", what)
	}
}

// An input that blocks holds up neither Close nor who waits in Next, nor does it when the
// executor shuts down.
func TestStreamOfBlockedInput(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]struct {
		want error
		do   func(*executor.Executor, *executor.Stream)
	}{
		"close":    {context.Canceled, func(_ *executor.Executor, s *executor.Stream) { s.Close() }},
		"shutdown": {executor.ErrClosed, func(ex *executor.Executor, _ *executor.Stream) { ex.Shutdown(context.Background()) }}, //nolint:errcheck // a fork has no error
	} {
		ex := shape(t).Fork()
		for order, stream := range streams(ex) {
			args, begun := blocked(t)
			s := stream(t.Context(), "echo", args)
			<-begun
			if _, err := s.Next(t.Context()); err != nil {
				t.Fatal(err)
			}
			waits := make(chan error)
			go func() {
				_, err := s.Next(context.Background())
				waits <- err
			}()
			end.do(ex, s)
			bounded(t, name+" of an "+order+" stream", func() {
				if err := <-waits; !errors.Is(err, end.want) {
					t.Errorf("%s, %s: Next returned %v, want %v", name, order, err, end.want)
				}
				<-s.InputDone()
			})
			if name == "shutdown" {
				break // the fork is gone
			}
		}
	}
}

// So it is with a batch.
func TestBatchOfBlockedInput(t *testing.T) {
	t.Parallel()
	args, begun := blocked(t)
	b := shape(t).SubmitBatch(t.Context(), "echo", args)
	<-begun
	b.Cancel()
	bounded(t, "a cancelled batch", func() {
		<-b.Done()
		if _, err := b.Results(t.Context()); !errors.Is(err, context.Canceled) && !errors.Is(err, executor.ErrCancelled) {
			t.Errorf("got %v, want %v", err, context.Canceled)
		}
	})
}

// An input that blocks holds up nobody when its context or its executor has ended.
func TestBlockedInputOfEnded(t *testing.T) {
	t.Parallel()
	type started func(context.Context, string, iter.Seq[[]byte]) iter.Seq2[[]byte, error]
	forms := func(ex *executor.Executor) map[string]started {
		return map[string]started{
			"Map": func(ctx context.Context, task string, args iter.Seq[[]byte]) iter.Seq2[[]byte, error] {
				return ex.Map(ctx, task, args)
			},
			"MapUnordered": func(ctx context.Context, task string, args iter.Seq[[]byte]) iter.Seq2[[]byte, error] {
				return ex.MapUnordered(ctx, task, args)
			},
			"Batch.Ordered": func(ctx context.Context, task string, args iter.Seq[[]byte]) iter.Seq2[[]byte, error] {
				return ex.SubmitBatch(ctx, task, args).Ordered(context.Background())
			},
			"Batch.Unordered": func(ctx context.Context, task string, args iter.Seq[[]byte]) iter.Seq2[[]byte, error] {
				return ex.SubmitBatch(ctx, task, args).Unordered(context.Background())
			},
			"Stream": func(ctx context.Context, task string, args iter.Seq[[]byte]) iter.Seq2[[]byte, error] {
				return ex.Stream(ctx, task, args).All(context.Background())
			},
		}
	}
	ex := open(t, executor.Config{RootSlots: 1})
	fork := ex.Fork()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for _, end := range []struct {
		of   string
		ctx  context.Context //nolint:containedctx // of the test
		ex   *executor.Executor
		do   func()
		want error
	}{
		{"context", ctx, ex, cancel, context.Canceled},
		{"fork", t.Context(), fork, func() { fork.Shutdown(t.Context()) }, executor.ErrClosed}, //nolint:errcheck // a fork has no error
		{"executor", t.Context(), ex, func() { ex.Shutdown(t.Context()) }, executor.ErrClosed}, //nolint:errcheck // it comes at the end of the test
	} {
		results := map[string]iter.Seq2[[]byte, error]{}
		for name, start := range forms(end.ex) {
			args, begun := blocked(t)
			results[name] = start(end.ctx, "echo", args)
			<-begun
		}
		end.do()
		for name := range results {
			bounded(t, name+" of a blocked input after the end of its "+end.of, func() {
				if err := last(results[name]); !errors.Is(err, end.want) {
					t.Errorf("%s, %s: ended with %v, want %v", name, end.of, err, end.want)
				}
			})
		}
	}
}

// A stream whose input has ended is not changed by Close.
func TestStreamCloseAtEnd(t *testing.T) {
	t.Parallel()
	s := shape(t).Stream(t.Context(), "echo", numbers(3))
	<-s.InputDone()
	for range 3 {
		if _, err := s.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	s.Close()
	if _, err := s.Next(t.Context()); !errors.Is(err, io.EOF) {
		t.Errorf("got %v, want %v", err, io.EOF)
	}
}
