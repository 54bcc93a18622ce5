package executor_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/host"
)

// mixed returns n arguments of task told, most of which it returns.
func mixed(seed uint64, n int) [][]byte {
	rnd := rand.New(rand.NewPCG(seed, 1))
	args := make([][]byte, n)
	for i := range args {
		kind := "eeeeeeeeeeeefnk"[rnd.IntN(15)]
		switch rnd.IntN(400) {
		case 0:
			kind = 'c'
		case 1:
			kind = 's'
		case 2:
			kind = 'l'
		}
		args[i] = fmt.Appendf(nil, "%c%d", kind, i)
		if rnd.IntN(20) == 0 {
			args[i] = append(args[i], make([]byte, 1000+rnd.IntN(50))...) // around the length from which a call goes alone
		}
	}
	return args
}

// checkTold holds what has become of an argument of told against what it says.
func checkTold(t *testing.T, arg, result []byte, err error) {
	t.Helper()
	var want []byte
	var kind error
	switch arg[0] {
	case 'f':
		kind = host.KindApplication
	case 'c':
		kind = host.KindPanic
	case 'n':
	case 'k':
		want = bytes.Repeat(arg, 300)
	case 'l':
		want = bytes.Repeat(arg, 3000)
	default:
		want = arg
	}
	if kind != nil && errors.Is(err, kind) || kind == nil && err == nil && bytes.Equal(result, want) {
		return
	}
	t.Fatalf("%.20q gives %.20q of %d bytes, %v", arg, result, len(result), err)
}

// hesitant yields the arguments with pauses now and then.
func hesitant(args [][]byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for i, arg := range args {
			switch {
			case i%997 == 0:
				time.Sleep(time.Millisecond)
			case i%101 == 0:
				runtime.Gosched()
			}
			if !yield(arg) {
				return
			}
		}
	}
}

