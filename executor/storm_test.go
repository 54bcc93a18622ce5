package executor_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/wasmpool/wasmpool/executor"
)

// mapsVar says how many maps TestStormOfMaps runs. The full form, by hand:
//
//	WASMPOOL_TEST_MAPS=10000 go test -race ./executor -run TestStormOfMaps
//
// and on ranks under mpirun -n 3, with WASMPOOL_TEST_RANKS=1.
const mapsVar = "WASMPOOL_TEST_MAPS"

// A storm is what TestStormOfMaps does, on several goroutines.
type storm struct {
	t  *testing.T
	ex *executor.Executor

	mu   sync.Mutex
	ends map[string]int // how often maps ended how
}

// TestStormOfMaps runs maps of all forms, many at the same time, with random inputs,
// buffers and deadlines, which end in all the ways there are, while their forks are
// shut down, cancelled and killed. Each ends, with an error that fits; so does its
// fork; and nothing is left.
func TestStormOfMaps(t *testing.T) {
	maps := 300
	if n, err := strconv.Atoi(os.Getenv(mapsVar)); err == nil {
		maps = n
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	s := &storm{t: t, ex: shape(t), ends: map[string]int{}}
	if err := s.ex.WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.ex.Call(t.Context(), "echo", nil); err != nil {
		t.Fatal(err)
	}
	before := goleak.IgnoreCurrent()
	var next atomic.Int64
	var all sync.WaitGroup
	for g := range uint64(8) {
		all.Go(func() {
			rnd := rand.New(rand.NewPCG(seed, g))
			for next.Add(1) <= int64(maps) {
				s.one(rnd)
			}
		})
	}
	all.Wait()
	idle(t, s.ex)
	if out, err := s.ex.Call(t.Context(), "square", []byte("12")); string(out) != "144" || err != nil {
		t.Errorf("a call after the storm: %q, %v", out, err)
	}
	var leak error
	eventually(t, "nothing is left", func() bool { // but what gives memory back a second after a kill
		leak = goleak.Find(before)
		return leak == nil
	})
	if leak != nil {
		t.Error(leak)
	}
	t.Logf("of %d maps: %v", maps, s.ends)
	for i, end := range []string{"through", "broken off", "context", "body panicked", "not gone through", "input panicked", "closed", "input exited", "input failed"} {
		rare := i > 4
		if s.ends[end] == 0 && (!rare || maps >= 2000) {
			t.Errorf("no map ended %q: the test tests too little", end)
		}
	}
}

// errTorn is the error, and the panic, of inputs.
var errTorn = errors.New("the input is torn")

// input returns an input, its number of arguments, and how it ends.
func (s *storm) input(rnd *rand.Rand) (input iter.Seq2[[]byte, error], n int, end string) {
	n = []int{0, 1, 255, 256, 257, rnd.IntN(700), 1 << 30}[rnd.IntN(7)]
	end = []string{"", "", "", "", "fails", "panics", "exits"}[rnd.IntN(7)]
	if end != "" {
		n = rnd.IntN(400)
	}
	return func(yield func([]byte, error) bool) {
		for i := range n {
			if !yield(number(i), nil) {
				return
			}
		}
		switch end {
		case "fails":
			yield(nil, errTorn)
		case "panics":
			panic(errTorn)
		case "exits":
			runtime.Goexit()
		}
	}, n, end
}

// one runs one map on a fork of its own.
func (s *storm) one(rnd *rand.Rand) {
	fork := s.ex.Fork()
	ctx, cancel := context.WithCancel(s.t.Context())
	defer cancel()
	switch rnd.IntN(4) {
	case 0:
		ctx, cancel = context.WithTimeout(ctx, time.Duration(rnd.IntN(3000))*time.Microsecond)
		defer cancel()
	case 1:
		time.AfterFunc(time.Duration(rnd.IntN(3000))*time.Microsecond, cancel)
	default:
	}
	var beside sync.WaitGroup
	if rnd.IntN(2) == 0 {
		pause, what := time.Duration(rnd.IntN(2000))*time.Microsecond, rnd.IntN(5)
		beside.Go(func() {
			time.Sleep(pause)
			s.disturb(fork, what)
		})
	}
	s.note(s.goThrough(ctx, rnd, fork))
	beside.Wait()
	cancel()
	over, stop := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Minute)
	defer stop()
	if err := fork.Shutdown(over); err != nil {
		s.t.Errorf("Shutdown of a fork: %v", err)
	}
	select {
	case <-fork.Done():
	case <-over.Done():
		s.t.Error("a fork did not end")
	}
}

