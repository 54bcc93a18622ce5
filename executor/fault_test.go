package executor_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/internal/transport/fault"
	"github.com/wasmpool/wasmpool/internal/transport/mem"
	"github.com/wasmpool/wasmpool/internal/transport/seal"
	"github.com/wasmpool/wasmpool/internal/unittest"
	"github.com/wasmpool/wasmpool/internal/worker"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// faultsVar is set in the environment of tests that run again with faults; it
// holds their seed.
const faultsVar = "WASMPOOL_TEST_FAULTS"

// hosts is shared by the workers of all tests with faults.
var hosts = sync.OnceValues(func() (*host.Host, error) { return host.New(host.Config{}) })

// openFaulty returns an executor with worker goroutines, whose frames suffer what
// the plan says.
func openFaulty(t testing.TB, workers int, plan fault.Plan) *executor.Executor {
	t.Helper()
	h, err := hosts()
	if err != nil {
		t.Fatal(err)
	}
	fabric := mem.New(workers + 1)
	ctx, cancel := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	for rank := 1; rank <= workers; rank++ {
		serving.Go(func() {
			ep := fabric.Endpoint(rank)
			err := worker.Serve(ctx, h, seal.New(ep), worker.Config{Rank: rank})
			if err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, worker.ErrRootLost) {
				t.Errorf("rank %d: %v", rank, err)
			}
			ep.Close()
		})
	}
	root := seal.New(fault.New(fabric.Endpoint(0), plan, fabric.Kill))
	cfg := executor.Config{Modules: []*wasmtasks.Module{tasks}, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
	ex, err := executor.OpenOn(cfg, root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, stop := context.WithTimeout(context.Background(), time.Minute)
		defer stop()
		if err := ex.Shutdown(ctx); err != nil && !errors.Is(err, executor.ErrNoWorkers) {
			t.Errorf("Shutdown: %v", err)
		}
		cancel() // workers whose stop frame was lost
		serving.Wait()
	})
	return ex
}

// faultyShape is what shape returns in an inner run of TestFaults. At most so many
// frames are harmed; with two, no call loses more workers than it survives.
func faultyShape(t testing.TB, most int) *executor.Executor {
	t.Helper()
	seed, err := strconv.ParseUint(os.Getenv(faultsVar), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return openFaulty(t, 5, fault.Plan{
		Seed: seed, Delay: 0.01, DelayMax: 3 * time.Millisecond,
		Drop: 0.004, Duplicate: 0.004, Truncate: 0.004, Corrupt: 0.004, Kill: 0.004, Most: most,
	})
}

// TestFaults runs the contract tests again on workers whose frames are delayed,
// lost, doubled, cut and changed, and that die.
func TestFaults(t *testing.T) {
	if testing.Short() {
		return // the race detector's run has them
	}
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.short", "-test.timeout=10m", "-test.run="+unittest.Callers(t, "shape", "sound"))
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d", faultsVar, seed))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestSoak runs random loads under random faults, for as long as WASMPOOL_SOAK
// says, and checks that every call has one outcome, the right one, and that nothing
// is left.
func TestSoak(t *testing.T) {
	length := 5 * time.Second
	if testing.Short() {
		length = time.Second
	}
	if text := os.Getenv("WASMPOOL_SOAK"); text != "" {
		var err error
		if length, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	var total soakCount
	runs := 0
	goroutines := 0
	for end := time.Now().Add(length); time.Now().Before(end); runs++ {
		seed := rand.Uint64()
		if !t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) { soak(t, seed, &total) }) {
			t.Fatalf("seed %d", seed)
		}
		if runs == 0 {
			goroutines = runtime.NumGoroutine()
		} else if n := runtime.NumGoroutine(); n > goroutines+20 {
			t.Fatalf("%d goroutines after run %d, %d after the first", n, runs, goroutines)
		}
	}
	t.Logf("%d runs: %d calls, %d right, %d failed as they should, %d cancelled or killed, %d given up after too many lost workers",
		runs, total.calls.Load(), total.right.Load(), total.failed.Load(), total.ended.Load(), total.lost.Load())
}

type soakCount struct{ calls, right, failed, ended, lost atomic.Int64 }

// soak is one pool's life.
func soak(t *testing.T, seed uint64, total *soakCount) {
	rnd := rand.New(rand.NewPCG(seed, 4))
	workers := 2 + rnd.IntN(5)
	plan := fault.Plan{Seed: seed, Most: rnd.IntN(workers), Delay: rnd.Float64() * 0.03, DelayMax: 3 * time.Millisecond}
	for _, chance := range []*float64{&plan.Drop, &plan.Duplicate, &plan.Truncate, &plan.Corrupt, &plan.Kill} {
		if rnd.IntN(2) == 0 {
			*chance = rnd.Float64() * 0.02
		}
	}
	ex := openFaulty(t, workers, plan)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var callers sync.WaitGroup
	for range 1 + rnd.IntN(4) {
		callers.Go(soaker(ctx, t, ex.Fork(), rand.New(rand.NewPCG(rnd.Uint64(), 5)), total))
	}
	callers.Wait()
	if ctx.Err() != nil {
		report, err := ex.Report(t.Context())
		t.Fatalf("it hangs: %v, %v", report, err)
	}
}

// soaker returns a caller that does this and that.
func soaker(ctx context.Context, t *testing.T, ex *executor.Executor, rnd *rand.Rand, total *soakCount) func() {
	return func() {
		for range 1 + rnd.IntN(4) {
			switch rnd.IntN(3) {
			case 0:
				soakMap(ctx, t, ex, rnd.IntN(3000), total)
			case 1:
				soakLong(ctx, t, ex, 1+rnd.IntN(8), 1+rnd.IntN(300<<10), total)
			default:
				soakMixed(ctx, t, ex, rnd, total)
			}
		}
		if err := ex.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown of a fork: %v", err)
		}
	}
}

