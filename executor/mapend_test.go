package executor_test

import (
	"context"
	"errors"
	"iter"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/executor"
)

// A mapFunc is Map or MapUnordered of an executor.
type mapFunc = func(context.Context, string, iter.Seq[[]byte], ...executor.MapOption) iter.Seq2[[]byte, error]

func mapsOf(ex *executor.Executor) map[string]mapFunc {
	return map[string]mapFunc{"ordered": ex.Map, "unordered": ex.MapUnordered}
}

// hold occupies the one slot of an executor until the returned function is called.
func hold(t testing.TB, ex *executor.Executor) (release func()) {
	t.Helper()
	long := ex.Submit(t.Context(), "forever", nil)
	eventually(t, "the long call runs", func() bool { return long.State() == executor.Running })
	return func() { long.Kill("the slot is needed") }
}

// ran returns how many calls the workers have answered.
func ran(t testing.TB, ex *executor.Executor) (n uint64) {
	t.Helper()
	st, err := ex.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range st.Workers {
		n += w.Calls
	}
	return n
}

// idle waits until a pool has nothing to do.
func idle(t testing.TB, ex *executor.Executor) {
	t.Helper()
	eventually(t, "the pool is idle", func() bool {
		idle, err := ex.Idle(t.Context())
		return idle && err == nil
	})
}

