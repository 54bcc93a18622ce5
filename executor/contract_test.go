package executor_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/host"
)

// The tests of this file hold what docs/conformance.md promises. They run in
// every shape; what shuts an executor down does it to a fork.

// eventually waits until a condition holds, and says what it waited for when it does
// not. It may be called on any goroutine.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Errorf("waited for a minute: %s", what)
			return
		}
	}
}

// submitSlow submits n calls of about a millisecond, so that further ones wait.
func submitSlow(t *testing.T, ex *executor.Executor, n int) []*executor.Future {
	t.Helper()
	futures := make([]*executor.Future, n)
	for i := range futures {
		futures[i] = ex.Submit(t.Context(), "burn", number(2_000))
	}
	return futures
}

func TestOnDone(t *testing.T) {
	t.Parallel()
	ex := shape(t).Fork()
	f := ex.Submit(t.Context(), "burn", number(1_000))
	var mu sync.Mutex
	var got []int
	last := make(chan struct{})
	for i := range 10 {
		f.OnDone(func(g *executor.Future) {
			mu.Lock()
			defer mu.Unlock()
			if g != f || g.State() != executor.Finished {
				t.Errorf("callback %d is told of %v", i, g)
			}
			got = append(got, i)
		})
	}
	f.OnDone(func(*executor.Future) { close(last) })
	<-last
	mu.Lock()
	if !slices.Equal(got, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}) {
		t.Errorf("callbacks ran as %v", got)
	}
	mu.Unlock()
	again := make(chan struct{})
	f.OnDone(func(*executor.Future) { close(again) }) // at once: it is done
	<-again
	refused := ex.Submit(t.Context(), "no such task", nil)
	failed := make(chan struct{})
	refused.OnDone(func(*executor.Future) { close(failed) })
	<-failed
}

