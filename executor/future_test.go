package executor_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/host"
)

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

func TestResultContext(t *testing.T) {
	t.Parallel()
	ex := open(t, executor.Config{RootSlots: 1})
	release := hold(t, ex)
	f := ex.Submit(t.Context(), "echo", nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.Result(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("waiting with a cancelled context: %v", err)
	}
	release()
	<-f.Done()
	if _, err := f.Result(ctx); err != nil {
		t.Errorf("a result that is there, with a cancelled context: %v", err)
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

func TestCancel(t *testing.T) {
	t.Parallel()
	ex := open(t, executor.Config{RootSlots: 1})
	release := hold(t, ex)
	var futures []*executor.Future
	for range 200 {
		futures = append(futures, ex.Submit(t.Context(), "echo", number(1)))
	}
	last := futures[len(futures)-1]
	if !last.Cancel() {
		t.Fatal("a call far back in the queue cannot be cancelled")
	}
	if !last.Cancel() {
		t.Error("a second Cancel says that it is not")
	}
	if _, err := last.Result(t.Context()); !errors.Is(err, executor.ErrCancelled) || last.State() != executor.Cancelled {
		t.Errorf("a cancelled call: %v, %v", err, last.State())
	}
	if info, ok := last.Info(); !ok || info.Attempt != 0 || info.Rank != -1 {
		t.Errorf("a cancelled call that was never sent: %+v", info)
	}
	release()
	for _, f := range futures[:len(futures)-1] {
		if _, err := f.Result(t.Context()); err != nil {
			t.Fatal(err)
		}
		if f.Cancel() || f.State() != executor.Finished {
			t.Fatalf("a finished call is %v or can be cancelled", f.State())
		}
	}
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
