package executor

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/internal/guesttest"
	"github.com/wasmpool/wasmpool/internal/unittest"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// pools calls fn with a local pool of one slot and with two ranks of one slot each, with
// a function that occupies all slots until what it returns is called, and with how many
// calls of the task say have run.
func pools(t *testing.T, fn func(t *testing.T, ex *Executor, hold func() (release func()), ran *atomic.Int64)) {
	t.Helper()
	for name, open := range map[string]func(*testing.T, Config) *Executor{
		"local": openTasks,
		"ranks": func(t *testing.T, cfg Config) *Executor { return newClusterWith(t, 3, cfg).ex },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var ran atomic.Int64
			ex := open(t, Config{RootSlots: 1, Logger: slog.New(spoken{slog.DiscardHandler, &ran})})
			if err := ex.WaitReady(t.Context()); err != nil {
				t.Fatal(err)
			}
			fn(t, ex, func() func() {
				var long []*Future
				for range ex.NumWorkers() {
					f := ex.Submit(t.Context(), "forever", nil)
					unittest.Until(t, "the long call runs", func() bool { return f.State() == Running })
					if f.Cancel() {
						t.Error("a call that runs was cancelled")
					}
					long = append(long, f)
				}
				return func() {
					for _, f := range long {
						f.Kill("the slot is needed")
					}
				}
			}, &ran)
		})
	}
}

// openTasks opens a local pool with the module in testdata/tasks.
func openTasks(t *testing.T, cfg Config) *Executor {
	t.Helper()
	tasks := guesttest.Build(t, "testdata/tasks")
	cfg.Modules = []*wasmtasks.Module{tasks}
	ex, err := Local(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := ex.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	})
	return ex
}

// spoken counts the lines that guests log.
type spoken struct {
	slog.Handler
	lines *atomic.Int64
}

func (s spoken) Enabled(context.Context, slog.Level) bool { return true }

func (s spoken) Handle(ctx context.Context, line slog.Record) error {
	if line.Message == "it ran" {
		s.lines.Add(1)
	}
	return s.Handler.Handle(ctx, line)
}

// TestCancelSent cancels calls that were sent ahead of busy slots, in each way there
// is: they end at once, and no worker runs them.
func TestCancelSent(t *testing.T) {
	t.Parallel()
	pools(t, func(t *testing.T, ex *Executor, hold func() func(), ran *atomic.Int64) {
		for name, cancel := range map[string]func(ex *Executor, futures []*Future){
			"Cancel": func(_ *Executor, futures []*Future) {
				for range 2 { // also for the second time
					for i, f := range futures {
						if !f.Cancel() || f.State() != Cancelled {
							t.Errorf("call %d is %v after Cancel", i, f.State())
						}
					}
				}
			},
			"CancelAll": func(ex *Executor, _ []*Future) { ex.CancelAll() },
			"Shutdown": func(ex *Executor, _ []*Future) {
				if err := ex.Shutdown(t.Context(), CancelPending()); err != nil {
					t.Error(err)
				}
			},
		} {
			release := hold()
			fork := ex.Fork()
			var futures []*Future
			for i := range 20 {
				task, arg := "say", []byte("it ran")
				if i%3 == 0 {
					task, arg = "echo", bytes.Repeat(arg, 10<<10) // a payload
				}
				futures = append(futures, fork.Submit(t.Context(), task, arg))
			}
			unittest.Until(t, "calls are sent ahead", func() bool {
				sent := 0
				for _, f := range futures {
					if f.State() == Sent {
						sent++
					}
				}
				return sent >= ex.NumWorkers()
			})
			cancel(fork, futures)
			for i, f := range futures {
				ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
				if err := f.Err(ctx); !errors.Is(err, ErrCancelled) || f.State() != Cancelled || !f.Cancel() {
					t.Errorf("%s: call %d ended with %v, as %v", name, i, err, f)
				}
				stop()
			}
			release()
			if _, err := ex.Call(t.Context(), "echo", nil); err != nil { // behind all of them
				t.Error(err)
			}
			if n := ran.Load(); n != 0 {
				t.Errorf("%s: %d calls ran that were cancelled", name, n)
			}
		}
		if _, err := ex.Call(t.Context(), "say", []byte("it ran")); err != nil {
			t.Error(err)
		}
		unittest.Until(t, "a call that ran is seen", func() bool { return ran.Load() == 1 })
	})
}

