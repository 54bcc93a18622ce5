package pool_test

import (
	"context"
	"errors"
	"io"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/pool"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// A result is ready when its callbacks have run, as in Python.
func TestCallbackFirst(t *testing.T) {
	t.Parallel()
	p := open(t)
	for name, wait := range map[string]func(*pool.AsyncResult[[]byte]) error{
		"Wait": func(r *pool.AsyncResult[[]byte]) error { return r.Wait(t.Context()) },
		"Get":  func(r *pool.AsyncResult[[]byte]) error { _, err := r.Get(t.Context()); return err },
		"Ready": func(r *pool.AsyncResult[[]byte]) error {
			for !r.Ready() {
				time.Sleep(time.Millisecond)
			}
			return nil
		},
	} {
		var called atomic.Bool
		r := p.ApplyAsync(t.Context(), "square", []byte("3"), pool.Callback(func([]byte) {
			time.Sleep(20 * time.Millisecond)
			called.Store(true)
		}))
		if err := wait(r); err != nil || !called.Load() {
			t.Errorf("%s: %v, and the callback had run: %t", name, err, called.Load())
		}
	}
	var called atomic.Bool
	failing := p.MapAsync(t.Context(), "square", [][]byte{[]byte("x")}, pool.ErrorCallback[[][]byte](func(error) {
		time.Sleep(20 * time.Millisecond)
		called.Store(true)
		panic("of a callback")
	}))
	if _, err := failing.Get(t.Context()); err == nil || !called.Load() {
		t.Errorf("a map that fails: %v, and the callback had run: %t", err, called.Load())
	}
}

// A callback that panics does not stop those after it, nor makes it the result ready before them.
func TestCallbackPanics(t *testing.T) {
	t.Parallel()
	p := open(t)
	var called atomic.Int32
	count := func() {
		time.Sleep(20 * time.Millisecond)
		called.Add(1)
	}
	one := p.ApplyAsync(t.Context(), "square", []byte("3"), pool.Callback(func([]byte) { panic("of a callback") }), pool.Callback(func([]byte) { count() }))
	if got, err := one.Get(t.Context()); string(got) != "9" || err != nil || called.Load() != 1 {
		t.Errorf("ApplyAsync: %q, %v, and %d callbacks had run after the one that panics", got, err, called.Load())
	}
	many := p.MapAsync(t.Context(), "square", [][]byte{[]byte("x")}, pool.ErrorCallback[[][]byte](func(error) { runtime.Goexit() }), pool.ErrorCallback[[][]byte](func(error) { count() }))
	if _, err := many.Get(t.Context()); err == nil || called.Load() != 2 {
		t.Errorf("MapAsync: %v, and %d callbacks had run, of two", err, called.Load())
	}
	p.Close()
	if err := p.Join(t.Context()); err != nil {
		t.Errorf("Join: %v", err)
	}
}

// An input that blocks holds up neither Join after Terminate nor Next.
func TestTerminateBlockedInput(t *testing.T) {
	t.Parallel()
	release, begun := make(chan struct{}), make(chan struct{})
	t.Cleanup(func() { close(release) })
	p := open(t)
	s := p.IMapUnordered(t.Context(), "square", func(func([]byte) bool) {
		close(begun)
		<-release
	})
	<-begun
	next := make(chan error)
	go func() {
		_, err := s.Next(context.Background())
		next <- err
	}()
	p.Terminate()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := p.Join(ctx); err != nil {
		t.Errorf("Join: %v", err)
	}
	select {
	case err := <-next:
		if !errors.Is(err, context.Canceled) && !errors.Is(err, executor.ErrClosed) {
			t.Errorf("Next: %v", err)
		}
	case <-ctx.Done():
		t.Error("Next did not return")
	}
}

// A stream that never reads its input does not hold up Join.
func TestJoinAfterRefusedStream(t *testing.T) {
	t.Parallel()
	p := open(t)
	_, unknown := p.IMap(t.Context(), "no such task", texts(1)).Next(t.Context())
	_, option := p.IMap(t.Context(), "square", texts(1), executor.Buffer(-1)).Next(t.Context())
	if unknown == nil || option == nil || errors.Is(option, io.EOF) {
		t.Errorf("got %v and %v, want errors", unknown, option)
	}
	p.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := p.Join(ctx); err != nil {
		t.Errorf("Join: %v", err)
	}
}

// Terminate ends calls that wait for room in the executor's queue, too, so that Join returns
// and nothing runs after it.
func TestTerminateCrowded(t *testing.T) {
	t.Parallel()
	ex, err := executor.Local(executor.Config{RootSlots: 1, QueueCalls: 1, Modules: []*wasmtasks.Module{tasks}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ex.Shutdown(t.Context()) //nolint:errcheck // it has ended: what runs is dropped
		<-ex.Done()
	})
	ex.Submit(t.Context(), "forever", nil)
	p := pool.New(ex)
	results := make(chan error, 20)
	for range cap(results) {
		go func() {
			_, err := p.ApplyAsync(context.Background(), "forever", nil).Get(context.Background())
			results <- err
		}()
	}
	many := p.MapAsync(t.Context(), "forever", make([][]byte, 20))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for st, err := ex.Stats(ctx); st.Queued == 0; st, err = ex.Stats(ctx) {
		if err != nil {
			t.Fatalf("no call waits: %v", err)
		}
	}
	p.Terminate()
	if err := p.Join(ctx); err != nil {
		t.Fatalf("Join: %v", err)
	}
	for range cap(results) {
		select {
		case err := <-results:
			if !errors.Is(err, executor.ErrClosed) && !errors.Is(err, executor.ErrKilled) {
				t.Errorf("ApplyAsync: %v", err)
			}
		case <-ctx.Done():
			t.Fatal("ApplyAsync waits for ever")
		}
	}
	if _, err := many.Get(ctx); err == nil || ctx.Err() != nil {
		t.Errorf("MapAsync: %v", err)
	}
	for range 50 { // what is there counts before a context that has ended
		ended, end := context.WithCancel(t.Context())
		end()
		if err := p.Join(ended); err != nil {
			t.Fatalf("Join again: %v", err)
		}
	}
	if _, err := pool.New(ex).IStarMap(ctx, "sum", nil).Next(ctx); err == nil || !strings.Contains(err.Error(), "nil iterator") {
		t.Errorf("IStarMap of nil: %v", err)
	}
}
