package memo_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/internal/unittest"
	"github.com/wasmpool/wasmpool/memo"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// tasksWAT has echo, which gives its argument and a constant, twin, which does so under another name, rank, which gives the rank
// it asks for, seed, which gives what its argument has made of the seed, and fail.
func tasksWAT(constant int) string {
	return fmt.Sprintf(`(module
	(import "wasmpool" "input_len" (func $len (result i32)))
	(import "wasmpool" "input_read" (func $read (param i32 i32 i32) (result i32)))
	(import "wasmpool" "output_write" (func $write (param i32 i32)))
	(import "wasmpool" "call_meta" (func $meta (param i32) (result i64)))
	(memory (export "memory") 2)
	(func $echo (export "echo") (export "twin") (result i32)
	  (drop (call $read (i32.const 8) (i32.const 0) (call $len)))
	  (i64.store (i32.const 0) (i64.const %d))
	  (call $write (i32.const 0) (i32.add (i32.const 8) (call $len))) (i32.const 0))
	(func (export "start") (result i32) (i32.const 0))
	(func (export "rank") (result i32)
	  (i64.store (i32.const 0) (call $meta (i32.const 2)))
	  (call $write (i32.const 0) (i32.const 8)) (i32.const 0))
	(func (export "seed") (result i32)
	  (i64.store (i32.const 0) (call $meta (i32.const 4)))
	  (call $write (i32.const 0) (i32.const 8)) (i32.const 0))
	(func (export "fail") (result i32) (i32.const 70)))`, constant)
}

