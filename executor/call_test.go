package executor_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

func TestCall(t *testing.T) {
	t.Parallel()
	ex := shape(t)
	ctx := t.Context()
	for _, tc := range []struct{ task, arg, want string }{
		{"square", "12", "144"},
		{"tasks.square", "-3", "9"},
		{"echo", "", ""},
		{"echo", "abc", "abc"},
		{"none", "abc", ""},
		{"echo", strings.Repeat("x", 10_000), strings.Repeat("x", 10_000)},
		{"echo", strings.Repeat("y", 5_000_000), strings.Repeat("y", 5_000_000)},
	} {
		got, err := ex.Call(ctx, tc.task, []byte(tc.arg))
		if err != nil || string(got) != tc.want {
			t.Errorf("%s(%.20q) = %.20q, %v; want %.20q", tc.task, tc.arg, got, err, tc.want)
		}
	}
}

// TestMeta checks what a task is told about its call.
func TestMeta(t *testing.T) {
	t.Parallel()
	ex := sound(t)
	ranks := map[string]int{}
	for range 100 { // a rank may be busy with another test's call
		for got, err := range ex.Map(t.Context(), "where", numbers(2_000)) {
			if err != nil {
				t.Fatal(err)
			}
			ranks[string(got)]++
		}
		if len(ranks) >= ex.NumWorkers() {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	st, err := ex.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range st.Workers {
		where := fmt.Sprintf("rank %d, attempt 1", w.Rank)
		if ranks[where] == 0 || w.Calls == 0 || w.Host == "" {
			t.Errorf("rank %d: %+v, told to %d calls", w.Rank, w, ranks[where])
		}
		delete(ranks, where)
	}
	if len(ranks) != 0 {
		t.Errorf("calls were told they run at %v", ranks)
	}
}

func TestTaskErrors(t *testing.T) {
	t.Parallel()
	ex := sound(t)
	for _, tc := range []struct {
		task, arg, message string
		kind               host.Kind
		code               int
	}{
		{"fail", "no luck", "no luck", host.KindApplication, 1},
		{"fail", "", "", host.KindApplication, 1},
		{"coded", "", "seventy-seven", host.KindApplication, 77},
		{"panics", "", "index out of range", host.KindPanic, 2},
		{"square", "twelve", "", host.KindBadInput, 3},
		{"deadlock", "", "", host.KindTrap, 0},
	} {
		_, err := ex.Call(t.Context(), tc.task, []byte(tc.arg))
		var taskErr *executor.TaskError
		if !errors.As(err, &taskErr) {
			t.Errorf("%s: %v is no TaskError", tc.task, err)
			continue
		}
		if taskErr.Kind != tc.kind || taskErr.Code != tc.code || !strings.Contains(taskErr.Message, tc.message) || taskErr.Task != tc.task || taskErr.Attempt != 1 {
			t.Errorf("%s(%q): %+v", tc.task, tc.arg, taskErr)
		}
		if got, err := ex.Call(t.Context(), "square", []byte("5")); string(got) != "25" || err != nil {
			t.Errorf("the call after %s: %q, %v", tc.task, got, err)
		}
	}
}

func TestUnknownTask(t *testing.T) {
	t.Parallel()
	ex := shape(t)
	f := ex.Submit(t.Context(), "sqare", nil)
	_, err := f.Result(t.Context())
	var unknown *wasmtasks.UnknownTaskError
	if !errors.As(err, &unknown) || !errors.Is(err, executor.ErrUnknownTask) || !strings.Contains(err.Error(), "square") {
		t.Errorf("an unknown task: %v", err)
	}
	if f.State() != executor.Finished {
		t.Errorf("its future is %v", f.State())
	}
}

// TestSubmitMany submits from several goroutines and compares every result.
func TestSubmitMany(t *testing.T) {
	t.Parallel()
	ex := shape(t)
	var all sync.WaitGroup
	for g := range 4 {
		all.Go(func() {
			futures := make([]*executor.Future, 5_000)
			for i := range futures {
				futures[i] = ex.Submit(t.Context(), "echo", number(g<<32+i))
			}
			for i, f := range futures {
				got, err := f.Result(t.Context())
				if err != nil || !bytes.Equal(got, number(g<<32+i)) {
					t.Errorf("call %d of goroutine %d: % x, %v", i, g, got, err)
					return
				}
			}
		})
	}
	all.Wait()
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

func TestBackpressure(t *testing.T) {
	t.Parallel()
	ex := open(t, executor.Config{RootSlots: 1, QueueCalls: 10})
	ctx, cancel := context.WithCancel(t.Context())
	var futures []*executor.Future
	for i := range 100 {
		if i == 20 {
			cancel()
		}
		futures = append(futures, ex.Submit(ctx, "burn", number(20_000)))
	}
	cancel()
	refused := 0
	for _, f := range futures {
		if _, err := f.Result(t.Context()); errors.Is(err, context.Canceled) {
			refused++
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if refused == 0 {
		t.Error("a full queue took everything")
	}
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
