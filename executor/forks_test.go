package executor_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/wasmpool/wasmpool/executor"
)

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
		if _, err := fork.Call(t.Context(), "echo", nil); !errors.Is(err, executor.ErrClosed) || !fork.Closed() {
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
	if ex.Closed() {
		t.Error("the executor beneath is closed")
	}
}

// TestSeveralExecutors checks that executors do not mix results.
func TestSeveralExecutors(t *testing.T) {
	t.Parallel()
	var all sync.WaitGroup
	for g := range 4 {
		ex := open(t, executor.Config{RootSlots: 1})
		all.Go(func() {
			i := 0
			for got, err := range ex.Map(t.Context(), "echo", slices.Values([][]byte{number(g), number(g + 10)})) {
				if err != nil || !bytes.Equal(got, number(g+10*i)) {
					t.Errorf("executor %d: % x, %v", g, got, err)
				}
				i++
			}
		})
	}
	all.Wait()
}
