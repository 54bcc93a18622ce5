package executor

import (
	"context"
	"errors"
	"testing"
	"time"
)

// TestMapEndsWhileFed has a map's context end while its input yields: it ends with the
// context's error, whoever notices first.
func TestMapEndsWhileFed(t *testing.T) {
	t.Parallel()
	ex := openTasks(t, Config{RootSlots: 1})
	ctx, cancel := context.WithCancel(t.Context())
	dropped := make(chan *mapping, 1)
	m := ex.startMapping(ctx, "echo", func(yield func([]byte, error) bool) {
		m := <-dropped
		cancel()
		for !m.origin.Dropped() {
			time.Sleep(time.Millisecond)
		}
		yield(number(1), nil)
	}, nil, newInOrder(false))
	if m.refused != nil {
		t.Fatal(m.refused)
	}
	dropped <- m
	<-m.ended
	if !errors.Is(m.failure, context.Canceled) {
		t.Errorf("the input was left with %v, want %v", m.failure, context.Canceled)
	}
	if err := through(m.results); !errors.Is(err, context.Canceled) {
		t.Errorf("the map ended with %v, want %v", err, context.Canceled)
	}
}

// TestNothingKeptAfterTheEnd checks that what is asked of a pool that has ended is not kept
// for a loop that is gone.
func TestNothingKeptAfterTheEnd(t *testing.T) {
	t.Parallel()
	ex := openTasks(t, Config{RootSlots: 1})
	if err := ex.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if st, err := ex.Stats(t.Context()); err != nil || st.Queued != 0 || st.InFlight != 0 {
			t.Errorf("%+v, %v", st, err)
		}
		ex.CancelAll()
	}
	if !ex.dispatcher.Probe().Empty() {
		t.Error("requests are kept that nobody will take")
	}
}
