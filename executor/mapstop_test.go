package executor_test

import (
	"context"
	"errors"
	"iter"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/executor"
)

// TestStopper stops maps, batches and streams from outside: they end with ErrStopped, what
// waits is cancelled, what runs goes on until Kill.
func TestStopper(t *testing.T) {
	t.Parallel()
	ex := open(t, executor.Config{RootSlots: 1})
	if _, err := ex.Call(t.Context(), "echo", nil); err != nil { // the module is there
		t.Fatal(err)
	}
	for name, start := range map[string]func(context.Context, string, iter.Seq[[]byte], ...executor.MapOption) iter.Seq2[[]byte, error]{
		"Map": ex.Map, "MapUnordered": ex.MapUnordered,
		"Batch": func(ctx context.Context, task string, args iter.Seq[[]byte], opts ...executor.MapOption) iter.Seq2[[]byte, error] {
			return ex.SubmitBatch(ctx, task, args, opts...).Unordered(ctx)
		},
		"Stream": func(ctx context.Context, task string, args iter.Seq[[]byte], opts ...executor.MapOption) iter.Seq2[[]byte, error] {
			return ex.StreamUnordered(ctx, task, args, opts...).All(ctx)
		},
	} {
		var stopper executor.Stopper
		results := start(t.Context(), "forever", numbers(1_000), executor.StoppedBy(&stopper), executor.Buffer(50))
		eventually(t, "one of its calls runs", func() bool {
			r, err := ex.Report(t.Context())
			return err == nil && len(r.Workers) == 1 && len(r.Workers[0].Running) == 1 && r.Workers[0].Running[0].For > 20*time.Millisecond
		})
		errs := make(chan []error, 1)
		go func() {
			var all []error
			for _, err := range results {
				all = append(all, err)
			}
			errs <- all
		}()
		stopper.Stop()
		stopper.Stop() // twice is fine
		eventually(t, name+": what waits is cancelled", func() bool {
			st, err := ex.Stats(t.Context())
			return err == nil && st.Queued == 0 && st.InFlight == 1
		})
		stopper.Kill("enough of it")
		idle(t, ex)
		var all []error
		select {
		case all = <-errs:
		case <-time.After(time.Minute):
			t.Fatalf("%s does not end", name)
		}
		if err := all[len(all)-1]; !errors.Is(err, executor.ErrStopped) {
			t.Errorf("%s ends with %v", name, err)
		}
		for _, err := range all[:len(all)-1] {
			if !errors.Is(err, executor.ErrCancelled) && !errors.Is(err, executor.ErrKilled) {
				t.Errorf("%s yields %v", name, err)
			}
		}
		if err := last(start(t.Context(), "forever", numbers(10), executor.StoppedBy(&stopper))); !errors.Is(err, executor.ErrStopped) {
			t.Errorf("%s that was started after it ends with %v", name, err)
		}
	}
	if st, err := ex.Stats(t.Context()); err != nil || st.Failed != 4 || st.Done != 1 {
		t.Errorf("%d calls are done, %d failed, %v; four were killed", st.Done, st.Failed, err)
	}
}

// TestMaxFailures checks after which failure a map ends, and what it yields then.
func TestMaxFailures(t *testing.T) {
	t.Parallel()
	ex := sound(t).Fork()
	for _, limit := range []int{1, 3} {
		i := 0
		var got []error
		for _, err := range ex.Map(t.Context(), "odd", numbers(100_000), executor.MaxFailures(limit)) {
			if i++; err != nil {
				got = append(got, err)
			}
		}
		if len(got) != limit+1 || i != 2*limit+1 || !errors.Is(got[limit], executor.ErrFailures) || !errors.Is(got[limit-1], executor.ErrApplication) {
			t.Errorf("with a limit of %d: %d elements, errors %v", limit, i, got)
		}
		failed := 0
		for _, err := range ex.MapUnordered(t.Context(), "odd", numbers(100_000), executor.MaxFailures(limit)) {
			if errors.Is(err, executor.ErrApplication) {
				failed++
			}
		}
		if failed != limit {
			t.Errorf("unordered, with a limit of %d: %d failures", limit, failed)
		}
	}
	if err := last(ex.Map(t.Context(), "echo", numbers(1_000), executor.MaxFailures(1))); err != nil {
		t.Errorf("without failures: %v", err)
	}
	if err := last(ex.Map(t.Context(), "odd", numbers(6), executor.MaxFailures(4))); errors.Is(err, executor.ErrFailures) {
		t.Errorf("with fewer failures: %v", err)
	}
	for name, err := range map[string]error{
		"none": last(ex.Map(t.Context(), "echo", numbers(1), executor.MaxFailures(0))), "of a batch": last(ex.SubmitBatch(t.Context(), "echo", numbers(1), executor.MaxFailures(1)).Ordered(t.Context())),
		"of a stream": last(ex.Stream(t.Context(), "echo", numbers(1), executor.MaxFailures(1)).All(t.Context())), "no stopper": last(ex.Map(t.Context(), "echo", numbers(1), executor.StoppedBy(nil))),
	} {
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
