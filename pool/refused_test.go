package pool_test

import (
	"context"
	"errors"
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
			if err := p.Join(t.Context()); err != nil {
				t.Errorf("Join: %v", err)
			}
		})
	}
}
