package executor_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wasmpool/wasmpool/executor"
)

func TestMap(t *testing.T) {
	t.Parallel()
	ex := shape(t)
	for _, n := range []int{0, 1, 255, 256, 257, 20_000} {
		i := 0
		for got, err := range ex.Map(t.Context(), "odd", numbers(n)) {
			switch {
			case i%2 == 0 && (err != nil || !bytes.Equal(got, number(i))):
				t.Fatalf("element %d: % x, %v", i, got, err)
			case i%2 == 1 && (err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%d is odd", i))):
				t.Fatalf("element %d: % x, %v", i, got, err)
			}
			i++
		}
		if i != n {
			t.Errorf("%d results for %d arguments", i, n)
		}
	}
}

// TestMapKeepsResults checks that results stay as they are while later ones
// arrive.
func TestMapKeepsResults(t *testing.T) {
	t.Parallel()
	ex := shape(t)
	var kept [][]byte
	for got, err := range ex.Map(t.Context(), "echo", numbers(5_000)) {
		if err != nil {
			t.Fatal(err)
		}
		kept = append(kept, got)
	}
	for i, got := range kept {
		if !bytes.Equal(got, number(i)) {
			t.Fatalf("result %d has become % x", i, got)
		}
	}
}

// TestMapIsLazy checks that Map does not read far ahead of slow tasks.
func TestMapIsLazy(t *testing.T) {
	t.Parallel()
	ex := open(t, executor.Config{})
	var pulled atomic.Int64
	n := 0
	input := func(yield func([]byte) bool) {
		for range 400 {
			pulled.Add(1)
			if !yield(number(30_000)) { // 64 of them are half a second's work
				return
			}
		}
	}
	for _, err := range ex.Map(t.Context(), "burn", input) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 5 {
			break
		}
	}
	if got := pulled.Load(); got > 200 {
		t.Errorf("%d arguments were pulled for %d results", got, n)
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

// TestOutcomeInfo checks that each outcome of a map says how its call ran, and that of one which did
// not run that it has not.
func TestOutcomeInfo(t *testing.T) {
	t.Parallel()
	ex := open(t, executor.Config{RootSlots: 1})
	for name, each := range map[string]func(context.Context, string, iter.Seq[[]byte], ...executor.MapOption) iter.Seq2[int64, executor.Outcome]{
		"in order": ex.MapOutcomes, "as they come": ex.MapIndexed,
	} {
		n, want := 0, executor.Info{Task: "burn", Attempt: 1, Tags: []string{"some"}}
		for i, o := range each(t.Context(), "burn", repeat(600), executor.Tags("some")) {
			took := o.Info.Ran
			o.Info.Ran, o.Info.Queued, o.Info.Host = 0, 0, ""
			if diff := cmp.Diff(want, o.Info); diff != "" || took <= 0 || o.Err != nil {
				t.Fatalf("%s, argument %d: %v, after %v (-want +got):\n%s", name, i, o.Err, took, diff)
			}
			n++
		}
		if n != 600 {
			t.Errorf("%s: %d outcomes of 600", name, n)
		}
		retried := executor.Retries(executor.RetryPolicy{Attempts: 5, Backoff: time.Microsecond})
		for _, o := range each(t.Context(), "third", numbers(2), retried) {
			if o.Err != nil || o.Info.Attempt != 3 || o.Info.Rank != 0 {
				t.Errorf("%s: a call that ran three times: %+v", name, o)
			}
		}
		for i, o := range each(t.Context(), "fail", numbers(1), executor.MaxFailures(1)) {
			if ran := o.Info.Attempt == 1 && o.Info.Rank == 0; i == 0 && !ran || i == -1 && (o.Info.Attempt != 0 || o.Info.Rank != -1) {
				t.Errorf("%s: %d, %+v", name, i, o)
			}
		}
		for i, o := range each(t.Context(), "nosuch", numbers(1)) {
			if i != -1 || o.Info.Rank != -1 {
				t.Errorf("%s, an unknown task: %d, %+v", name, i, o)
			}
		}
		release := hold(t, ex)
		waiting := each(t.Context(), "echo", numbers(20))
		eventually(t, "calls wait", func() bool {
			st, err := ex.Stats(t.Context())
			return err == nil && st.Queued > 0
		})
		ex.CancelAll()
		release()
		cancelled := 0
		for _, o := range waiting {
			if errors.Is(o.Err, executor.ErrCancelled) {
				if cancelled++; o.Info.Rank != -1 {
					t.Errorf("%s, a call that was cancelled: %+v", name, o)
				}
			}
		}
		if cancelled == 0 {
			t.Errorf("%s: no call was cancelled", name)
		}
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