// module is the module of tasksWAT, called m.
func module(t testing.TB, constant int) *wasmtasks.Module {
	t.Helper()
	m, err := wasmtasks.Load("m", unittest.Assemble(t, tasksWAT(constant)))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// pooled gives use a pool on a store in a folder, with that module.
func pooled(t testing.TB, dir string, m *wasmtasks.Module, cfg executor.Config, use func(*executor.Executor)) executor.Stats {
	t.Helper()
	if cfg.Memo == nil {
		cfg.Memo = quiet(dir, memo.Config{Large: 5000})
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	cfg.Modules, cfg.RootSlots, cfg.Sandbox.CacheDir = []*wasmtasks.Module{m}, 2, cacheDir
	ex, err := executor.Local(cfg)
	if err != nil {
		t.Fatal(err)
	}
	use(ex)
	if err := ex.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	stats, err := ex.Stats(t.Context())
	if err != nil {
		t.Error(err)
	}
	return stats
}

var reset = host.Config{Isolation: host.IsolationReset}

// inputs are arguments of several lengths, up to some that are long.
func inputs(n int) [][]byte {
	all := make([][]byte, n)
	for i := range all {
		all[i] = append(binary.LittleEndian.AppendUint64(nil, uint64(i)), make([]byte, i%30*i%30*100)...)
	}
	return all
}

// mapped maps a task and returns how many of its calls ran. Wrong results fail the test.
func mapped(t testing.TB, ex *executor.Executor, task string, constant int, args [][]byte, opts ...executor.MapOption) (ran int) {
	t.Helper()
	n := 0
	for i, o := range ex.MapOutcomes(t.Context(), task, slices.Values(args), opts...) {
		n++
		want := append(binary.LittleEndian.AppendUint64(nil, uint64(constant)), args[max(i, 0)]...)
		if o.Err != nil || !bytes.Equal(o.Result, want) {
			t.Fatalf("call %d gives %.20q, %v", i, o.Result, o.Err)
		}
		if o.Info.Found != (o.Info.Rank < 0) || o.Info.Found != (o.Info.Attempt == 0) || o.Info.Task != task {
			t.Fatalf("call %d has %+v", i, o.Info)
		}
		if !o.Info.Found {
			ran++
		}
	}
	if n != len(args) {
		t.Errorf("%d of %d results", n, len(args))
	}
	return ran
}

// A swapped store is one that finds a wrong result once, and can fail to close.
type swapped struct {
	*memo.Store
	wrong    atomic.Bool
	closeErr error
}

func (s *swapped) Find(ctx context.Context, key *executor.MemoKey) (result []byte, found bool) {
	result, found = s.Store.Find(ctx, key)
	if found && s.wrong.Swap(false) {
		result[0] ^= 1
	}
	return result, found
}

func (s *swapped) Close() error { return errors.Join(s.Store.Close(), s.closeErr) }

// What another pool has computed is found: all of it, all but a line that has changed, and nothing of it by another module or task.
func TestPool(t *testing.T) {
	t.Parallel()
	dir, args := t.TempDir(), inputs(400)
	one, two := module(t, 1), module(t, 2)
	run := func(m *wasmtasks.Module, task string, constant, want int) {
		t.Helper()
		ran := 0
		stats := pooled(t, dir, m, executor.Config{Sandbox: reset}, func(ex *executor.Executor) { ran = mapped(t, ex, task, constant, args) })
		if ran != want || stats.Done != uint64(want) || stats.Found != uint64(len(args)-want) {
			t.Errorf("%s: %d calls ran, want %d; the pool counts %d and %d found", task, ran, want, stats.Done, stats.Found)
		}
	}
	run(one, "echo", 1, len(args))
	run(one, "echo", 1, 0)
	run(one, "m.echo", 1, 0)
	args[17] = []byte("changed")
	run(one, "echo", 1, 1)
	slices.Reverse(args)
	args = append(args, []byte("new"))
	run(one, "echo", 1, 1)
	run(module(t, 1).WithName("m"), "echo", 1, 0) // built again
	run(two, "echo", 2, len(args))
	run(one, "twin", 1, len(args))
	run(one, "echo", 1, 0)
}

// Every way to make a call finds what there is and keeps what there was not.
func TestWays(t *testing.T) {
	t.Parallel()
	dir, m := t.TempDir(), module(t, 1)
	arg, longer := []byte("argument"), bytes.Repeat([]byte("long"), 5000)
	all := [][]byte{arg, longer, nil}
	ways := map[string]func(ex *executor.Executor, task string, opts ...executor.CallOption) [][]byte{
		"submit": func(ex *executor.Executor, task string, opts ...executor.CallOption) (out [][]byte) {
			for _, a := range all {
				f := ex.Submit(t.Context(), task, a, opts...)
				done := make(chan struct{})
				f.OnDone(func(*executor.Future) { close(done) })
				<-done
				b, err := f.Result(t.Context())
				if err != nil || f.State() != executor.Finished || f.Cancel() || f.Kill("late") {
					t.Errorf("%v, %v", f, err)
				}
				out = append(out, b)
			}
			return out
		},
		"call": func(ex *executor.Executor, task string, opts ...executor.CallOption) (out [][]byte) {
			for i, a := range all {
				b, err := ex.Call(t.Context(), task, a, append(opts, executor.Key(fmt.Sprint(i)))...)
				if err != nil {
					t.Error(err)
				}
				out = append(out, b)
			}
			return out
		},
		"unordered": func(ex *executor.Executor, task string, opts ...executor.CallOption) [][]byte {
			out := make([][]byte, len(all))
			for i, o := range ex.MapIndexed(t.Context(), task, slices.Values(all), mapOptions(opts)...) {
				if o.Err != nil {
					t.Fatal(o.Err)
				}
				out[i] = o.Result
			}
			return out
		},
		"batch": func(ex *executor.Executor, task string, opts ...executor.CallOption) [][]byte {
			b := ex.SubmitBatch(t.Context(), task, slices.Values(all), mapOptions(opts)...)
			out, err := b.Results(t.Context())
			if err != nil {
				t.Error(err)
			}
			<-b.Done()
			return out
		},
		"stream": func(ex *executor.Executor, task string, opts ...executor.CallOption) (out [][]byte) {
			for b, err := range ex.Stream(t.Context(), task, slices.Values(all), mapOptions(opts)...).All(t.Context()) {
				if err != nil {
					t.Error(err)
				}
				out = append(out, b)
			}
			return out
		},
		"fork": func(ex *executor.Executor, task string, opts ...executor.CallOption) (out [][]byte) {
			fork := ex.Fork()
			for b, err := range fork.Map(t.Context(), task, slices.Values(all), append(mapOptions(opts), executor.StoppedBy(new(executor.Stopper)))...) {
				if err != nil {
					t.Error(err)
				}
				out = append(out, b)
			}
			if err := fork.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
			if _, err := fork.Call(t.Context(), task, arg, opts...); !errors.Is(err, executor.ErrClosed) {
				t.Errorf("after the fork's end: %v", err)
			}
			return out
		},
	}
	want := [][]byte{}
	for _, a := range all {
		want = append(want, append(binary.LittleEndian.AppendUint64(nil, 1), a...))
	}
	for first, makes := range ways {
		calls := executor.WithLimits(executor.Limits{Instructions: uint64(1_000_000 + len(first))}) // so that nothing is found but what it has kept
		stats := pooled(t, dir, m, executor.Config{Sandbox: reset}, func(ex *executor.Executor) {
			if got := makes(ex, "echo", calls); !slices.EqualFunc(got, want, bytes.Equal) {
				t.Errorf("%s: %.60q", first, got)
			}
		})
		if first != "fork" && stats.Done+stats.Found != 3 {
			t.Errorf("%s: %+v", first, stats)
		}
		for then, finds := range ways {
			stats := pooled(t, dir, m, executor.Config{Sandbox: reset}, func(ex *executor.Executor) {
				if got := finds(ex, "echo", calls); !slices.EqualFunc(got, want, bytes.Equal) {
					t.Errorf("%s after %s: %.60q", then, first, got)
				}
			})
			if stats.Done != 0 || stats.Found != 3 {
				t.Errorf("%s after %s: %+v", then, first, stats)
			}
		}
	}
}

func mapOptions(opts []executor.CallOption) (all []executor.MapOption) {
	for _, o := range opts {
		all = append(all, o)
	}
	return all
}

// A call behind another is found, too, and one behind a call that failed is none.
func TestThen(t *testing.T) {
	t.Parallel()
	dir, m := t.TempDir(), module(t, 1)
	for round := range 2 {
		stats := pooled(t, dir, m, executor.Config{Sandbox: reset}, func(ex *executor.Executor) {
			f := ex.Submit(t.Context(), "echo", []byte("x")).Then("twin").Then("echo")
			if got, err := f.Result(t.Context()); err != nil || len(got) != 25 {
				t.Errorf("%q, %v", got, err)
			}
			if info, ok := f.Info(); !ok || info.Found != (round == 1) {
				t.Errorf("round %d: %+v", round, info)
			}
			if _, err := ex.Submit(t.Context(), "fail", nil).Then("echo").Result(t.Context()); !errors.Is(err, executor.ErrApplication) {
				t.Errorf("behind a failure: %v", err)
			}
		})
		if stats.Found != uint64(3*round) || stats.Done != uint64(3*(1-round)) || stats.Failed != 1 {
			t.Errorf("round %d: %+v", round, stats)
		}
	}
}

// All that can decide a result makes another key, and what cannot makes none.
func TestKeys(t *testing.T) {
	t.Parallel()
	dir, m := t.TempDir(), module(t, 1)
	grants := func(g host.Grants) host.Config {
		return host.Config{Isolation: host.IsolationReset, Grants: map[string]host.Grants{"m": g}}
	}
	ran := func(cfg host.Config, opts ...executor.CallOption) bool {
		stats := pooled(t, dir, m, executor.Config{Sandbox: cfg}, func(ex *executor.Executor) {
			if _, err := ex.Call(t.Context(), "echo", []byte("x"), opts...); err != nil {
				t.Error(err)
			}
		})
		return stats.Done == 1
	}
	for i, tc := range []struct {
		cfg  host.Config
		opts []executor.CallOption
		same bool // as one before
	}{
		{cfg: reset},
		{cfg: reset, same: true},
		{cfg: host.Config{Isolation: host.IsolationFresh}, same: true},
		{cfg: host.Config{Isolation: host.IsolationReset, MaxCallsPerInstance: 3, KeepMemory: 1 << 20}, same: true},
		{cfg: grants(host.Grants{Output: true}), same: true},
		{cfg: reset, opts: []executor.CallOption{executor.Timeout(time.Hour), executor.Priority(2), executor.Tags("a"), executor.Attach(1), executor.Pure()}, same: true},
		{cfg: reset, opts: []executor.CallOption{executor.Retries(executor.RetryPolicy{Attempts: 2, MoreTime: 3})}, same: true},
		{cfg: reset, opts: []executor.CallOption{executor.WithLimits(executor.Limits{Memory: 1 << 40})}, same: true},
		{cfg: reset, opts: []executor.CallOption{executor.Retries(executor.RetryPolicy{Attempts: 2, MoreMemory: 3})}},
		{cfg: reset, opts: []executor.CallOption{executor.WithLimits(executor.Limits{Memory: 1 << 20})}},
		{cfg: host.Config{Isolation: host.IsolationReset, Limits: host.Limits{Memory: 1 << 20}}, same: true},
		{cfg: host.Config{Isolation: host.IsolationReset, MemoryLimit: 1 << 20}},
		{cfg: reset, opts: []executor.CallOption{executor.WithLimits(executor.Limits{Output: 1 << 20})}},
		{cfg: reset, opts: []executor.CallOption{executor.WithLimits(executor.Limits{Log: 1 << 20})}},
		{cfg: reset, opts: []executor.CallOption{executor.WithLimits(executor.Limits{Instructions: 1 << 20})}},
		{cfg: host.Config{Isolation: host.IsolationReset, NoMeter: true}},
		{cfg: host.Config{Isolation: host.IsolationReset, Initializer: "start"}},
		{cfg: host.Config{Isolation: host.IsolationReset, Initializer: "start", InitArg: []byte("x")}},
		{cfg: grants(host.Grants{Args: []string{"x"}})},
		{cfg: host.Config{}, opts: []executor.CallOption{executor.Pure()}},
		{cfg: host.Config{}, opts: []executor.CallOption{executor.Pure()}, same: true},
		{cfg: reset, same: true},
	} {
		if ran(tc.cfg, tc.opts...) == tc.same {
			t.Errorf("case %d: it ran: %v", i, !tc.same)
		}
	}
}

// A call whose result may be of more than its argument is refused, with the reason, unless the memo is not for it.
func TestRefused(t *testing.T) {
	t.Parallel()
	dir, m := t.TempDir(), module(t, 1)
	for want, g := range map[string]host.Grants{
		"module m has the grant Clock": {Clock: true}, "module m has the grant Random": {Random: true},
		"module m has the grant Env": {Env: map[string]string{"A": "b"}}, "module m has the grant Folders": {Folders: map[string]string{"/data": t.TempDir()}},
		"with isolation reuse a call may find what others have left behind": {Output: true},
	} {
		cfg := host.Config{Grants: map[string]host.Grants{host.EveryModule: g}}
		if !strings.Contains(want, "reuse") {
			cfg.Isolation = host.IsolationFresh
		}
		stats := pooled(t, dir, m, executor.Config{Sandbox: cfg}, func(ex *executor.Executor) {
			if _, err := ex.Call(t.Context(), "echo", nil); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("a call: %v, want %s", err, want)
			}
			if err := ex.Submit(t.Context(), "echo", nil, executor.WithoutMemo()).Then("echo").Err(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("a call behind another: %v, want %s", err, want)
			}
			for _, err := range ex.Map(t.Context(), "echo", slices.Values(inputs(3))) {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("a map: %v, want %s", err, want)
				}
			}
			if n := mapped(t, ex, "echo", 1, inputs(3), executor.WithoutMemo()); n != 3 {
				t.Errorf("%d of 3 calls without the memo ran", n)
			}
		})
		if stats.Done != 4 || stats.Found != 0 {
			t.Errorf("%+v", stats)
		}
	}
}

