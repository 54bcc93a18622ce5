package pool_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"testing"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/pool"
)

func texts(n int) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for i := range n {
			if !yield(fmt.Append(nil, i)) {
				return
			}
		}
	}
}

// TestCallbacks checks that one of the two callbacks runs, once, before Join
// returns.
func TestCallbacks(t *testing.T) {
	t.Parallel()
	p := open(t)
	var got []string
	say := func(s string) { got = append(got, s) } // callbacks run one after the other
	p.ApplyAsync(t.Context(), "square", []byte("5"), pool.Callback(func(b []byte) { say(string(b)) }), pool.ErrorCallback[[]byte](func(error) { say("wrong") }))
	p.ApplyAsync(t.Context(), "square", []byte("x"), pool.Callback(func([]byte) { say("wrong") }), pool.ErrorCallback[[]byte](func(error) { say("failed") }))
	p.MapAsync(t.Context(), "square", [][]byte{[]byte("2"), []byte("3")}, pool.Callback(func(b [][]byte) { say(fmt.Sprintf("%s", b)) }))
	p.StarMapAsync(t.Context(), "sum", [][]any{{1, 2}, {"x"}}, pool.ErrorCallback[[][]byte](func(error) { say("star failed") }))
	p.Close()
	if err := p.Join(t.Context()); err != nil {
		t.Fatal(err)
	}
	slices.Sort(got)
	if want := []string{"25", "[4 9]", "failed", "star failed"}; !slices.Equal(got, want) {
		t.Errorf("callbacks said %q, want %q", got, want)
	}
}

func TestStarMap(t *testing.T) {
	t.Parallel()
	p := open(t)
	got, err := p.StarMap(t.Context(), "sum", [][]any{{1, 2}, {3, 4, 5}, {}}, executor.Chunk(2))
	if err != nil || fmt.Sprintf("%s", got) != "[3 12 0]" {
		t.Errorf("StarMap: %s, %v", got, err)
	}
	if _, err := p.StarMap(t.Context(), "sum", [][]any{{func() {}}}); err == nil {
		t.Error("a function was encoded")
	}
	if got, err := p.StarMapAsync(t.Context(), "sum", [][]any{{1, 1}}).Get(t.Context()); err != nil || fmt.Sprintf("%s", got) != "[2]" {
		t.Errorf("StarMapAsync: %s, %v", got, err)
	}
}

func TestIMap(t *testing.T) {
	t.Parallel()
	p := open(t)
	it := p.IMap(t.Context(), "echo", texts(300))
	for i := range 300 {
		if got, err := it.Next(t.Context()); err != nil || string(got) != fmt.Sprint(i) {
			t.Fatalf("element %d: %q, %v", i, got, err)
		}
	}
	if _, err := it.Next(t.Context()); !errors.Is(err, io.EOF) {
		t.Errorf("the end: %v", err)
	}
	n := 0
	for _, err := range p.IMapUnordered(t.Context(), "echo", texts(300), executor.Buffer(20)).All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != 300 {
		t.Errorf("%d results without order", n)
	}
	pairs := func(yield func([]any) bool) {
		for i := range 3 {
			if !yield([]any{i, 10}) {
				return
			}
		}
	}
	var sums []string
	for got, err := range p.IStarMap(t.Context(), "sum", pairs).All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		sums = append(sums, string(got))
	}
	if !slices.Equal(sums, []string{"10", "11", "12"}) {
		t.Errorf("sums %v", sums)
	}
	sum := 0
	for _, err := range p.IStarMapUnordered(t.Context(), "sum", pairs).All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		sum++
	}
	if sum != 3 {
		t.Errorf("%d sums without order", sum)
	}
	// A timeout of Next loses nothing.
	release := make(chan struct{})
	slow := p.IMap(t.Context(), "echo", func(yield func([]byte) bool) {
		<-release
		yield([]byte("x"))
	})
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := slow.Next(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("a context that has ended: %v", err)
	}
	close(release)
	if got, err := slow.Next(t.Context()); err != nil || string(got) != "x" {
		t.Errorf("after it: %q, %v", got, err)
	}
}

// TestIMapThenJoin checks that Join needs nobody to take the results.
func TestIMapThenJoin(t *testing.T) {
	t.Parallel()
	p := open(t)
	it := p.IMap(t.Context(), "echo", texts(500))
	p.Close()
	if err := p.Join(t.Context()); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, err := range it.All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != 500 {
		t.Errorf("%d results", n)
	}
	if _, err := p.IMap(t.Context(), "echo", texts(1)).Next(t.Context()); !errors.Is(err, executor.ErrClosed) {
		t.Errorf("IMap after Close: %v", err)
	}
}

func TestTerminate(t *testing.T) {
	t.Parallel()
	p := open(t)
	var results []*pool.AsyncResult[[]byte]
	for range 100 {
		results = append(results, p.ApplyAsync(t.Context(), "burn", []byte{0, 0, 0, 0, 1, 0, 0, 0})) // for hours
	}
	stuck := p.IMap(t.Context(), "burn", func(yield func([]byte) bool) {
		for yield([]byte{0, 0, 0, 0, 1, 0, 0, 0}) {
			continue
		}
	}, executor.Buffer(2))
	p.Terminate()
	p.Terminate()
	if err := p.Join(t.Context()); err != nil {
		t.Fatal(err)
	}
	waited := 0
	for i, r := range results {
		if ok, err := r.Successful(); ok || err != nil {
			t.Fatalf("result %d: %t, %v", i, ok, err)
		}
		switch _, err := r.Get(t.Context()); {
		case errors.Is(err, executor.ErrClosed):
			waited++
		case !errors.Is(err, executor.ErrKilled):
			t.Errorf("result %d: %v", i, err)
		}
	}
	if waited == 0 {
		t.Error("of 100 calls none waited")
	}
	for _, err := range stuck.All(t.Context()) {
		if err == nil {
			t.Error("a terminated stream has a result")
		}
	}
}

func TestWith(t *testing.T) {
	t.Parallel()
	p := open(t)
	third := p.With(executor.Retries(executor.RetryPolicy{Attempts: 3}))
	if got, err := third.Apply(t.Context(), "third", nil); err != nil || string(got) != "attempt 3" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := p.Apply(t.Context(), "third", nil); err == nil {
		t.Error("options of With hold for the pool itself")
	}
}

// TestPools runs several pools on one executor, at once and one after the other.
func TestPools(t *testing.T) {
	t.Parallel()
	ex := open(t).Executor()
	for range 3 {
		p, q := pool.New(ex), pool.New(ex)
		a := p.MapAsync(t.Context(), "echo", [][]byte{[]byte("p")})
		b := q.MapAsync(t.Context(), "echo", [][]byte{[]byte("q")})
		p.Close()
		if err := p.Join(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got, err := a.Get(t.Context()); err != nil || string(got[0]) != "p" {
			t.Errorf("%s, %v", got, err)
		}
		if got, err := q.Apply(t.Context(), "echo", []byte("still")); err != nil || string(got) != "still" {
			t.Errorf("the other pool: %q, %v", got, err)
		}
		if got, err := b.Get(t.Context()); err != nil || string(got[0]) != "q" {
			t.Errorf("%s, %v", got, err)
		}
		q.Close()
		if err := q.Join(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}
