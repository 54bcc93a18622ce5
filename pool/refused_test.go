package pool_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/pool"
)

// unencodable are tuples of which the one with number 1 cannot be encoded.
var unencodable = [][]any{{1, 2}, {func() {}}, {3}}

// told returns options, and a function that waits for the result and returns its error: it
// fails the test unless the error callback had heard of the same.
func told[T any](t *testing.T) (opts []pool.AsyncOption[T], errorOf func(name string, r *pool.AsyncResult[T]) error) {
	var heard atomic.Pointer[error]
	opts = []pool.AsyncOption[T]{
		pool.Callback(func(T) { t.Error("work that fails has a result") }),
		pool.ErrorCallback[T](func(err error) {
			time.Sleep(10 * time.Millisecond) // the result is not ready before this has returned
			if heard.Swap(&err) != nil {
				t.Error("the error callback ran twice")
			}
		}),
	}
	return opts, func(name string, r *pool.AsyncResult[T]) error {
		_, err := r.Get(t.Context())
		if got := heard.Load(); err == nil || got == nil || *got != err { //nolint:errorlint // it is the very value
			t.Errorf("%s: %v; the error callback heard %v", name, err, got)
		}
		return err
	}
}

// Every kind of work that cannot begin is told to the error callback, before the result is ready.
func TestRefusedIsTold(t *testing.T) {
	t.Parallel()
	p := open(t)
	ended, end := context.WithCancel(t.Context())
	end()
	for name, begin := range map[string]func(opts []pool.AsyncOption[[]byte]) *pool.AsyncResult[[]byte]{
		"no such task": func(opts []pool.AsyncOption[[]byte]) *pool.AsyncResult[[]byte] {
			return p.ApplyAsync(t.Context(), "no such task", nil, opts...)
		},
		"a context that has ended": func(opts []pool.AsyncOption[[]byte]) *pool.AsyncResult[[]byte] {
			return p.ApplyAsync(ended, "echo", nil, opts...)
		},
		"a nil option": func(opts []pool.AsyncOption[[]byte]) *pool.AsyncResult[[]byte] {
			return p.With(nil).ApplyAsync(t.Context(), "echo", nil, opts...)
		},
	} {
		opts, errorOf := told[[]byte](t)
		errorOf(name, begin(opts)) //nolint:errcheck // it has looked at it
	}
	for name, begin := range map[string]func(opts []pool.AsyncOption[[][]byte]) *pool.AsyncResult[[][]byte]{
		"a map of no such task": func(opts []pool.AsyncOption[[][]byte]) *pool.AsyncResult[[][]byte] {
			return p.MapAsync(t.Context(), "no such task", make([][]byte, 2), opts...)
		},
		"a map whose context has ended": func(opts []pool.AsyncOption[[][]byte]) *pool.AsyncResult[[][]byte] {
			return p.MapAsync(ended, "echo", make([][]byte, 2), opts...)
		},
		"a map with a key": func(opts []pool.AsyncOption[[][]byte]) *pool.AsyncResult[[][]byte] {
			return p.With(executor.Key("k")).MapAsync(t.Context(), "echo", make([][]byte, 2), opts...)
		},
	} {
		opts, errorOf := told[[][]byte](t)
		errorOf(name, begin(opts)) //nolint:errcheck // it has looked at it
	}
	opts, errorOf := told[[][]byte](t)
	err := errorOf("values that cannot be encoded", p.StarMapAsync(t.Context(), "sum", unencodable, opts...))
	if err == nil || !strings.HasPrefix(err.Error(), "element 1: pool: encoding") {
		t.Errorf("StarMapAsync: %v", err)
	}
	if _, err := p.StarMap(t.Context(), "sum", unencodable); err == nil || !strings.HasPrefix(err.Error(), "element 1: pool: encoding") {
		t.Errorf("StarMap: %v", err)
	}
}

