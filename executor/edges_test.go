package executor

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/internal/unittest"
)

// ended is a context that has ended.
func ended() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// crowd fills the queue of an executor whose slots are busy and returns the calls, and the
// future of a further one on by, which waits for room.
func crowd(t *testing.T, ex, by *Executor) (calls []*Future, waits <-chan *Future) {
	t.Helper()
	for full := false; !full; {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		f := ex.Submit(ctx, "echo", nil)
		cancel()
		if full = errors.Is(f.call.Err(), context.DeadlineExceeded); !full {
			calls = append(calls, f)
		}
	}
	c := make(chan *Future, 1)
	go func() { c <- by.Submit(context.WithoutCancel(t.Context()), "echo", []byte("late")) }()
	unittest.Until(t, "a Submit waits for room", ex.dispatcher.Probe().Crowded)
	return calls, c
}

// TestEndOfCrowdedFork checks that a Submit that waits for room ends with the fork that it is
// of, and that its call does not run.
func TestEndOfCrowdedFork(t *testing.T) {
	t.Parallel()
	ex := openTasks(t, Config{RootSlots: 1, QueueCalls: 2})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for name, end := range map[string]func(fork *Executor) error{
		"CancelPending": func(fork *Executor) error { return fork.Shutdown(ctx, CancelPending()) },
		"NoWait":        func(fork *Executor) error { return fork.Shutdown(ctx, NoWait()) },
		"ended context": func(fork *Executor) error { fork.Shutdown(ended()); return nil }, //nolint:errcheck // it is the context's
	} {
		long := ex.Submit(t.Context(), "forever", nil)
		unittest.Until(t, "it runs", func() bool { return long.State() == Running })
		fork := ex.Fork()
		_, waits := crowd(t, ex, fork)
		if err := end(fork); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		select {
		case f := <-waits:
			if err := f.Err(t.Context()); !errors.Is(err, ErrClosed) {
				t.Errorf("%s: Submit ended with %v", name, err)
			}
		case <-time.After(time.Minute):
			t.Fatalf("%s: Submit does not end", name)
		}
		long.Kill("enough")
		ex.CancelAll()
		unittest.Until(t, "the pool is idle", func() bool { idle, err := ex.Idle(t.Context()); return idle && err == nil })
	}
}

// TestWithdrawnMakeRoom checks that calls which were cancelled, or killed, while they waited
// make room for others though no slot is free.
func TestWithdrawnMakeRoom(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*Future) bool{"Cancel": (*Future).Cancel, "Kill": func(f *Future) bool { return f.Kill("not wanted") }} {
		ex := openTasks(t, Config{RootSlots: 1, QueueCalls: 8})
		long := ex.Submit(t.Context(), "forever", nil)
		unittest.Until(t, "it runs", func() bool { return long.State() == Running })
		calls, waits := crowd(t, ex, ex)
		for _, f := range calls {
			if f.State() == Pending {
				end(f)
			}
		}
		select {
		case f := <-waits:
			f.Cancel()
		case <-time.After(time.Minute):
			t.Errorf("%s makes no room", name)
		}
		ex.CancelAll()
		long.Kill("enough")
	}
}

// TestWaitingLeavesNothing checks that who stops waiting for a call is forgotten.
func TestWaitingLeavesNothing(t *testing.T) {
	t.Parallel()
	ex := openTasks(t, Config{RootSlots: 1})
	long, done := ex.Submit(t.Context(), "forever", nil), ex.Submit(t.Context(), "no such task", nil)
	b := ex.SubmitBatch(t.Context(), "forever", func(yield func([]byte) bool) { yield(nil) })
	unittest.Until(t, "it is submitted", func() bool { return b.Submitted() == 1 })
	kept := func(f *Future) int { return len(f.call.Listeners()) }
	inBatch := kept(b.Futures()[0]) // the batch itself
	for range 10 {
		if d, pending, err := Wait(t.Context(), []*Future{long, done}, FirstDone); len(d) != 1 || len(pending) != 1 || err != nil {
			t.Fatalf("%d done, %d pending, %v", len(d), len(pending), err)
		}
		Wait(ended(), []*Future{long}, AllDone) //nolint:errcheck // it is the context's
		for _, err := range b.Unordered(ended()) {
			if !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		}
	}
	if n := kept(long); n != 0 {
		t.Errorf("a call has %d listeners when nobody waits for it", n)
	}
	if n := kept(b.Futures()[0]); n != inBatch {
		t.Errorf("a batch's call has %d listeners, want %d", n, inBatch)
	}
	if _, err := ex.KillAll(t.Context(), "enough"); err != nil {
		t.Error(err)
	}
}