// What has asked which call it is, is not kept, nor what has failed; who asks for a seed asks for its argument.
func TestUnkept(t *testing.T) {
	t.Parallel()
	dir, m := t.TempDir(), module(t, 1)
	var log bytes.Buffer
	store := quiet(dir, memo.Config{})
	for round := range 2 {
		stats := pooled(t, dir, m, executor.Config{Memo: store, Sandbox: reset, Logger: slog.New(slog.NewTextHandler(&log, nil))}, func(ex *executor.Executor) {
			for range 2 { // one after the other, so that the first could be found
				for _, task := range []string{"rank", "seed", "fail"} {
					if _, err := ex.Call(t.Context(), task, []byte("x")); (err != nil) != (task == "fail") {
						t.Errorf("%s: %v", task, err)
					}
				}
				if err := store.Sync(t.Context()); err != nil { // until what is kept is found
					t.Error(err)
				}
			}
		})
		if stats.Failed != 2 || stats.Done != uint64(3-round) || stats.Found != uint64(1+round) {
			t.Errorf("round %d: %+v", round, stats)
		}
	}
	if n := strings.Count(log.String(), "task=rank"); n != 2 || strings.Contains(log.String(), "task=seed") {
		t.Errorf("the log says %s", &log)
	}
}

// A result of the memo that a call does not give is told, counted and forgotten.
func TestVerify(t *testing.T) {
	t.Parallel()
	dir, m, args := t.TempDir(), module(t, 1), inputs(50)
	store := &swapped{Store: quiet(dir, memo.Config{})}
	var log bytes.Buffer
	run := func(share float64) executor.Stats {
		return pooled(t, dir, m, executor.Config{Memo: store, VerifyMemo: share, Sandbox: reset, Logger: slog.New(slog.NewTextHandler(&log, nil))}, func(ex *executor.Executor) {
			for range ex.Map(t.Context(), "echo", slices.Values(args), executor.Tags("survey")) { //nolint:errcheck // they are counted
			}
		})
	}
	run(0)
	if s := run(1); s.Done != 50 || s.Found != 0 || s.Differed != 0 || log.Len() > 0 {
		t.Errorf("all are right: %+v %s", s, &log)
	}
	if s := run(0.5); s.Done < 5 || s.Done > 45 || s.Done+s.Found != 50 {
		t.Errorf("half of them run: %+v", s)
	}
	store.wrong.Store(true)
	if s := run(1); s.Done != 50 || s.Differed != 1 {
		t.Errorf("one is wrong: %+v", s)
	}
	for _, want := range []string{"task=echo", "tags=[survey]", "argument=", "kept=", "now=", "rank=0", "host="} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log does not say %s: %s", want, &log)
		}
	}
	if s := run(0); s.Done != 1 || s.Found != 49 {
		t.Errorf("what differed is not forgotten: %+v", s)
	}
	cfg := executor.Config{VerifyMemo: 1.5}
	if _, err := executor.Local(cfg); err == nil || !strings.Contains(err.Error(), "Config.VerifyMemo is 1.5") {
		t.Errorf("a share of 1.5: %v", err)
	}
}

// A memo that cannot be opened is an error of the pool, and so is one that cannot be written.
func TestMemoFails(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	opened(t, dir, memo.Config{})
	_, err := executor.Local(executor.Config{Memo: quiet(dir, memo.Config{})})
	if err == nil || !strings.Contains(err.Error(), "Config.Memo: memo: the memo "+dir+": another job writes to it") {
		t.Errorf("a pool on a memo that another writes to: %v", err)
	}
	broken := &swapped{Store: quiet(t.TempDir(), memo.Config{}), closeErr: errors.New("no space left")}
	ex, err := executor.Local(executor.Config{Memo: broken})
	if err != nil {
		t.Fatal(err)
	}
	if err := ex.Shutdown(context.Background()); err == nil || !strings.Contains(err.Error(), "no space left") {
		t.Errorf("Shutdown: %v", err)
	}
}