// Work after Close and after Terminate is refused with the same error, which is told to the error callback.
func TestRefusedAfterClose(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*pool.Pool){
		"Close":     (*pool.Pool).Close,
		"Terminate": (*pool.Pool).Terminate,
		"Join": func(p *pool.Pool) {
			p.Close()
			if err := p.Join(t.Context()); err != nil {
				t.Errorf("Join: %v", err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := open(t)
			end(p)
			opts, errorOf := told[[]byte](t)
			if err := errorOf("ApplyAsync", p.ApplyAsync(t.Context(), "echo", nil, opts...)); !errors.Is(err, executor.ErrClosed) {
				t.Errorf("ApplyAsync: %v", err)
			}
			many, errorOfMany := told[[][]byte](t)
			if err := errorOfMany("MapAsync", p.MapAsync(t.Context(), "echo", nil, many...)); !errors.Is(err, executor.ErrClosed) {
				t.Errorf("MapAsync: %v", err)
			}
			many, errorOfMany = told[[][]byte](t)
			if err := errorOfMany("StarMapAsync", p.StarMapAsync(t.Context(), "sum", unencodable, many...)); !errors.Is(err, executor.ErrClosed) {
				t.Errorf("StarMapAsync: %v", err)
			}
			if _, err := p.Apply(t.Context(), "echo", nil); !errors.Is(err, executor.ErrClosed) {
				t.Errorf("Apply: %v", err)
			}
			if _, err := p.Map(t.Context(), "echo", nil); !errors.Is(err, executor.ErrClosed) {
				t.Errorf("Map: %v", err)
			}
			if _, err := p.StarMap(t.Context(), "sum", unencodable); !errors.Is(err, executor.ErrClosed) {
				t.Errorf("StarMap: %v", err)
			}
			ended, cancel := context.WithCancel(t.Context())
			cancel()
			for name, s := range map[string]*executor.Stream{
				"IMap":                          p.IMap(t.Context(), "echo", texts(1)),
				"IMap of nil":                   p.IMap(t.Context(), "echo", nil),
				"IMap whose context has ended":  p.IMap(ended, "echo", texts(1)),
				"IMapUnordered":                 p.IMapUnordered(t.Context(), "echo", texts(1)),
				"IMapUnordered of a nil option": p.IMapUnordered(t.Context(), "echo", texts(1), nil),
				"IStarMap":                      p.IStarMap(t.Context(), "sum", slices.Values(unencodable)),
				"IStarMapUnordered":             p.IStarMapUnordered(t.Context(), "sum", slices.Values(unencodable)),
			} {
				for range 2 {
					if _, err := s.Next(t.Context()); err != executor.ErrClosed { //nolint:errorlint // without more words
						t.Errorf("%s: %v", name, err)
					}
				}
			}
			if err := p.Join(t.Context()); err != nil {
				t.Errorf("Join: %v", err)
			}
		})
	}
}

// Values that cannot be encoded end a stream with an error that names them, after the results of those before.
func TestUnencodableStream(t *testing.T) {
	t.Parallel()
	p := open(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for name, s := range map[string]*executor.Stream{
		"IStarMap":                p.IStarMap(ctx, "sum", slices.Values(unencodable)),
		"IStarMapUnordered":       p.IStarMapUnordered(context.Background(), "sum", slices.Values(unencodable)),
		"IStarMap one at a time":  p.IStarMap(ctx, "sum", slices.Values(unencodable), executor.Buffer(1)),
		"IStarMap with a stopper": p.IStarMap(ctx, "sum", slices.Values(unencodable), executor.StoppedBy(new(executor.Stopper))),
	} {
		if got, err := s.Next(t.Context()); err != nil || string(got) != "3" {
			t.Errorf("%s: element 0: %q, %v", name, got, err)
		}
		for range 2 {
			_, err := s.Next(t.Context())
			if err == nil || !strings.HasPrefix(err.Error(), "element 1: pool: encoding") || !errors.As(err, new(*json.UnsupportedTypeError)) {
				t.Errorf("%s: element 1: %v", name, err)
			}
		}
	}
	release, begun := make(chan struct{}), make(chan struct{})
	ended := p.IStarMap(ctx, "sum", func(yield func([]any) bool) {
		close(begun)
		<-release
		yield(unencodable[1])
	})
	<-begun
	cancel() // the context's end is still one
	if _, err := ended.Next(t.Context()); !errors.Is(err, context.Canceled) {
		t.Errorf("IStarMap whose context has ended: %v", err)
	}
	close(release)
	p.Close()
	if err := p.Join(t.Context()); err != nil {
		t.Errorf("Join: %v", err)
	}
}
