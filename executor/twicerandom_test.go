package executor

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/host"
)

// twiceSeedVar runs one round of TestTwiceRandom again.
const twiceSeedVar = "WASMPOOL_TEST_SEED"

// TestTwiceRandom runs calls with duplicates and spot checks on workers that stop, go on and die at random, while calls are cancelled
// and killed: each future has one outcome, the right one, and is counted once.
func TestTwiceRandom(t *testing.T) {
	rounds := 8
	if testing.Short() {
		rounds = 3
	}
	if text := os.Getenv("WASMPOOL_TEST_ROUNDS"); text != "" {
		var err error
		if rounds, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	var total twiceTotal
	if text := os.Getenv(twiceSeedVar); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		runTwice(t, seed, &total)
		return
	}
	for range rounds {
		seed := rand.Uint64()
		if !t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) { runTwice(t, seed, &total) }) {
			t.Fatalf("%s=%d runs it again", twiceSeedVar, seed)
		}
	}
	t.Logf("%d calls had a result, %d failed, %d were ended; %d started twice, %d checked", total.done.Load(), total.failed.Load(), total.ended.Load(), total.duplicated.Load(), total.checked.Load())
	if total.duplicated.Load() == 0 || total.checked.Load() == 0 {
		t.Error("nothing ran twice")
	}
}

type twiceTotal struct{ done, failed, ended, duplicated, checked atomic.Uint64 }

// A twiceRun is one round.
type twiceRun struct {
	*standstill
	t            *testing.T
	done, failed atomic.Uint64 // as their callers see it
	ended        atomic.Uint64
	cut          bool // the pool's end cancels what waits
}

func runTwice(t *testing.T, seed uint64, total *twiceTotal) {
	rnd := rand.New(rand.NewPCG(seed, 0))
	cfg := Config{Speculate: true, SpotCheck: []float64{0, 0.3, 1}[rnd.IntN(3)]}
	cfg.Sandbox.Isolation = []host.Isolation{host.IsolationReset, host.IsolationFresh}[rnd.IntN(2)]
	r := &twiceRun{standstill: newStandstill(t, 3+rnd.IntN(2), 1+rnd.IntN(3), cfg), t: t, cut: rnd.IntN(4) == 0}
	r.ex.dispatcher.Probe().Hasty(time.Millisecond)
	ctx, stop := context.WithCancel(t.Context())
	var callers, chaos sync.WaitGroup
	for i := range 3 {
		rnd := rand.New(rand.NewPCG(seed, 1+uint64(i)))
		callers.Go(func() {
			switch rnd.IntN(3) {
			case 0:
				r.submit(rnd)
			default:
				r.mapAll(rnd)
			}
		})
	}
	dies := rnd.IntN(3) == 0
	chaos.Go(func() { r.disturb(ctx, rand.New(rand.NewPCG(seed, 100)), dies) })
	callers.Wait()
	var opts []ShutdownOption
	if r.cut {
		opts = append(opts, CancelPending())
	}
	st := stats(t, r.ex)
	failed, ended := r.failed.Load(), r.ended.Load() // of the second some were sent, and count as failed
	if st.Done != r.done.Load() || st.Failed < failed || st.Failed > failed+ended || st.Queued+st.Resting != 0 || st.InFlight != 0 || st.Differed != 0 {
		t.Errorf("%d calls had a result and %d failed: %+v", r.done.Load(), failed, st)
	}
	if err := r.ex.Shutdown(t.Context(), opts...); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	stop()
	chaos.Wait()
	total.done.Add(st.Done)
	total.failed.Add(st.Failed)
	total.ended.Add(r.ended.Load())
	total.duplicated.Add(st.Duplicated)
	total.checked.Add(st.Checked)
}