// given reports whether a call was given up because too many workers died with it.
func (c *soakCount) given(err error) bool {
	if errors.Is(err, executor.ErrWorkerLost) {
		c.lost.Add(1)
		return true
	}
	return false
}

func soakMap(ctx context.Context, t *testing.T, ex *executor.Executor, n int, total *soakCount) {
	i := 0
	for got, err := range ex.Map(ctx, "echo", numbers(n)) {
		switch {
		case err == nil && bytes.Equal(got, number(i)):
			total.right.Add(1)
		case !total.given(err):
			t.Errorf("element %d of %d: % x, %v", i, n, got, err)
		}
		i++
	}
	total.calls.Add(int64(n))
	if i != n {
		t.Errorf("%d of %d elements", i, n)
	}
}

// soakLong sends payloads both ways.
func soakLong(ctx context.Context, t *testing.T, ex *executor.Executor, n, size int, total *soakCount) {
	var futures []*executor.Future
	arg := bytes.Repeat([]byte{byte(size)}, size)
	for range n {
		futures = append(futures, ex.Submit(ctx, "echo", arg))
	}
	total.calls.Add(int64(n))
	for _, f := range futures {
		got, err := f.Result(ctx)
		switch {
		case err == nil && bytes.Equal(got, arg):
			total.right.Add(1)
		case !total.given(err):
			t.Errorf("a payload of %d bytes: %d bytes, %v", size, len(got), err)
		}
	}
}

// soakMixed submits calls of all kinds, cancels some and kills some.
func soakMixed(ctx context.Context, t *testing.T, ex *executor.Executor, rnd *rand.Rand, total *soakCount) {
	var resolved atomic.Int64
	var futures []*executor.Future
	var wants []string
	for range rnd.IntN(300) {
		task, arg, want := "echo", number(rnd.IntN(1000)), ""
		switch rnd.IntN(8) {
		case 0:
			task, arg = "burn", number(rnd.IntN(3000))
		case 1:
			task, arg, want = "square", []byte("x"), "fails"
		default:
			want = string(arg)
		}
		f := ex.Submit(ctx, task, arg)
		f.OnDone(func(*executor.Future) { resolved.Add(1) })
		switch rnd.IntN(20) {
		case 0:
			f.Cancel()
		case 1:
			f.Kill("for the test")
		}
		futures, wants = append(futures, f), append(wants, want)
	}
	total.calls.Add(int64(len(futures)))
	for i, f := range futures {
		got, err := f.Result(ctx)
		var failed *executor.TaskError
		switch {
		case errors.Is(err, executor.ErrCancelled), errors.Is(err, executor.ErrKilled):
			total.ended.Add(1)
		case total.given(err):
		case wants[i] == "fails" && errors.As(err, &failed) && strings.Contains(failed.Error(), "square"):
			total.failed.Add(1)
		case err == nil && (wants[i] == "" || string(got) == wants[i]):
			total.right.Add(1)
		default:
			t.Errorf("call %d, %v, wants %q: %q, %v", i, f, wants[i], got, err)
		}
	}
	for end := time.Now().Add(time.Minute); resolved.Load() < int64(len(futures)) && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	if n := resolved.Load(); n != int64(len(futures)) {
		t.Errorf("%d of %d callbacks ran", n, len(futures))
	}
}
