package executor_test

import (
	"bytes"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/wasmpool/wasmpool/executor"
)

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