// disturb does something to a fork that is in use.
func (s *storm) disturb(fork *executor.Executor, what int) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	var err error
	switch what {
	case 0:
		fork.CancelAll()
	case 1:
		_, err = fork.KillAll(ctx, "a storm")
	case 2:
		err = fork.Shutdown(ctx, executor.NoWait())
	case 3:
		err = fork.Shutdown(ctx, executor.CancelPending())
	default:
		cancel() // what runs is killed
		if err = fork.Shutdown(ctx); errors.Is(err, context.Canceled) {
			err = nil
		}
	}
	if err != nil {
		s.t.Errorf("disturbance %d: %v", what, err)
	}
}

// goThrough goes through a map, and tells how it ended.
func (s *storm) goThrough(ctx context.Context, rnd *rand.Rand, fork *executor.Executor) (end string) {
	input, n, inputEnd := s.input(rnd)
	var opts []executor.MapOption
	if rnd.IntN(2) == 0 {
		opts = append(opts, executor.Buffer(1+rnd.IntN(1000)))
	}
	if rnd.IntN(4) == 0 {
		opts = append(opts, executor.Chunk(1+rnd.IntN(100)))
	}
	task := []string{"echo", "odd", "burn"}[rnd.IntN(3)]
	results := s.results(ctx, rnd, fork, task, input, opts)
	body := []string{"through", "through", "break", "panic", "nothing"}[rnd.IntN(5)]
	if body == "nothing" {
		return "not gone through"
	}
	at, count := rnd.IntN(300), 0
	if body == "through" && n > 1000 {
		body = "break" // its input has no end
	}
	defer func() {
		switch v := recover(); {
		case v == nil:
		case v == "a bad body":
			end = "body panicked"
		case v == any(errTorn) && (inputEnd == "panics" || inputEnd == "fails"): // plain inputs have no errors
			end = "input panicked"
		default:
			panic(v)
		}
	}()
	var last error
	for _, err := range results {
		last = err
		if err != nil {
			s.fits(ctx, err, fork, inputEnd)
		}
		if count++; count > n+1 {
			s.t.Errorf("%d elements for %d arguments", count, n)
		}
		switch {
		case count <= at:
		case body == "break":
			return "broken off"
		case body == "panic":
			panic("a bad body")
		}
	}
	switch {
	case last == nil || errors.As(last, new(*executor.TaskError)) || errors.Is(last, executor.ErrCancelled):
		if inputEnd != "" || count != n {
			s.t.Errorf("it ended without an error after %d of %d arguments, whose input %s", count, n, inputEnd)
		}
		return "through"
	case errors.Is(last, errTorn):
		return "input failed"
	case strings.Contains(last.Error(), "Goexit"):
		return "input exited"
	case errors.Is(last, executor.ErrClosed):
		return "closed"
	default:
		return "context"
	}
}

// results starts a map of some form.
func (s *storm) results(ctx context.Context, rnd *rand.Rand, fork *executor.Executor, task string, input iter.Seq2[[]byte, error], opts []executor.MapOption) iter.Seq2[[]byte, error] {
	plain := func(yield func([]byte) bool) {
		for arg, err := range input {
			if err != nil {
				panic(err)
			}
			if !yield(arg) {
				return
			}
		}
	}
	switch rnd.IntN(6) {
	case 0:
		return fork.Map(ctx, task, plain, opts...)
	case 1, 2:
		return fork.MapUnordered(ctx, task, plain, opts...)
	case 3:
		indexed := fork.MapIndexed(ctx, task, plain, opts...)
		return func(yield func([]byte, error) bool) {
			for _, o := range indexed {
				if !yield(o.Result, o.Err) {
					return
				}
			}
		}
	default:
		return fork.MapFrom(ctx, task, input, opts...)
	}
}

// fits complains about an error that a map should not yield.
func (s *storm) fits(ctx context.Context, err error, fork *executor.Executor, inputEnd string) {
	switch {
	case errors.As(err, new(*executor.TaskError)), errors.Is(err, executor.ErrCancelled):
	case errors.Is(err, executor.ErrClosed):
		if !fork.Closed() {
			s.t.Error("it is closed, says a map of a fork that is open")
		}
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		if ctx.Err() == nil {
			s.t.Errorf("yielded %v, and its context has not ended", err)
		}
	case errors.Is(err, errTorn) && inputEnd != "", strings.Contains(err.Error(), "Goexit") && inputEnd == "exits":
	default:
		s.t.Errorf("yielded %v, with an input that %s", err, fmt.Sprint(inputEnd))
	}
}

func (s *storm) note(end string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ends[end]++
}
