package executor_test

import (
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/executor"
)

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
	ex.CancelAll()
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

// TestOptionsAreUsedAgain gives the same options to many calls at once: none learns what another
// one was given besides.
func TestOptionsAreUsedAgain(t *testing.T) {
	t.Parallel()
	ex := open(t, executor.Config{})
	common := []executor.CallOption{
		executor.WithLimits(executor.Limits{Time: time.Minute}),
		executor.Retries(executor.RetryPolicy{Attempts: 2, Kinds: []executor.Kind{executor.ErrTimeout}}),
	}
	tight := slices.Insert(slices.Clone(common), 0, executor.WithLimits(executor.Limits{Output: 1}))
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if _, err := ex.Call(t.Context(), "echo", number(1), tight...); err == nil {
				t.Error("a result of 8 bytes is within a limit of 1")
			}
			if _, err := ex.Call(t.Context(), "echo", number(1), common...); err != nil {
				t.Errorf("a call without that limit: %v", err)
			}
		})
	}
	all.Wait()
}
