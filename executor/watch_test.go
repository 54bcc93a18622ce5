package executor_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/feed"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// watched runs do while the pool is watched, and returns the updates from before it to after it.
func watched(t *testing.T, ex *executor.Executor, do func()) []*feed.Update {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var updates []*feed.Update
	ended, over := make(chan struct{}), false
	for u, err := range ex.Watch(ctx, 0) {
		if err != nil {
			t.Fatalf("Watch: %v", err)
		}
		updates = append(updates, u)
		switch {
		case len(updates) == 1:
			go func() {
				defer close(ended)
				do()
			}()
		case over:
			return updates
		}
		select {
		case <-ended:
			over = true
		default:
		}
	}
	return updates
}

// sum adds up what updates say of tasks, by name, and returns all their records.
func sum(updates []*feed.Update) (tasks map[string]feed.Task, runs []feed.Run, omitted uint64) {
	tasks = map[string]feed.Task{}
	for _, u := range updates {
		for _, more := range u.Tasks {
			s := tasks[more.Name]
			s.Done, s.Failed, s.Again = s.Done+more.Done, s.Failed+more.Failed, s.Again+more.Again
			s.In, s.Out, s.Measured = s.In+more.In, s.Out+more.Out, s.Measured+more.Measured
			s.Ran.Merge(&more.Ran)
			tasks[more.Name] = s
		}
		runs, omitted = append(runs, u.Runs...), omitted+u.Omitted
	}
	return tasks, runs, omitted
}

// TestWatchCounts checks that updates count what happens, whatever it is, and as Stats does.
func TestWatchCounts(t *testing.T) {
	t.Parallel()
	ex := open(t, executor.Config{RootSlots: 2})
	updates := watched(t, ex, func() {
		for _, err := range ex.Map(t.Context(), "odd", numbers(3000)) {
			_ = err // 1,500 are odd
		}
		_, _ = ex.Call(t.Context(), "fail", []byte("x"), executor.Tags("third"), executor.Attach(7), executor.Retries(executor.RetryPolicy{Attempts: 3}))
		busy := []*executor.Future{ex.Submit(t.Context(), "forever", nil), ex.Submit(t.Context(), "forever", nil)}
		for range 5 {
			ex.Submit(t.Context(), "echo", nil, executor.Priority(-1)).Cancel()
		}
		for _, f := range busy {
			for f.State() != executor.Running && t.Context().Err() == nil {
				time.Sleep(time.Millisecond)
			}
			f.Kill("the test is over")
			<-f.Done()
		}
	})
	last := updates[len(updates)-1]
	st, err := ex.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if last.Done != st.Done || last.Failed != st.Failed || last.Retried != st.Retried || last.Done != 1500 || last.Failed != 1503 || last.Retried != 2 {
		t.Errorf("the last update: %d done, %d failed, %d retried; Stats: %d, %d, %d; want 1500, 1503, 2", last.Done, last.Failed, last.Retried, st.Done, st.Failed, st.Retried)
	}
	for i, u := range updates {
		open := u.Submitted - u.Done - u.Failed - u.Cancelled
		if got := uint64(u.Queued + u.InFlight + u.Resting); got > open {
			t.Errorf("update %d: %d calls are open, and %d wait, run or rest", i, open, got)
		}
		if i > 0 && !u.Begin.Equal(updates[i-1].End) {
			t.Errorf("update %d begins %v after the end of the one before", i, u.Begin.Sub(updates[i-1].End))
		}
	}
	if last.Submitted != last.Done+last.Failed+last.Cancelled || last.Cancelled != 5 {
		t.Errorf("%d submitted, %d cancelled; want 5, and that all have ended", last.Submitted, last.Cancelled)
	}
	tasks, runs, omitted := sum(updates)
	if got := tasks["odd"]; got.Done != 1500 || got.Failed != 1500 || got.In != 8*3000 || got.Ran.Count != 3000 {
		t.Errorf("odd: %d done, %d failed, %d bytes in, %d timed; want 1500, 1500, 24000, 3000", got.Done, got.Failed, got.In, got.Ran.Count)
	}
	if got := tasks["fail"]; got.Done != 0 || got.Failed != 3 || got.Again != 2 {
		t.Errorf("fail: %d done, %d failed, %d again; want 0, 3, 2", got.Done, got.Failed, got.Again)
	}
	if len(runs)+int(omitted) != 3000+3+2 {
		t.Errorf("%d runs and %d without a record; want 3005 together", len(runs), omitted)
	}
	checkRuns(t, updates)
}