// TestStates checks what State and String say of calls in each state.
func TestStates(t *testing.T) {
	t.Parallel()
	pools(t, func(t *testing.T, ex *Executor, hold func() func(), _ *atomic.Int64) {
		release := hold()
		var futures []*Future
		for range 20 {
			futures = append(futures, ex.Submit(t.Context(), "echo", nil))
		}
		sent, pending := futures[0], futures[len(futures)-1]
		unittest.Until(t, "the first is sent", func() bool { return sent.State() == Sent })
		if s := pending.State(); s != Pending {
			t.Errorf("the last call is %v", s)
		}
		cancelled := futures[5]
		cancelled.Cancel()
		release()
		failed := ex.Submit(t.Context(), "fail", nil)
		running := ex.Submit(t.Context(), "forever", nil)
		unittest.Until(t, "it runs", func() bool { return running.State() == Running })
		running.Kill("enough")
		Wait(t.Context(), append(futures, failed, running), AllDone) //nolint:errcheck // what they are is looked at
		for f, want := range map[*Future]string{
			sent: "Future(echo, finished)", cancelled: "Future(echo, cancelled)",
			failed: "Future(fail, failed: application)", running: "Future(forever, killed)",
		} {
			if got := f.String(); got != want {
				t.Errorf("it is %q, want %q", got, want)
			}
		}
		if running.State() != Killed || failed.State() != Finished || running.Cancel() || failed.Cancel() || sent.Cancel() {
			t.Errorf("%v, %v and %v", running, failed, sent)
		}
	})
}

// TestThenAtTheEnd checks that calls which were promised to follow others run, though
// the executor was shut down before those had ended.
func TestThenAtTheEnd(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(ex *Executor) error{
		"Shutdown": func(ex *Executor) error { return ex.Shutdown(t.Context()) },
		"NoWait": func(ex *Executor) error {
			defer func() { <-ex.Done() }()
			return ex.Shutdown(t.Context(), NoWait())
		},
	} {
		for _, fork := range []bool{false, true} {
			ex := openTasks(t, Config{RootSlots: 1})
			if fork {
				ex = ex.Fork()
			}
			long := ex.Submit(t.Context(), "forever", nil) // so that what follows waits
			first := ex.Submit(t.Context(), "burn", number(20_000))
			f := first.Then("echo").Then("echo")
			bad := ex.Submit(t.Context(), "fail", []byte("no")).Then("echo").Then("echo")
			given := first.Then("echo")
			if !given.Cancel() {
				t.Error("a promised call cannot be cancelled")
			}
			long.Kill("the slot is needed")
			if err := end(ex); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if got, err := f.Result(t.Context()); err != nil || !bytes.Equal(got, number(20_000)) {
				t.Errorf("%s, fork %t: % x, %v", name, fork, got, err)
			}
			if err := bad.Err(t.Context()); !errors.Is(err, ErrApplication) {
				t.Errorf("%s, fork %t: after a failure: %v", name, fork, err)
			}
			if err := first.Then("echo").Err(t.Context()); !errors.Is(err, ErrClosed) {
				t.Errorf("%s, fork %t: promised after the end: %v", name, fork, err)
			}
		}
	}
	if _, launched := LaunchRank(); launched {
		return // there Run is called once
	}
	var f *Future
	cfg := Config{RootSlots: 1, Modules: openTasks(t, Config{RootSlots: 1}).cfg.Modules}
	err := Run(t.Context(), cfg, func(ctx context.Context, ex *Executor) error {
		f = ex.Submit(ctx, "burn", number(20_000)).Then("echo")
		return nil
	})
	if got, callErr := f.Result(t.Context()); err != nil || callErr != nil || !bytes.Equal(got, number(20_000)) {
		t.Errorf("after Run, which returned %v: % x, %v", err, got, callErr)
	}
}

