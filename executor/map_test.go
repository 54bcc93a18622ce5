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