// checkRuns checks the records of TestWatchCounts.
func checkRuns(t *testing.T, updates []*feed.Update) {
	t.Helper()
	attempts := map[int]feed.Run{}
	killed := 0
	for _, u := range updates {
		for _, r := range u.Runs {
			if r.Began.After(r.Ended) || r.Ended.After(u.End.Add(time.Second)) || r.Sent.IsZero() || r.Rank != 0 || r.Host == "" {
				t.Errorf("a run makes no sense: %+v", r)
			}
			var e *executor.TaskError
			if failed := errors.As(r.Err, &e); failed != (r.Err != nil) {
				t.Errorf("a run ended with %v", r.Err)
			}
			switch {
			case r.Task == "fail":
				attempts[r.Attempt] = r
			case errors.Is(r.Err, executor.ErrKilled):
				killed++
				if !r.Measured || r.Slot < 0 || r.Slot > 1 {
					t.Errorf("a run of some time: measured %t, slot %d", r.Measured, r.Slot)
				}
			}
		}
	}
	for i := 1; i <= 3; i++ {
		if r, found := attempts[i]; !found || r.Again != (i < 3) || fmt.Sprint(r.Tags) != "[third]" || r.Attached != 7 || r.In != 1 {
			t.Errorf("attempt %d of fail: %+v", i, r)
		}
	}
	if killed != 2 {
		t.Errorf("%d killed runs, want 2", killed)
	}
}

// TestWatchEnds checks how a watch ends: with the pool, with its context, by a break, and after the pool.
func TestWatchEnds(t *testing.T) {
	t.Parallel()
	ex, err := executor.Local(executor.Config{RootSlots: 1, Modules: []*wasmtasks.Module{tasks}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	seen := 0
	for u, err := range ex.Watch(ctx, time.Hour) {
		if u == nil {
			if !errors.Is(err, context.Canceled) || seen != 2 {
				t.Errorf("a cancelled watch ends with %v after %d updates", err, seen)
			}
			break
		}
		if seen++; seen == 2 && u.Done != 1 {
			t.Errorf("the last update of a cancelled watch says that %d calls are done, want 1", u.Done)
		}
		_, _ = ex.Call(t.Context(), "echo", nil)
		cancel()
	}
	for _, err := range ex.Watch(t.Context(), time.Hour) {
		if err != nil {
			t.Error(err)
		}
		break
	}
	var last *feed.Update
	for u, err := range ex.Watch(t.Context(), time.Hour) {
		if err != nil {
			t.Fatal(err)
		}
		if last == nil {
			ex.Submit(t.Context(), "echo", nil)
			go ex.Shutdown(context.Background()) //nolint:errcheck // the watch ends with it
		}
		last = u
	}
	if last == nil || last.Done != 3 || last.Submitted != 3 || len(last.Runs) != 1 {
		t.Errorf("the last update of a pool: %+v", last)
	}
	for u, err := range ex.Watch(t.Context(), 0) {
		if u != nil || !errors.Is(err, executor.ErrClosed) {
			t.Errorf("a pool that has ended is watched: %v, %v", u, err)
		}
	}
}

// TestKillCall kills a call by the number that a record has.
func TestKillCall(t *testing.T) {
	t.Parallel()
	ex := open(t, executor.Config{RootSlots: 1})
	f := ex.Submit(t.Context(), "forever", nil)
	if found, err := ex.KillCall(t.Context(), 2, "no such call"); found || err != nil {
		t.Errorf("call 2 was killed: %t, %v", found, err)
	}
	if found, err := ex.KillCall(t.Context(), 1, "enough"); !found || err != nil {
		t.Errorf("call 1 was killed: %t, %v", found, err)
	}
	if err := f.Err(t.Context()); !errors.Is(err, executor.ErrKilled) {
		t.Errorf("the call ended with %v", err)
	}
}
