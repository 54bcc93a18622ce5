package executor

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"testing"
)

// What ends many calls ends those that were submitted before it was called, and none that
// were submitted later, though the loop looks later still.
func TestEndsCallsOfBefore(t *testing.T) {
	ended, end := context.WithCancel(t.Context())
	end()
	for _, c := range []struct {
		name string
		do   func(*Executor)
		want error
	}{
		{"CancelAll", (*Executor).CancelAll, ErrCancelled},
		{"KillAll", func(ex *Executor) {
			if _, err := ex.KillAll(ended, "enough"); !errors.Is(err, context.Canceled) {
				t.Errorf("KillAll with an ended context: %v", err)
			}
		}, ErrKilled},
	} {
		t.Run(c.name, func(t *testing.T) {
			ex := openSleeping(t, slog.NewTextHandler(io.Discard, nil))
			fork := ex.Fork()
			submit := func(ex *Executor) (call, then *Future) {
				call = ex.Submit(t.Context(), "echo", []byte("x"))
				return call, call.Then("echo")
			}
			ex.dispatcher.Probe().Lock() // so that the loop looks only when all is submitted
			var before, after []*Future
			for _, of := range []*Executor{ex, fork} {
				call, then := submit(of)
				before = append(before, call, then)
			}
			c.do(ex)
			for _, of := range []*Executor{ex, fork} {
				call, then := submit(of)
				after = append(after, call, then)
			}
			ex.dispatcher.Probe().Unlock()
			ex.dispatcher.Wake()
			for i, f := range before {
				if err := f.Err(t.Context()); !errors.Is(err, c.want) {
					t.Errorf("call %d of before: %v, want %v", i, err, c.want)
				}
			}
			for i, f := range after {
				if out, err := f.Result(t.Context()); string(out) != "x" || err != nil {
					t.Errorf("call %d of after: %q, %v", i, out, err)
				}
			}
		})
	}
}