// disturb stops workers and has them go on. One may die.
func (r *twiceRun) disturb(ctx context.Context, rnd *rand.Rand, dies bool) {
	for ctx.Err() == nil {
		rank := 1 + rnd.IntN(len(r.workers)-1)
		r.workers[rank].stop()
		time.Sleep(time.Duration(rnd.IntN(20_000)) * time.Microsecond)
		if dies && rnd.IntN(4) == 0 {
			dies = false
			r.fabric.Kill(rank)
		}
		if rnd.IntN(3) > 0 {
			r.workers[rank].resume()
		}
		if rnd.IntN(3) == 0 {
			r.resumeAll()
		}
	}
	r.resumeAll()
}

// task returns a task, with how many turns and bytes its arguments have.
func (r *twiceRun) task(rnd *rand.Rand) (task string, arg func(i int) []byte) {
	task = []string{"echo", "spin", "odd"}[rnd.IntN(3)]
	turns := []int{10, 1000, 300_000}[rnd.IntN(3)]
	length := []int{8, 8, 3000, 40 << 10, 300 << 10}[rnd.IntN(5)]
	long := rnd.IntN(10) == 0
	return task, func(i int) []byte {
		if long && i%50 == 0 {
			return spinArgument(i, turns, 1<<20)
		}
		return spinArgument(i, turns, length)
	}
}

// check looks at the outcome of a call.
func (r *twiceRun) check(task string, arg, got []byte, err error, mayEnd bool) {
	odd := task == "odd" && binary.LittleEndian.Uint32(arg[4:])&1 == 1
	switch {
	case err == nil:
		if r.done.Add(1); odd || !bytes.Equal(got, arg) {
			r.t.Errorf("%s: %d bytes for an argument of %d, odd: %t", task, len(got), len(arg), odd)
		}
	case odd && errors.Is(err, ErrTrap):
		r.failed.Add(1)
	case mayEnd && errors.Is(err, ErrKilled):
		r.ended.Add(1)
	case mayEnd && err == ErrCancelled: //nolint:errorlint // it is the very value
		r.ended.Add(1)
	default:
		r.t.Errorf("%s: %v", task, err)
	}
}

// mapAll maps, in order or not.
func (r *twiceRun) mapAll(rnd *rand.Rand) {
	task, arg := r.task(rnd)
	n := 1 + rnd.IntN(300)
	args := func(yield func([]byte) bool) {
		for i := range n {
			if !yield(arg(i)) {
				return
			}
		}
	}
	var opts []MapOption
	if rnd.IntN(3) == 0 {
		opts = append(opts, Retries(RetryPolicy{Attempts: 2}))
	}
	seen := make([]bool, n)
	for i, o := range r.ex.MapIndexed(r.t.Context(), task, args, opts...) {
		if i < 0 || seen[i] {
			r.t.Errorf("%s: element %d: %v", task, i, o.Err)
			return
		}
		seen[i] = true
		r.check(task, arg(int(i)), o.Result, o.Err, false)
		if o.Err == nil && (o.Info.Rank < 1 || o.Info.Attempt < 1) {
			r.t.Errorf("%s: %+v", task, o.Info)
		}
	}
	for i, s := range seen {
		if !s {
			r.t.Errorf("%s: no outcome of element %d", task, i)
		}
	}
}

// submit submits calls, of which some are cancelled and some killed.
func (r *twiceRun) submit(rnd *rand.Rand) {
	task, arg := r.task(rnd)
	n := 1 + rnd.IntN(100)
	futures := make([]*Future, n)
	mayEnd := make([]bool, n)
	for i := range futures {
		futures[i] = r.ex.Submit(r.t.Context(), task, arg(i))
	}
	for range n / 3 {
		i := rnd.IntN(n)
		mayEnd[i] = true
		if rnd.IntN(2) == 0 {
			futures[i].Cancel()
		} else {
			futures[i].Kill("at random")
		}
	}
	for i, f := range futures {
		got, err := f.Result(r.t.Context())
		r.check(task, arg(i), got, err, mayEnd[i])
		if info, ok := f.Info(); !ok || info.Task != task {
			r.t.Errorf("%s: %+v", task, info)
		}
	}
}