// TestOnDonePanics checks that a callback that panics is logged, and that those
// after it run.
func TestOnDonePanics(t *testing.T) {
	t.Parallel()
	var log lockedBuffer
	ex := open(t, executor.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	f := ex.Submit(t.Context(), "echo", nil)
	f.OnDone(func(*executor.Future) { panic("a bad callback") })
	after := make(chan struct{})
	f.OnDone(func(*executor.Future) { close(after) })
	<-after
	if got := log.String(); !strings.Contains(got, "a bad callback") {
		t.Errorf("the log is %q", got)
	}
}

// TestOnDoneSubmits checks that a callback may submit calls and shut down.
func TestOnDoneSubmits(t *testing.T) {
	t.Parallel()
	ex := shape(t).Fork()
	got := make(chan *executor.Future, 1)
	ex.Submit(t.Context(), "echo", number(1)).OnDone(func(*executor.Future) {
		got <- ex.Submit(context.Background(), "square", []byte("7"))
		ex.Shutdown(context.Background(), executor.NoWait) //nolint:errcheck // it does not wait
	})
	if data, err := (<-got).Result(t.Context()); err != nil || string(data) != "49" {
		t.Errorf("%q, %v", data, err)
	}
	<-ex.Ended()
}

func TestFutureInfo(t *testing.T) {
	t.Parallel()
	ex := sound(t).Fork()
	f := ex.Submit(t.Context(), "burn", number(2_000), executor.Tags("a", "b"))
	if err := f.Err(t.Context()); err != nil {
		t.Fatal(err)
	}
	info, ok := f.Info()
	if !ok || info.Attempt != 1 || info.Host == "" || info.Rank < 0 || info.Ran <= 0 || info.Queued < 0 || info.Queued > time.Hour || !slices.Equal(info.Tags, []string{"a", "b"}) || info.Task != "burn" {
		t.Errorf("%+v, %t", info, ok)
	}
	if s := f.String(); !strings.Contains(s, "finished") || !strings.Contains(s, "burn") {
		t.Errorf("String is %q", s)
	}
	if info, ok := ex.Submit(t.Context(), "none?", nil).Info(); !ok || info.Rank != -1 {
		t.Errorf("a call that never ran: %+v", info)
	}
}

// TestEmptyOutcomes checks that a result of no bytes is a success and an error
// without a message an error.
func TestEmptyOutcomes(t *testing.T) {
	t.Parallel()
	ex := shape(t)
	if got, err := ex.Submit(t.Context(), "none", []byte("x")).Result(t.Context()); err != nil || len(got) != 0 {
		t.Errorf("none: %q, %v", got, err)
	}
	if err := ex.Submit(t.Context(), "fail", nil).Err(t.Context()); err == nil || err.Error() == "" {
		t.Errorf("an error without a message is %v", err)
	}
}

func TestOptionsChecked(t *testing.T) {
	t.Parallel()
	ex := shape(t)
	for name, o := range map[string]executor.CallOption{
		"priority": executor.Priority(executor.MaxPriority + 1),
		"attempts": executor.Retries(executor.RetryPolicy{Attempts: -1}),
		"backoff":  executor.Retries(executor.RetryPolicy{Backoff: -1}),
		"memory":   executor.Retries(executor.RetryPolicy{MoreMemory: -1}),
		"time":     executor.Retries(executor.RetryPolicy{MoreTime: 0.5}),
		"no one's": executor.Retries(executor.RetryPolicy{MoreTime: math.NaN()}),
		"no end":   executor.Retries(executor.RetryPolicy{MoreMemory: math.Inf(1)}),
		"timeout":  executor.Timeout(0),
		"deadline": executor.Timeout(time.Until(time.Now().Add(-time.Second))),
	} {
		if _, err := ex.Call(t.Context(), "echo", nil, o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := ex.Call(t.Context(), "echo", nil, executor.WithLimits(executor.Limits{Time: -1})); err != nil {
		t.Errorf("no limit: %v", err)
	}
	for name, o := range map[string]executor.MapOption{"buffer": executor.Buffer(0), "chunk": executor.Chunk(-1), "key": executor.Key("k")} {
		for _, err := range ex.Map(t.Context(), "echo", numbers(1), o) {
			if err == nil {
				t.Errorf("%s: accepted", name)
			}
		}
	}
}

// TestPriority checks that calls of high priority overtake those that wait.
func TestPriority(t *testing.T) {
	t.Parallel()
	ex := open(t, executor.Config{RootSlots: 1})
	if _, err := ex.Call(t.Context(), "burn", number(5_000)); err != nil { // the run time is known from here
		t.Fatal(err)
	}
	release := hold(t, ex)
	low := make([]*executor.Future, 50)
	for i := range low {
		low[i] = ex.Submit(t.Context(), "burn", number(5_000), executor.Priority(-1))
	}
	high := ex.Submit(t.Context(), "burn", number(5_000), executor.Priority(executor.MaxPriority))
	release()
	if err := high.Err(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s := low[len(low)-1].State(); s == executor.Finished {
		t.Error("a call of high priority was overtaken by 50 of low")
	}
	ex.CancelPending()
}

func TestKey(t *testing.T) {
	t.Parallel()
	ex := open(t, executor.Config{RootSlots: 1})
	release := hold(t, ex)
	a := ex.Submit(t.Context(), "where", nil, executor.Key("k"))
	b := ex.Submit(t.Context(), "where", nil, executor.Key("k"))
	if a != b {
		t.Error("two calls of one key run")
	}
	if err := ex.Submit(t.Context(), "where", []byte("x"), executor.Key("k")).Err(t.Context()); err == nil {
		t.Error("a key is taken for another argument")
	}
	if err := ex.Submit(t.Context(), "echo", nil, executor.Key("k")).Err(t.Context()); err == nil {
		t.Error("a key is used for two tasks")
	}
	release()
	if err := a.Err(t.Context()); err != nil {
		t.Fatal(err)
	}
	if c := ex.Submit(t.Context(), "where", nil, executor.Key("k")); c == a {
		t.Error("the key of a finished call is not free")
	}
}

// TestRetries checks how often a failing call runs, and that it is told.
func TestRetries(t *testing.T) {
	t.Parallel()
	ex := sound(t).Fork()
	for _, tc := range []struct {
		task, arg string
		policy    executor.RetryPolicy
		attempts  int
	}{
		{"fail", "x", executor.RetryPolicy{}, 1},
		{"fail", "x", executor.RetryPolicy{Attempts: 3}, 3},
		{"fail", "x", executor.RetryPolicy{Attempts: 4, Backoff: time.Millisecond}, 4},
		{"fail", "x", executor.RetryPolicy{Attempts: 4, Kinds: []executor.Kind{host.KindTrap}}, 1},
		{"deadlock", "", executor.RetryPolicy{Attempts: 2, Kinds: []executor.Kind{host.KindTrap}}, 2},
		{"square", "twelve", executor.RetryPolicy{Attempts: 5}, 1}, // bad input stays bad
	} {
		_, err := ex.Call(t.Context(), tc.task, []byte(tc.arg), executor.Retries(tc.policy))
		var failed *executor.TaskError
		if !errors.As(err, &failed) || failed.Attempt != tc.attempts {
			t.Errorf("%s with %+v: %v", tc.task, tc.policy, err)
		}
	}
	// It succeeds when it is told that this is its third run.
	f := ex.Submit(t.Context(), "third", nil, executor.Retries(executor.RetryPolicy{Attempts: 5, Backoff: time.Microsecond}))
	if got, err := f.Result(t.Context()); err != nil || string(got) != "attempt 3" {
		t.Errorf("third: %q, %v", got, err)
	}
	if info, _ := f.Info(); info.Attempt != 3 {
		t.Errorf("Info says attempt %d", info.Attempt)
	}
}

// TestRetryMoreTime checks that a call that ran out of time gets more.
func TestRetryMoreTime(t *testing.T) {
	t.Parallel()
	ex := sound(t).Fork()
	f := ex.Submit(t.Context(), "burn", number(100_000), executor.Timeout(3*time.Millisecond),
		executor.Retries(executor.RetryPolicy{Attempts: 20, MoreTime: 4}))
	if err := f.Err(t.Context()); err != nil {
		t.Fatal(err)
	}
	if info, _ := f.Info(); info.Attempt < 2 {
		t.Errorf("it took %d runs, of %v", info.Attempt, info.Ran)
	}
}

// TestRetryRests checks that a call that rests before another run can be
// cancelled, and does not outlive Shutdown's patience.
func TestRetryRests(t *testing.T) {
	t.Parallel()
	ex := open(t, executor.Config{}).Fork() // no other test's call rests here
	policy := executor.Retries(executor.RetryPolicy{Attempts: 2, Backoff: time.Hour, MaxBackoff: time.Hour})
	resting := func() *executor.Future {
		f := ex.Submit(t.Context(), "fail", []byte("x"), policy)
		eventually(t, "a call rests", func() bool {
			st, err := ex.Stats(t.Context())
			return err == nil && st.Resting > 0
		})
		return f
	}
	f := resting()
	if !f.Cancel() {
		t.Error("a resting call cannot be cancelled")
	}
	g := ex.Submit(t.Context(), "fail", []byte("x"), policy)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := ex.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Shutdown with a resting call: %v", err)
	}
	if err := g.Err(t.Context()); err == nil {
		t.Error("the resting call succeeded")
	}
	<-ex.Ended()
}

// TestRetryWithdrawn checks that Shutdown does not wait for the rest of a call that
// was cancelled, before or meanwhile.
func TestRetryWithdrawn(t *testing.T) {
	t.Parallel()
	ex := open(t, executor.Config{})
	policy := executor.Retries(executor.RetryPolicy{Attempts: 2, Backoff: time.Hour, MaxBackoff: time.Hour})
	var futures []*executor.Future
	for range 2 {
		futures = append(futures, ex.Submit(t.Context(), "fail", []byte("x"), policy))
	}
	eventually(t, "the calls rest", func() bool {
		st, err := ex.Stats(t.Context())
		return err == nil && st.Resting == len(futures)
	})
	futures[0].Cancel()
	ex.Shutdown(t.Context(), executor.NoWait) //nolint:errcheck // without waiting there is no error
	time.Sleep(50 * time.Millisecond)
	futures[1].Cancel()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := ex.Shutdown(ctx); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}

func TestWait(t *testing.T) {
	t.Parallel()
	ex := shape(t).Fork()
	good := func() *executor.Future { return ex.Submit(t.Context(), "echo", number(1)) }
	bad := func() *executor.Future { return ex.Submit(t.Context(), "fail", []byte("x")) }
	if done, pending, err := executor.Wait(t.Context(), []*executor.Future{good(), bad(), good()}, executor.AllDone); len(done) != 3 || len(pending) != 0 || err != nil {
		t.Errorf("AllDone: %v, %v, %v", done, pending, err)
	}
	slow := ex.Submit(t.Context(), "burn", number(200_000))
	if done, pending, err := executor.Wait(t.Context(), []*executor.Future{slow, good(), slow}, executor.FirstDone); len(done)+len(pending) != 2 || len(done) < 1 || err != nil {
		t.Errorf("FirstDone: %v, %v, %v", done, pending, err)
	}
	if done, _, err := executor.Wait(t.Context(), []*executor.Future{slow, bad()}, executor.FirstError); len(done) < 1 || err != nil {
		t.Errorf("FirstError: %v, %v", done, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	never := ex.Submit(t.Context(), "forever", nil)
	if _, pending, err := executor.Wait(ctx, []*executor.Future{never}, executor.AllDone); len(pending) != 1 || !errors.Is(err, context.Canceled) {
		t.Errorf("a context that has ended: %v, %v", pending, err)
	}
	if done, pending, err := executor.Wait(t.Context(), []*executor.Future(nil), executor.AllDone); len(done)+len(pending) != 0 || err != nil {
		t.Errorf("nothing: %v, %v, %v", done, pending, err)
	}
	never.Kill("the test is over")
}

func TestAsCompleted(t *testing.T) {
	t.Parallel()
	ex := shape(t).Fork()
	var futures []*executor.Future
	for i := range 500 {
		futures = append(futures, ex.Submit(t.Context(), "odd", number(i)))
	}
	futures = append(futures, futures[0], futures[1]) // twice is once
	seen := map[*executor.Future]int{}
	for f, err := range executor.AsCompleted(t.Context(), futures) {
		if err != nil {
			t.Fatal(err)
		}
		if f.State() != executor.Finished {
			t.Fatalf("%v is yielded", f)
		}
		seen[f]++
	}
	if len(seen) != 500 {
		t.Errorf("%d futures of 500", len(seen))
	}
	for f, n := range seen {
		if n != 1 {
			t.Errorf("%v came %d times", f, n)
		}
	}
	for f, err := range executor.AsCompleted(t.Context(), futures) {
		if f == nil || err != nil {
			t.Errorf("got %v, %v", f, err)
		}
		break // leaving early is fine
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	never := ex.Submit(t.Context(), "forever", nil)
	var last error
	for _, err := range executor.AsCompleted(ctx, []*executor.Future{never}) {
		last = err
	}
	if !errors.Is(last, context.Canceled) {
		t.Errorf("a context that has ended: %v", last)
	}
	never.Kill("the test is over")
}

func TestCollect(t *testing.T) {
	t.Parallel()
	ex := shape(t).Fork()
	var futures []*executor.Future
	for i := range 300 {
		futures = append(futures, ex.Submit(t.Context(), "echo", number(i)))
	}
	got, err := executor.Collect(t.Context(), futures)
	if err != nil || len(got) != 300 {
		t.Fatalf("%d results, %v", len(got), err)
	}
	for i, b := range got {
		if !bytes.Equal(b, number(i)) {
			t.Fatalf("result %d is % x", i, b)
		}
	}
	bad := ex.Submit(t.Context(), "fail", []byte("the first error"), executor.Priority(7))
	rest := submitSlow(t, ex, 200)
	if _, err := executor.Collect(t.Context(), append(rest, bad)); err == nil || !strings.Contains(err.Error(), "the first error") {
		t.Errorf("Collect: %v", err)
	}
	if done, pending, err := executor.Wait(t.Context(), rest, executor.AllDone); err != nil || len(pending) > 0 || len(done) != 200 {
		t.Errorf("the rest: %d done, %d pending, %v", len(done), len(pending), err)
	}
}

func TestThen(t *testing.T) {
	t.Parallel()
	ex := shape(t).Fork()
	f := ex.Submit(t.Context(), "square", []byte("3")).Then("square").Then("square")
	if got, err := f.Result(t.Context()); err != nil || string(got) != "6561" {
		t.Errorf("%q, %v", got, err)
	}
	g := ex.Submit(t.Context(), "fail", []byte("broken link")).Then("square").Then("echo")
	if err := g.Err(t.Context()); err == nil || !strings.Contains(err.Error(), "broken link") {
		t.Errorf("a chain that broke: %v", err)
	}
	long := ex.Submit(t.Context(), "forever", nil)
	h := long.Then("echo")
	if !h.Cancel() || h.State() != executor.Cancelled {
		t.Errorf("the end of a chain cannot be cancelled: %v", h)
	}
	long.Kill("the test is over")
	if err := long.Err(t.Context()); !errors.Is(err, executor.ErrKilled) {
		t.Errorf("the start of it: %v", err)
	}
	if err := ex.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestBatch(t *testing.T) {
	t.Parallel()
	ex := shape(t).Fork()
	b := ex.SubmitBatch(t.Context(), "echo", numbers(1_000))
	got, err := b.Results(t.Context())
	if err != nil || len(got) != 1_000 || b.Submitted() != 1_000 || b.Finished() != 1_000 {
		t.Fatalf("%d results, %v; %v", len(got), err, b)
	}
	<-b.Done()
	if list := b.Futures(); len(list) != 1_000 || list[999].State() != executor.Finished {
		t.Errorf("%d futures", len(list))
	}
	for range 2 { // it can be gone through again
		i := 0
		for data, err := range b.Ordered(t.Context()) {
			if err != nil || !bytes.Equal(data, number(i)) {
				t.Fatalf("element %d: % x, %v", i, data, err)
			}
			i++
		}
		seen := map[string]bool{}
		for data, err := range b.Unordered(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			seen[string(data)] = true
		}
		if i != 1_000 || len(seen) != 1_000 {
			t.Fatalf("%d in order, %d without", i, len(seen))
		}
	}
	hooked := make(chan struct{})
	b.OnDone(func(*executor.Batch) { close(hooked) })
	<-hooked
	if err := last(ex.SubmitBatch(t.Context(), "no such task", numbers(3)).Ordered(t.Context())); err == nil {
		t.Error("a batch of an unknown task has no error")
	}
	if err := last(ex.SubmitBatch(t.Context(), "echo", broken(5)).Unordered(t.Context())); err == nil || !strings.Contains(err.Error(), "the input broke") {
		t.Errorf("a batch with a broken input: %v", err)
	}
}

// TestBatchIsLazy checks that a batch with a buffer pulls its input as calls
// finish, and that Cancel ends it.
func TestBatchIsLazy(t *testing.T) {
	t.Parallel()
	ex := shape(t).Fork()
	var pulled atomic.Int64
	endless := func(yield func([]byte) bool) {
		for yield(number(100)) {
			pulled.Add(1)
		}
	}
	b := ex.SubmitBatch(t.Context(), "burn", endless, executor.Buffer(10))
	n := 0
	for _, err := range b.Ordered(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if open := b.Submitted() - b.Finished(); open > 10 {
			t.Errorf("%d calls are open", open)
		}
		if n++; n == 100 {
			break
		}
	}
	b.Cancel()
	<-b.Done()
}

func last[T any](results iter.Seq2[T, error]) (last error) {
	for _, err := range results {
		last = err
	}
	return last
}

// broken is an input that panics after n arguments.
func broken(n int) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for i := range n {
			if !yield(number(i)) {
				return
			}
		}
		panic("the input broke")
	}
}

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

func TestMapUnordered(t *testing.T) {
	t.Parallel()
	ex := shape(t).Fork()
	for _, n := range []int{0, 1, 300, 20_000} {
		seen := map[string]bool{}
		for got, err := range ex.MapUnordered(t.Context(), "echo", numbers(n)) {
			if err != nil {
				t.Fatal(err)
			}
			seen[string(got)] = true
		}
		if len(seen) != n {
			t.Errorf("%d different results of %d", len(seen), n)
		}
	}
	endless := func(yield func([]byte) bool) {
		for i := 0; yield(number(i)); i++ {
			continue
		}
	}
	n := 0
	for _, err := range ex.MapUnordered(t.Context(), "odd", endless) {
		if err != nil && !strings.Contains(err.Error(), "is odd") {
			t.Fatal(err)
		}
		if n++; n == 1_000 {
			break
		}
	}
	if err := ex.Shutdown(t.Context()); err != nil {
		t.Error(err)
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
				ex.CancelPending()
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

// TestMapIndexed checks that each result comes with the number of its argument,
// and what ends the iteration without one.
func TestMapIndexed(t *testing.T) {
	t.Parallel()
	ex := shape(t).Fork()
	for _, n := range []int{0, 1, 300, 20_000} {
		seen := map[int64]bool{}
		for i, o := range ex.MapIndexed(t.Context(), "echo", numbers(n)) {
			if o.Err != nil || string(o.Result) != string(number(int(i))) || seen[i] {
				t.Fatalf("argument %d: %q, %v", i, o.Result, o.Err)
			}
			seen[i] = true
		}
		if len(seen) != n {
			t.Errorf("%d results of %d", len(seen), n)
		}
	}
	for i, o := range ex.MapIndexed(t.Context(), "nosuch", numbers(3)) {
		if i != -1 || o.Err == nil {
			t.Errorf("an unknown task: %d, %v", i, o.Err)
		}
	}
	ended, end := context.WithCancel(t.Context())
	end()
	var last error
	for _, o := range ex.MapIndexed(ended, "echo", numbers(1_000_000)) {
		last = o.Err
	}
	if !errors.Is(last, context.Canceled) {
		t.Errorf("after the end of its context: %v", last)
	}
	if err := ex.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestMapOptions checks that buffer and chunk bound what is read ahead and change
// no result.
func TestMapOptions(t *testing.T) {
	t.Parallel()
	ex := shape(t).Fork()
	for _, opts := range [][]executor.MapOption{
		{executor.Buffer(1)}, {executor.Buffer(5)}, {executor.Chunk(1)}, {executor.Chunk(64)}, {executor.Chunk(7), executor.Buffer(100)}, {executor.Priority(3)},
	} {
		pulled, i := 0, 0
		input := func(yield func([]byte) bool) {
			for n := range numbers(1_000) {
				pulled++
				if !yield(n) {
					return
				}
			}
		}
		for got, err := range ex.Map(t.Context(), "echo", input, opts...) {
			if err != nil || !bytes.Equal(got, number(i)) {
				t.Fatalf("element %d: % x, %v", i, got, err)
			}
			i++
		}
		if i != 1_000 || pulled != 1_000 {
			t.Errorf("%d results, %d pulled", i, pulled)
		}
	}
	var pulled atomic.Int64
	counted := func(yield func([]byte) bool) {
		for n := range numbers(1_000) {
			pulled.Add(1)
			if !yield(n) {
				return
			}
		}
	}
	n := int64(0)
	for _, err := range ex.Map(t.Context(), "echo", counted, executor.Buffer(10)) {
		if err != nil {
			t.Fatal(err)
		}
		n++
		if ahead := pulled.Load() - n; ahead > 10 {
			t.Fatalf("%d were read ahead of a buffer of 10", ahead)
		}
	}
}

// TestMapStartsAtOnce checks that Map submits without being iterated.
func TestMapStartsAtOnce(t *testing.T) {
	t.Parallel()
	ex := shape(t).Fork()
	var pulled atomic.Int64
	input := func(yield func([]byte) bool) {
		for n := range numbers(50) {
			pulled.Add(1)
			if !yield(n) {
				return
			}
		}
	}
	results := ex.Map(t.Context(), "echo", input)
	eventually(t, "the input is read", func() bool { return pulled.Load() == 50 })
	if err := ex.Shutdown(t.Context()); err != nil { // and it waits for them
		t.Fatal(err)
	}
	n := 0
	for _, err := range results {
		if err != nil && !errors.Is(err, executor.ErrClosed) {
			t.Fatal(err)
		}
		n++
	}
	if n == 0 {
		t.Error("no result")
	}
	if err := last(results); err == nil {
		t.Error("the results can be gone through twice")
	}
	// One that nobody goes through ends with its executor.
	never := shape(t).Fork()
	never.Map(t.Context(), "echo", func(yield func([]byte) bool) {
		for yield(number(1)) {
			continue
		}
	}, executor.Buffer(3))
	if err := never.Shutdown(t.Context()); err != nil {
		t.Error(err)
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

func TestZip(t *testing.T) {
	t.Parallel()
	ex := shape(t)
	seq := func(texts ...string) iter.Seq[[]byte] {
		return func(yield func([]byte) bool) {
			for _, s := range texts {
				if !yield([]byte(s)) {
					return
				}
			}
		}
	}
	var got []string
	for data, err := range ex.Map(t.Context(), "sum", executor.Zip(seq("1", "2", "3"), seq("10", "20"))) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(data))
	}
	if !slices.Equal(got, []string{"11", "22"}) {
		t.Errorf("sums: %v", got)
	}
	for range executor.Zip() {
		t.Error("nothing zipped has elements")
	}
}

func TestTyped(t *testing.T) {
	t.Parallel()
	ex := shape(t)
	square := executor.NewTyped[float64, float64](ex, "square", executor.Tags("typed"))
	if got, err := square.Call(t.Context(), 12); got != 144 || err != nil {
		t.Errorf("square(12) = %v, %v", got, err)
	}
	sum := executor.NewTyped[[]float64, float64](ex, "sum")
	if got, err := sum.Submit(t.Context(), []float64{1, 2, 3.5}).Result(t.Context()); got != 6.5 || err != nil {
		t.Errorf("sum = %v, %v", got, err)
	}
	echo := executor.WithCodecs(ex, "echo", executor.Raw(), executor.Raw())
	if got, err := echo.Call(t.Context(), []byte("abc")); string(got) != "abc" || err != nil {
		t.Errorf("echo = %q, %v", got, err)
	}
	want := 0.0
	for got, err := range square.Map(t.Context(), slices.Values([]float64{0, 1, 2, 3}), executor.Buffer(2)) {
		if got != want*want || err != nil {
			t.Errorf("square(%v) = %v, %v", want, got, err)
		}
		want++
	}
	wrong := executor.NewTyped[float64, string](ex, "square")
	if _, err := wrong.Call(t.Context(), 2); err == nil {
		t.Error("a number was decoded as a string")
	}
	if _, err := executor.NewTyped[func(), float64](ex, "square").Call(t.Context(), nil); err == nil {
		t.Error("a function was encoded")
	}
}

// TestForks runs 16 executors at the same time on one set of workers, then three
// one after the other.
func TestForks(t *testing.T) {
	t.Parallel()
	ex := shape(t)
	use := func(id int) error {
		fork := ex.Fork()
		i := 0
		for got, err := range fork.Map(t.Context(), "echo", numbersFrom(id*1_000, 128)) {
			if err != nil || !bytes.Equal(got, number(id*1_000+i)) {
				return fmt.Errorf("executor %d, element %d: % x, %w", id, i, got, err)
			}
			i++
		}
		if i != 128 {
			return fmt.Errorf("executor %d: %d results", id, i)
		}
		if err := fork.Shutdown(t.Context()); err != nil {
			return err
		}
		if _, err := fork.Call(t.Context(), "echo", nil); !errors.Is(err, executor.ErrClosed) || fork.Open() {
			return fmt.Errorf("executor %d takes a call after Shutdown: %w", id, err)
		}
		return fork.Shutdown(t.Context()) // twice is fine
	}
	var all sync.WaitGroup
	for id := range 16 {
		all.Go(func() {
			if err := use(id); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for id := range 3 {
		if err := use(100 + id); err != nil {
			t.Error(err)
		}
	}
	if !ex.Open() {
		t.Error("the executor beneath is closed")
	}
}

func numbersFrom(first, n int) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for i := range n {
			if !yield(number(first + i)) {
				return
			}
		}
	}
}

// TestShutdownCancel checks that a shutdown that cancels 100,000 queued calls
// resolves every one and wakes everybody who waits.
func TestShutdownCancel(t *testing.T) {
	t.Parallel()
	ex := shape(t).Fork()
	submitSlow(t, ex, 50)
	futures := make([]*executor.Future, 100_000)
	for i := range futures {
		futures[i] = ex.Submit(t.Context(), "burn", number(500))
	}
	var woken sync.WaitGroup
	for i := 0; i < len(futures); i += 100 {
		woken.Go(func() { <-futures[i].Done() })
	}
	begin := time.Now()
	if err := ex.Shutdown(t.Context(), executor.CancelPending); err != nil {
		t.Fatal(err)
	}
	t.Logf("Shutdown took %v", time.Since(begin))
	woken.Wait()
	cancelled := 0
	for i, f := range futures {
		select {
		case <-f.Done():
		default:
			t.Fatalf("call %d is %v after Shutdown", i, f)
		}
		if f.State() == executor.Cancelled {
			cancelled++
		}
	}
	if cancelled < 50_000 {
		t.Errorf("%d calls were cancelled", cancelled)
	}
}

// TestShutdownNoWait checks that what is queued still runs.
func TestShutdownNoWait(t *testing.T) {
	t.Parallel()
	ex := shape(t).Fork()
	var futures []*executor.Future
	for i := range 2_000 {
		futures = append(futures, ex.Submit(t.Context(), "echo", number(i)))
	}
	if err := ex.Shutdown(t.Context(), executor.NoWait); err != nil {
		t.Fatal(err)
	}
	if err := ex.Submit(t.Context(), "echo", nil).Err(t.Context()); !errors.Is(err, executor.ErrClosed) {
		t.Errorf("a call after it: %v", err)
	}
	for i, f := range futures {
		if got, err := f.Result(t.Context()); err != nil || !bytes.Equal(got, number(i)) {
			t.Fatalf("call %d: % x, %v", i, got, err)
		}
	}
	<-ex.Ended()
}

// TestNeverStranded submits single calls at the very moments at which workers go
// idle: each is answered.
func TestNeverStranded(t *testing.T) {
	t.Parallel()
	ex := shape(t).Fork()
	var all sync.WaitGroup
	for g := range 3 {
		all.Go(func() {
			for i := range 2_000 {
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
				_, err := ex.Call(ctx, "echo", number(g*i))
				cancel()
				if err != nil {
					t.Errorf("call %d of %d: %v", i, g, err)
					return
				}
			}
		})
	}
	all.Wait()
}

// TestKillRuns checks that a call that computes for ever is ended.
func TestKillRuns(t *testing.T) {
	t.Parallel()
	ex := sound(t).Fork()
	f := ex.Submit(t.Context(), "burn", number(1<<40))
	eventually(t, "a worker has it", func() bool { return f.State() != executor.Pending })
	f.Kill("it takes too long")
	var failed *executor.TaskError
	if err := f.Err(t.Context()); !errors.As(err, &failed) || failed.Kind != host.KindKilled || !strings.Contains(failed.Message, "too long") {
		t.Errorf("a killed call: %v", err)
	}
	if f.Kill("again") {
		t.Error("a finished call was killed")
	}
}

func TestBootupAndIdling(t *testing.T) {
	t.Parallel()
	ex := open(t, executor.Config{})
	if err := ex.Bootup(t.Context()); err != nil {
		t.Fatal(err)
	}
	if idle, err := ex.Idling(t.Context()); !idle || err != nil {
		t.Errorf("a fresh pool idles: %t, %v", idle, err)
	}
	f := ex.Submit(t.Context(), "forever", nil)
	if idle, err := ex.Idling(t.Context()); idle || err != nil {
		t.Errorf("a working pool idles: %t, %v", idle, err)
	}
	f.Kill("the test is over")
}

// TestReleased checks that nothing is kept of a result that was handed over.
func TestReleased(t *testing.T) {
	t.Parallel()
	ex := open(t, executor.Config{})
	const size, n = 64 << 10, 300
	const window = 64 // what buffers of the transport may still refer to, and the last of each iterator
	var freed atomic.Int64
	input := func(yield func([]byte) bool) {
		for range n {
			if !yield(make([]byte, size)) {
				return
			}
		}
	}
	watch := func(results iter.Seq2[[]byte, error]) {
		for data, err := range results {
			if err != nil {
				t.Fatal(err)
			}
			runtime.AddCleanup(&data[0], func(*atomic.Int64) { freed.Add(1) }, &freed)
		}
	}
	ordered, unordered, stream := ex.Map(t.Context(), "echo", input), ex.MapUnordered(t.Context(), "echo", input), ex.Stream(t.Context(), "echo", input)
	watch(ordered)
	watch(unordered)
	watch(stream.All(t.Context()))
	eventually(t, "the results are freed while their iterators live", func() bool {
		runtime.GC()
		return freed.Load() >= 3*n-window
	})
	runtime.KeepAlive(ordered)
	runtime.KeepAlive(unordered)
	runtime.KeepAlive(stream)
}