// TestMapEnds ends maps whose calls wait, in every way there is: the iteration ends
// with the context's error, and no call that waits runs after that, not even the
// one that was waited for.
func TestMapEnds(t *testing.T) {
	t.Parallel()
	parent := open(t, executor.Config{RootSlots: 1})
	for _, n := range []int{1, 5, 256, 300} {
		ex := parent.Fork()
		for name, each := range mapsOf(ex) {
			before := ran(t, ex)
			release := hold(t, parent)
			ctx, cancel := context.WithCancel(t.Context())
			fed := make(chan struct{})
			input := func(yield func([]byte) bool) {
				for arg := range numbers(n) {
					if !yield(arg) {
						t.Errorf("%s of %d: the input was not wanted", name, n)
					}
				}
				close(fed)
			}
			results := each(ctx, "echo", input, executor.Buffer(1000))
			<-fed
			cancel()
			count := 0
			for _, err := range results {
				if count++; !errors.Is(err, context.Canceled) {
					t.Errorf("%s of %d: yielded %v", name, n, err)
				}
			}
			if count != 1 {
				t.Errorf("%s of %d: %d elements after the end of the context", name, n, count)
			}
			release()
			idle(t, ex)
			const ahead = 3 // what was sent behind the long call
			if got := ran(t, ex) - before - 1; got > ahead {
				t.Errorf("%s of %d: %d calls ran after the end of the context", name, n, got)
			}
		}
		if err := ex.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// TestMapEndsUnasked checks that the end of its context ends a map that nobody goes
// through.
func TestMapEndsUnasked(t *testing.T) {
	t.Parallel()
	ex := open(t, executor.Config{RootSlots: 1})
	for _, each := range mapsOf(ex) {
		release := hold(t, ex)
		ctx, cancel := context.WithCancel(t.Context())
		results := each(ctx, "forever", numbers(500), executor.Buffer(1000))
		waiting := func() int {
			st, err := ex.Stats(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return st.Queued
		}
		eventually(t, "its calls wait", func() bool { return waiting() > 400 })
		cancel()
		eventually(t, "they are dropped", func() bool { return waiting() == 0 })
		if err := last(results); !errors.Is(err, context.Canceled) {
			t.Errorf("it ends with %v", err)
		}
		release()
		if n, err := ex.KillAll(t.Context(), "those that were sent ahead"); n > 4 || err != nil {
			t.Errorf("%d calls were left, %v", n, err)
		}
	}
}

// TestMapInputExits checks that an input that ends its goroutine ends the iteration
// with an error, after the results of the arguments before it.
func TestMapInputExits(t *testing.T) {
	t.Parallel()
	ex := shape(t).Fork()
	exits := func(yield func([]byte) bool) {
		for arg := range numbers(3) {
			if !yield(arg) {
				return
			}
		}
		runtime.Goexit()
	}
	inputs := map[string]iter.Seq2[[]byte, error]{
		"Map": ex.Map(t.Context(), "echo", exits), "MapUnordered": ex.MapUnordered(t.Context(), "echo", exits),
		"Batch": ex.SubmitBatch(t.Context(), "echo", exits).Ordered(t.Context()), "Stream": ex.Stream(t.Context(), "echo", exits).All(t.Context()),
	}
	for name, results := range inputs {
		good := 0
		var failure error
		for _, err := range results {
			if err == nil {
				good++
			}
			failure = err
		}
		if good != 3 || failure == nil || !strings.Contains(failure.Error(), "Goexit") {
			t.Errorf("%s: %d results, then %v", name, good, failure)
		}
	}
	if err := ex.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestMapDeadlines ends maps at random moments, and their forks after them.
func TestMapDeadlines(t *testing.T) {
	t.Parallel()
	ex := shape(t)
	rounds := 400
	if testing.Short() {
		rounds /= 4
	}
	for range rounds {
		fork := ex.Fork()
		maps := mapsOf(fork)
		each := maps[[]string{"ordered", "unordered"}[rand.IntN(2)]]
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rand.IntN(2000))*time.Microsecond)
		n, count := 1+rand.IntN(600), 0
		for _, err := range each(ctx, "echo", numbers(n), executor.Buffer(1+rand.IntN(1000))) {
			if err != nil && !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("yielded %v", err)
			}
			if err != nil && ctx.Err() == nil {
				t.Error("it ended before its context")
			}
			count++
		}
		cancel()
		if count > n+1 {
			t.Errorf("%d elements for %d arguments", count, n)
		}
		if err := fork.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// TestBufferIsExact checks that a buffer of n reads n elements of an input that
// consumes something, and not one more.
func TestBufferIsExact(t *testing.T) {
	t.Parallel()
	ex := open(t, executor.Config{RootSlots: 1})
	defer hold(t, ex)()
	const n = 5
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var pulled [6]atomic.Int64
	input := func(i int) iter.Seq[[]byte] {
		return func(yield func([]byte) bool) {
			for {
				pulled[i].Add(1)
				if !yield(number(i)) {
					return
				}
			}
		}
	}
	ex.Map(ctx, "echo", input(0), executor.Buffer(n))
	ex.MapUnordered(ctx, "echo", input(1), executor.Buffer(n))
	ex.SubmitBatch(ctx, "echo", input(2), executor.Buffer(n))
	ex.Stream(ctx, "echo", input(3), executor.Buffer(n))
	ex.Map(ctx, "echo", input(4), executor.Buffer(n), executor.Chunk(3))
	ex.Map(ctx, "echo", input(5), executor.Buffer(n), executor.Chunk(100))
	for i := range pulled {
		eventually(t, "the buffer is full", func() bool { return pulled[i].Load() >= n })
	}
	time.Sleep(20 * time.Millisecond) // for one that reads more
	for i := range pulled {
		if got := pulled[i].Load(); got != n {
			t.Errorf("input %d: %d elements were read into a buffer of %d", i, got, n)
		}
	}
}

// TestMapGoesOn checks that maps which nobody goes through read on when their first
// results, or failures, have come: as far as their look-ahead, whoever was faster.
func TestMapGoesOn(t *testing.T) {
	t.Parallel()
	ex := shape(t).Fork()
	for round := range 200 {
		var pulled atomic.Int64
		input := func(yield func([]byte) bool) {
			for n := range numbers(50) {
				pulled.Add(1)
				if !yield(n) {
					return
				}
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		ex.Map(ctx, []string{"echo", "fail"}[round%2], input)
		eventually(t, "all of the input is read", func() bool { return pulled.Load() == 50 })
		cancel()
		if t.Failed() {
			return
		}
	}
}

func TestMapStopsEarly(t *testing.T) {
	t.Parallel()
	ex := shape(t)
	pulled := 0
	endless := func(yield func([]byte) bool) {
		for yield(number(pulled)) {
			pulled++
		}
	}
	n := 0
	for _, err := range ex.Map(t.Context(), "echo", endless) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 1000 {
			break
		}
	}
	if got, err := ex.Call(t.Context(), "square", []byte("2")); string(got) != "4" || err != nil {
		t.Errorf("a call after the break: %q, %v", got, err)
	}
}

func TestMapContext(t *testing.T) {
	t.Parallel()
	ex := shape(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	blocked := func(yield func([]byte) bool) {
		for i := range 10 {
			if !yield(number(i)) {
				return
			}
		}
		<-ctx.Done() // an input that has no more to say
	}
	n := 0
	var last error
	for _, err := range ex.Map(ctx, "echo", blocked) {
		last = err
		if n++; n == 10 {
			cancel()
		}
	}
	if n != 11 || !errors.Is(last, context.Canceled) {
		t.Errorf("%d elements, the last with %v", n, last)
	}
}

func TestMapPanickingInput(t *testing.T) {
	t.Parallel()
	ex := shape(t)
	broken := func(yield func([]byte) bool) {
		yield(number(1))
		panic("the input broke")
	}
	n := 0
	defer func() {
		if v := recover(); v != "the input broke" || n != 1 {
			t.Errorf("%d results, then the panic %v", n, v)
		}
	}()
	for _, err := range ex.Map(t.Context(), "echo", broken) {
		if err != nil {
			t.Error(err)
		}
		n++
	}
}

// TestMapFailingInput checks that an input's error surfaces after what came
// before it.
func TestMapFailingInput(t *testing.T) {
	t.Parallel()
	ex := shape(t)
	torn := errors.New("the file is torn")
	input := func(yield func([]byte, error) bool) {
		for n := range numbers(100) {
			if !yield(n, nil) {
				return
			}
		}
		yield(nil, torn)
	}
	n := 0
	var failure error
	for _, err := range ex.MapFrom(t.Context(), "echo", input) {
		if n++; err != nil {
			failure = err
		}
	}
	if n != 101 || !errors.Is(failure, torn) {
		t.Errorf("%d elements, %v", n, failure)
	}
}

// TestCancelPendingOfMap cancels the waiting calls of maps that go on, whose futures
// are then those of other calls.
func TestCancelPendingOfMap(t *testing.T) {
	t.Parallel()
	const calls = 20_000
	ex := open(t, executor.Config{RootSlots: 1})
	maps := map[string]func(context.Context, string, iter.Seq[[]byte], ...executor.MapOption) iter.Seq2[[]byte, error]{
		"ordered": ex.Map, "unordered": ex.MapUnordered,
	}
	for name, each := range maps {
		long := ex.Submit(t.Context(), "forever", nil) // so that calls wait
		eventually(t, "the long call runs", func() bool { return long.State() == executor.Running })
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			defer long.Kill("the slot is needed")
			eventually(t, "calls wait, as nobody has cancelled any", func() bool {
				st, err := ex.Stats(t.Context())
				return err == nil && st.Queued > 0
			})
			for round := range 40 {
				if round == 20 {
					long.Kill("the slot is needed")
				}
				ex.CancelAll()
				time.Sleep(time.Millisecond)
			}
		}()
		cancelled, all := 0, 0
		for got, err := range each(t.Context(), "echo", numbers(calls), executor.Buffer(100)) {
			switch {
			case errors.Is(err, executor.ErrCancelled):
				cancelled++
			case err != nil || len(got) != 8:
				t.Errorf("%s: %d bytes, %v", name, len(got), err)
			}
			all++
		}
		<-ended
		if all != calls || cancelled == 0 {
			t.Errorf("%s: of %d calls %d have an outcome, %d were cancelled", name, calls, all, cancelled)
		}
		if _, err := ex.Call(t.Context(), "echo", []byte("x")); err != nil { // the queue is as it should be
			t.Errorf("%s: %v", name, err)
		}
	}
}
