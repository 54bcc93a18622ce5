package executor_test

import (
	"bytes"
	"context"
	"errors"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/wasmpool/wasmpool/executor"
)

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

// TestAsCompletedDrops checks that AsCompleted keeps no future that it has yielded.
func TestAsCompletedDrops(t *testing.T) {
	t.Parallel()
	ex := shape(t).Fork()
	const n = 100
	var freed atomic.Int64
	submit := func() []*executor.Future {
		var futures []*executor.Future
		for i := range n {
			f := ex.Submit(t.Context(), "echo", number(i))
			runtime.AddCleanup(f, func(*atomic.Int64) { freed.Add(1) }, &freed)
			futures = append(futures, f)
		}
		if _, pending, err := executor.Wait(t.Context(), futures, executor.AllDone); len(pending) > 0 || err != nil {
			t.Fatalf("%d are pending, %v", len(pending), err)
		}
		return futures
	}
	results := executor.AsCompleted(t.Context(), submit())
	yielded := 0
	for _, err := range results {
		if err != nil {
			t.Fatal(err)
		}
		if yielded++; yielded == n/2 {
			eventually(t, "what was yielded is freed", func() bool {
				runtime.GC()
				return freed.Load() >= n/2-2 // the last ones may be on the stack
			})
		}
	}
	if err := last(results); yielded != n || err == nil {
		t.Errorf("%d were yielded, then %v", yielded, err)
	}
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