// TestEndedContext checks that what is there counts before a context that has ended, each
// time.
func TestEndedContext(t *testing.T) {
	t.Parallel()
	open, shut := openTasks(t, Config{RootSlots: 1}), openTasks(t, Config{RootSlots: 1})
	b := open.SubmitBatch(t.Context(), "echo", func(yield func([]byte) bool) { yield(nil) })
	<-b.Done()
	fork := shut.Fork()
	for _, ex := range []*Executor{fork, shut} {
		if err := ex.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := open.WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 50 {
		_, results := b.Results(ended())
		var unordered error
		for _, err := range b.Unordered(ended()) {
			unordered = err
		}
		_, stats := shut.Stats(ended())
		_, killed := shut.KillAll(ended(), "late")
		_, alive := open.Stats(ended())
		_, report := shut.Report(ended())
		for name, is := range map[string]struct{ got, want error }{
			"Shutdown": {shut.Shutdown(ended()), nil}, "Shutdown of a fork": {fork.Shutdown(ended()), nil},
			"WaitReady": {open.WaitReady(ended()), nil}, "WaitReady after Shutdown": {shut.WaitReady(t.Context()), ErrClosed},
			"Results": {results, nil}, "Unordered": {unordered, nil},
			"Stats after Shutdown": {stats, nil}, "KillAll after Shutdown": {killed, nil},
			"Report after Shutdown": {report, ErrClosed},
		} {
			if is.got != is.want { //nolint:errorlint // it is the very value
				t.Errorf("%s: %v, want %v", name, is.got, is.want)
			}
		}
		if alive != nil && alive != context.Canceled { //nolint:errorlint // it is the very value
			t.Errorf("Stats: %v, want %v, or none where the loop was faster", alive, context.Canceled)
		}
		if t.Failed() {
			return
		}
	}
}

// TestStatsOfEnded has many ask for what a pool did when it has ended.
func TestStatsOfEnded(t *testing.T) {
	t.Parallel()
	ex := openTasks(t, Config{RootSlots: 1})
	if _, err := ex.Call(t.Context(), "echo", nil); err != nil {
		t.Fatal(err)
	}
	if err := ex.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 50 {
		ex.dispatcher.Probe().Withdrawn(8) // as calls that were withdrawn leave it
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				if st, err := ex.Stats(t.Context()); err != nil || st.Done != 1 || len(st.Workers) != 1 || st.Workers[0].Calls != 1 {
					t.Errorf("%+v, %v", st, err)
				}
			})
		}
		all.Wait()
	}
}

// TestShutdownAndCallbacks checks that Shutdown waits for callbacks as long as its context
// allows, and that a callback may call it.
func TestShutdownAndCallbacks(t *testing.T) {
	t.Parallel()
	for _, forked := range []bool{false, true} {
		open := func() *Executor {
			ex := openTasks(t, Config{RootSlots: 1})
			if forked {
				ex = ex.Fork()
			}
			return ex
		}
		ex := open()
		release := make(chan struct{})
		var ran atomic.Int64
		for range 3 {
			ex.Submit(t.Context(), "echo", nil).OnDone(func(*Future) { <-release; ran.Add(1) })
		}
		ex.Shutdown(t.Context(), NoWait()) //nolint:errcheck // it does not wait
		<-ex.Done()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		if err := ex.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("fork %t: with a callback that blocks: %v", forked, err)
		}
		cancel()
		close(release)
		if err := ex.Shutdown(t.Context()); err != nil || ran.Load() != 3 {
			t.Errorf("fork %t: %v, %d of 3 callbacks have run", forked, err, ran.Load())
		}
		ex = open()
		errs := make(chan error, 1)
		ex.Submit(t.Context(), "echo", nil).OnDone(func(*Future) {
			func() { errs <- ex.Shutdown(context.Background()) }()
		})
		select {
		case err := <-errs:
			if err != nil {
				t.Errorf("fork %t: in a callback: %v", forked, err)
			}
		case <-time.After(time.Minute):
			t.Fatalf("fork %t: Shutdown in a callback does not return", forked)
		}
	}
}

// TestRunAndItsContext checks what Run does when its context ends and root returns nil.
func TestRunAndItsContext(t *testing.T) {
	t.Parallel()
	if _, launched := LaunchRank(); launched {
		return // there Run is called once
	}
	modules := openTasks(t, Config{RootSlots: 1}).cfg.Modules
	for name, c := range map[string]struct {
		root func(ctx context.Context, ex *Executor, cancel func()) *Future
		want error
	}{
		"nothing is left": {func(ctx context.Context, ex *Executor, cancel func()) *Future {
			ex.Call(ctx, "echo", nil) //nolint:errcheck // only its end counts
			cancel()
			return nil
		}, nil},
		"a call runs": {func(ctx context.Context, ex *Executor, cancel func()) *Future {
			f := ex.Submit(ctx, "forever", nil)
			cancel()
			return f
		}, context.Canceled},
		"it ends later": {func(ctx context.Context, ex *Executor, cancel func()) *Future {
			f := ex.Submit(ctx, "forever", nil)
			go func() {
				for f.State() != Running {
					time.Sleep(time.Millisecond)
				}
				cancel()
			}()
			return f
		}, context.Canceled},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		ran := make(chan error, 1)
		var f *Future
		go func() {
			ran <- Run(ctx, Config{RootSlots: 1, Modules: modules}, func(ctx context.Context, ex *Executor) error {
				f = c.root(ctx, ex, cancel)
				return nil
			})
		}()
		select {
		case err := <-ran:
			if err != c.want { //nolint:errorlint // it is the very value
				t.Errorf("%s: Run returned %v, want %v", name, err, c.want)
			}
			if f != nil && !errors.Is(f.Err(t.Context()), ErrClosed) {
				t.Errorf("%s: the call ended with %v", name, f.Err(t.Context()))
			}
		case <-time.After(time.Minute):
			t.Fatalf("%s: Run does not return", name)
		}
		cancel()
	}
}

// TestInitializerOfNobody checks that the log tells of an initializer that never ran.
func TestInitializerOfNobody(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]int{"nobody": 1, "echo": 0} {
		var log strings.Builder
		ex, err := Local(Config{RootSlots: 1, Sandbox: host.Config{Initializer: name}, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(ex.Load(openTasks(t, Config{RootSlots: 1, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}).cfg.Modules[0]), ex.Shutdown(t.Context())); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(log.String(), "never ran"); n != want {
			t.Errorf("%s: %d lines of %q", name, n, log.String())
		}
	}
}