// TestShutdownEndsRetries checks that a shutdown that cancels what waits ends what
// rests, runs nothing again, and does not wait for a pause; a call that was cancelled
// does not rest.
func TestShutdownEndsRetries(t *testing.T) {
	t.Parallel()
	for _, fork := range []bool{false, true} {
		for limit := 200 * time.Millisecond; !shutDownRetries(t, fork, limit); limit *= 4 {
			if limit > time.Minute {
				t.Fatalf("fork %t: in no round did the shutdown come before the end of what ran for %v", fork, limit)
			}
		}
	}
}

// shutDownRetries is a round of it, with a call that runs for so long. It reports false when
// that had ended, and rested, before the shutdown.
func shutDownRetries(t *testing.T, fork bool, limit time.Duration) (inTime bool) {
	t.Helper()
	policy := Retries(RetryPolicy{Attempts: 3, Backoff: time.Hour, MaxBackoff: time.Hour})
	ex := openTasks(t, Config{RootSlots: 1})
	if fork {
		ex = ex.Fork()
	}
	rests := func(n int) bool {
		st, err := ex.Stats(t.Context())
		return err == nil && st.Resting == n
	}
	resting, given := ex.Submit(t.Context(), "fail", nil, policy), ex.Submit(t.Context(), "fail", nil, policy)
	unittest.Until(t, "calls rest", func() bool { return rests(2) })
	if !given.Cancel() {
		t.Error("a resting call cannot be cancelled")
	}
	if !rests(1) {
		t.Error("two calls rest, of which one was cancelled")
	}
	running := ex.Submit(t.Context(), "forever", nil, Timeout(limit), policy)
	unittest.Until(t, "it runs", func() bool { return running.State() == Running || rests(2) })
	follows := running.Then("echo")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if err := ex.Shutdown(ctx, CancelPending()); err != nil {
		t.Errorf("fork %t: Shutdown: %v", fork, err)
	}
	for what, f := range map[string]*Future{"rested": resting, "was promised": follows} {
		if err := f.Err(t.Context()); !errors.Is(err, ErrCancelled) {
			t.Errorf("fork %t: what %s ended with %v", fork, what, err)
		}
	}
	err := running.Err(t.Context())
	if errors.Is(err, ErrCancelled) {
		return false
	}
	if info, _ := running.Info(); !errors.Is(err, ErrTimeout) || info.Attempt != 1 {
		t.Errorf("fork %t: what ran ended with %v, after %d runs", fork, err, info.Attempt)
	}
	return true
}

// TestForksEnd checks that a fork ends with the executor that was opened first,
// whenever its end is asked for.
func TestForksEnd(t *testing.T) {
	t.Parallel()
	ex := openTasks(t, Config{RootSlots: 1})
	early, late, shut, never := ex.Fork(), ex.Fork(), ex.Fork(), ex.Fork()
	ends := []<-chan struct{}{early.Done(), shut.Done()}
	f := early.Submit(t.Context(), "burn", number(20_000))
	if err := shut.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	unasked := never.Map(t.Context(), "echo", func(yield func([]byte) bool) {
		for yield(nil) {
			continue
		}
	}, Buffer(3))
	if err := ex.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	for i, end := range append(ends, late.Done(), late.Done()) {
		select {
		case <-end:
		case <-time.After(time.Minute):
			t.Fatalf("fork %d does not end", i)
		}
	}
	if err := f.Err(t.Context()); err != nil || !early.Closed() {
		t.Errorf("its call ended with %v", err)
	}
	var end error // its input is not read any more, and its goroutine gone
	for _, end = range unasked {
		continue
	}
	if !errors.Is(end, ErrClosed) {
		t.Errorf("the map that nobody went through ends with %v", end)
	}
	if err := early.Shutdown(t.Context()); err != nil {
		t.Errorf("Shutdown of a fork that has ended: %v", err)
	}
	if len(ex.forks.asked) != 0 {
		t.Errorf("%d forks are kept", len(ex.forks.asked))
	}
}