// TestMapOfMixedCalls maps short calls of which some fail, crash, take long or have long results: each result
// is that of its argument, in each form of Map.
func TestMapOfMixedCalls(t *testing.T) {
	t.Parallel()
	ex := shape(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	args := mixed(seed, 5000)
	for name, opts := range map[string][]executor.MapOption{
		"": nil, "buffered": {executor.Buffer(100)}, "tight": {executor.Buffer(1)}, "chunks": {executor.Chunk(37)}, "retried": {executor.Retries(executor.RetryPolicy{Attempts: 2})},
	} {
		args := args
		if name == "tight" {
			args = args[:500]
		}
		t.Run("Map "+name, func(t *testing.T) {
			i := 0
			for data, err := range ex.Map(t.Context(), "told", hesitant(args), opts...) {
				checkTold(t, args[i], data, err)
				i++
			}
			if i != len(args) {
				t.Errorf("%d of %d results", i, len(args))
			}
		})
		t.Run("MapOutcomes "+name, func(t *testing.T) {
			next := int64(0)
			for i, o := range ex.MapOutcomes(t.Context(), "told", hesitant(args), append(slices.Clone(opts), executor.Tags("a"))...) {
				if i != next {
					t.Fatalf("result %d comes as number %d", i, next)
				}
				next++
				checkTold(t, args[i], o.Result, o.Err)
				checkInfo(t, o)
			}
			if next != int64(len(args)) {
				t.Errorf("%d of %d results", next, len(args))
			}
		})
		t.Run("MapIndexed "+name, func(t *testing.T) {
			seen := make([]bool, len(args))
			for i, o := range ex.MapIndexed(t.Context(), "told", hesitant(args), append(slices.Clone(opts), executor.Tags("a"))...) {
				if i < 0 || seen[i] {
					t.Fatalf("result %d: %v, seen before: %t", i, o.Err, i >= 0)
				}
				seen[i] = true
				checkTold(t, args[i], o.Result, o.Err)
				checkInfo(t, o)
			}
			if i := slices.Index(seen, false); i >= 0 {
				t.Errorf("no result of argument %d", i)
			}
		})
	}
}

func checkInfo(t *testing.T, o executor.Outcome) {
	t.Helper()
	i := &o.Info
	if i.Rank < 0 || i.Host == "" || i.Attempt < 1 || i.Task != "told" || i.Ran < 0 || i.Queued < 0 || !slices.Equal(i.Tags, []string{"a"}) {
		t.Fatalf("a call has ended with %v, and this is known of it: %+v", o.Err, *i)
	}
}

// TestMapCountsItsCalls looks at the counts of a pool after maps of short calls.
func TestMapCountsItsCalls(t *testing.T) {
	t.Parallel()
	ex := open(t, executor.Config{})
	args := mixed(7, 3000)
	failed := uint64(0)
	for _, err := range ex.Map(t.Context(), "told", slices.Values(args)) {
		if err != nil {
			failed++
		}
	}
	st, err := ex.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if st.Done != uint64(len(args))-failed || st.Failed != failed || st.Queued != 0 || st.InFlight != 0 || st.Retried != 0 {
		t.Errorf("%d of %d calls have failed: %+v", failed, len(args), st)
	}
	calls := uint64(0)
	for _, w := range st.Workers {
		calls += w.Calls
	}
	if calls != uint64(len(args)) {
		t.Errorf("the workers have run %d of %d calls", calls, len(args))
	}
}

// TestKillCallOfMany kills one of very many short calls by its number, while it waits or a worker has it: that one is killed, and no other.
func TestKillCallOfMany(t *testing.T) {
	t.Parallel()
	ex := open(t, executor.Config{RootSlots: 1})
	// The slot is busy, so that the calls behind it wait in one block.
	busy := ex.Submit(t.Context(), "forever", nil)
	defer busy.Kill("the test is over")
	const n = 40
	fed := make(chan struct{})
	results := ex.Map(t.Context(), "echo", func(yield func([]byte) bool) {
		for i := range n {
			if !yield(number(i)) {
				return
			}
		}
		close(fed)
	}, executor.Buffer(n+1))
	<-fed
	const victim = 2 + 17 // calls are numbered from 1, and busy was the first
	killed, err := ex.KillCall(t.Context(), victim, "it is its turn")
	if err != nil || !killed {
		t.Fatal(killed, err)
	}
	busy.Kill("it has done its duty")
	i := 0
	for data, err := range results {
		switch {
		case i == victim-2:
			if !errors.Is(err, executor.ErrKilled) {
				t.Errorf("the call that was killed: %q, %v", data, err)
			}
		case err != nil || !bytes.Equal(data, number(i)):
			t.Errorf("call %d: %q, %v", i, data, err)
		}
		i++
	}
	if i != n {
		t.Errorf("%d of %d results", i, n)
	}
	if again, err := ex.KillCall(t.Context(), victim, "again"); again || err != nil {
		t.Error(again, err)
	}
}

// TestMapInputStops has the input of a map block in the middle of short calls: all before that have their results meanwhile.
func TestMapInputStops(t *testing.T) {
	t.Parallel()
	ex := shape(t)
	const n = 1000
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var yielded atomic.Int64
	results := ex.Map(ctx, "echo", func(yield func([]byte) bool) {
		for i := range n {
			if !yield(number(i)) {
				return
			}
			yielded.Add(1)
		}
		<-ctx.Done()
	})
	i := 0
	for data, err := range results {
		if i == n {
			if !errors.Is(err, context.Canceled) {
				t.Errorf("it ends with %v", err)
			}
			break
		}
		if err != nil || !bytes.Equal(data, number(i)) {
			t.Fatalf("result %d: %q, %v", i, data, err)
		}
		if i++; i == n {
			cancel()
		}
	}
	if i != n || yielded.Load() != n {
		t.Errorf("%d results of %d", i, yielded.Load())
	}
}

// TestShutdownEndsABlock shuts a fork down while calls of a map wait: what its input yields from then on is not submitted.
func TestShutdownEndsABlock(t *testing.T) {
	t.Parallel()
	ex := open(t, executor.Config{RootSlots: 1})
	busy := ex.Submit(t.Context(), "forever", nil)
	defer busy.Kill("the test is over")
	fork := ex.Fork()
	first, shut := make(chan struct{}), make(chan struct{})
	yielded := 0
	results := fork.Map(t.Context(), "echo", func(yield func([]byte) bool) {
		for yield(number(yielded)) {
			if yielded++; yielded == 10 {
				close(first)
				<-shut
			}
		}
	}, executor.Buffer(1000))
	<-first
	if err := fork.Shutdown(t.Context(), executor.NoWait()); err != nil {
		t.Fatal(err)
	}
	close(shut)
	busy.Kill("it has done its duty")
	n := 0
	for _, err := range results {
		if errors.Is(err, executor.ErrClosed) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != 10 || yielded != 10 {
		t.Errorf("%d results, %d arguments were taken, want 10", n, yielded)
	}
}