// TestKeysOfForks checks that forks have keys of their own.
func TestKeysOfForks(t *testing.T) {
	t.Parallel()
	pools(t, func(t *testing.T, ex *Executor, hold func() func(), _ *atomic.Int64) {
		release := hold()
		a, b := ex.Fork(), ex.Fork()
		of := func(ex *Executor) *Future { return ex.Submit(t.Context(), "echo", []byte("x"), Key("k")) }
		mine, theirs := of(a), of(b)
		if mine == theirs || mine != of(a) || theirs != of(b) || of(ex) == mine {
			t.Error("keys cross forks")
		}
		if _, err := a.KillAll(t.Context(), "only mine"); err != nil {
			t.Error(err)
		}
		release()
		if err := mine.Err(t.Context()); !errors.Is(err, ErrKilled) {
			t.Errorf("the call that was killed: %v", err)
		}
		if err := theirs.Err(t.Context()); err != nil {
			t.Errorf("the call of the other fork: %v", err)
		}
	})
}

// TestSentGoElsewhere checks that calls which were sent ahead of a busy worker run on
// another that idles, soon.
func TestSentGoElsewhere(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	if err := c.ex.WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	for round := range 10 {
		var long []*Future
		for range 2 { // both are busy
			f := c.ex.Submit(t.Context(), "forever", nil)
			unittest.Until(t, "it runs", func() bool { return f.State() == Running })
			long = append(long, f)
		}
		var futures []*Future
		for i := range 6 {
			futures = append(futures, c.ex.Submit(t.Context(), "echo", number(i)))
		}
		unittest.Until(t, "calls are sent ahead", func() bool {
			st, err := c.ex.Stats(t.Context())
			return err == nil && st.InFlight >= 4
		})
		began := time.Now()
		long[round%2].Kill("one is enough")
		for _, f := range futures {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			if err := f.Err(ctx); err != nil {
				t.Fatalf("round %d: behind the long call: %v", round, err)
			}
			cancel()
		}
		t.Logf("round %d: %v", round, time.Since(began))
		long[1-round%2].Kill("the round is over")
		Wait(t.Context(), long, AllDone) //nolint:errcheck // they were killed
	}
}

// A killer kills a call when its log says that it runs again.
type killer struct {
	slog.Handler
	call atomic.Pointer[Future]
	info atomic.Pointer[Info] // what is known of the call then
}

func (k *killer) Enabled(context.Context, slog.Level) bool { return true }

func (k *killer) Handle(_ context.Context, line slog.Record) error {
	f := k.call.Load()
	if line.Message == "a call failed and runs again" && f != nil && f.Kill("between two runs") {
		if info, ok := f.Info(); ok {
			k.info.Store(&info)
		}
	}
	return nil
}

// TestKillBetweenRuns kills calls at the moment at which they are about to be queued again, and checks
// that from then on nothing of them changes: also by the race detector.
func TestKillBetweenRuns(t *testing.T) {
	t.Parallel()
	log := &killer{Handler: slog.DiscardHandler}
	ex := openTasks(t, Config{RootSlots: 1, Logger: slog.New(log)})
	for name, backoff := range map[string]time.Duration{"at once": 0, "after a pause": time.Hour} {
		log.call.Store(nil)
		log.info.Store(nil)
		before := ex.Submit(t.Context(), "forever", nil)
		unittest.Until(t, "the slot is busy", func() bool { return before.State() == Running })
		f := ex.Submit(t.Context(), "forever", nil, Timeout(20*time.Millisecond), Retries(RetryPolicy{Attempts: 100, Backoff: backoff, MaxBackoff: backoff}))
		log.call.Store(f)
		looked := make(chan Info, 1)
		go func() {
			<-f.Done()
			info, _ := f.Info() // beside the loop
			looked <- info
		}()
		before.Kill("the slot is needed")
		if err := f.Err(t.Context()); !errors.Is(err, ErrKilled) {
			t.Fatalf("%s: it ended with %v", name, err)
		}
		if _, err := ex.Stats(t.Context()); err != nil { // the loop is through with it
			t.Fatal(err)
		}
		at, other := log.info.Load(), <-looked
		now, _ := f.Info()
		if at == nil || at.Queued <= 0 || at.Queued != now.Queued || at.Attempt != now.Attempt || other.Queued != now.Queued {
			t.Errorf("%s: it was known as %+v when it was killed, as %+v beside the loop, and is as %+v", name, at, other, now)
		}
		if got, err := ex.Call(t.Context(), "echo", []byte("next")); err != nil || string(got) != "next" {
			t.Errorf("%s: the call after it: %q, %v", name, got, err)
		}
	}
}
