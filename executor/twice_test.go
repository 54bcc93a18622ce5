package executor

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/internal/unittest"
)

// twice is the config of pools whose calls may run twice.
func twice(cfg Config) Config {
	cfg.Sandbox.Isolation = host.IsolationReset
	return cfg
}

// arguments yields n arguments of length bytes, which begin with how often spin turns, and the number of the argument.
func arguments(n, turns, length int) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for i := range n {
			if !yield(spinArgument(i, turns, length)) {
				return
			}
		}
	}
}

func spinArgument(i, turns, length int) []byte {
	arg := make([]byte, max(length, 8))
	binary.LittleEndian.PutUint32(arg, uint32(turns))
	binary.LittleEndian.PutUint32(arg[4:], uint32(i))
	return arg
}

// A map ends although a worker has stopped that holds some of its calls: these run on others, each has one result, and what the
// stopped worker says when it goes on is dropped.
func TestDuplicates(t *testing.T) {
	t.Parallel()
	for name, length := range map[string]int{"short": 8, "loan": 40 << 10, "long result": 1 << 20} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStandstill(t, 3, 1, twice(Config{Speculate: true}))
			const calls, turns = 60, 100_000
			i := 0
			args := func(yield func([]byte) bool) {
				for n := range calls {
					if n == calls/2 {
						s.workers[2].stop()
					}
					if !yield(spinArgument(n, turns, length)) {
						return
					}
				}
			}
			for got, err := range s.ex.Map(t.Context(), "spin", args) {
				if err != nil || !bytes.Equal(got, spinArgument(i, turns, length)) {
					t.Fatalf("element %d: %d bytes, %v", i, len(got), err)
				}
				i++
			}
			st := stats(t, s.ex)
			if i != calls || st.Done != calls || st.Failed != 0 || st.Retried != 0 || st.Duplicated == 0 || st.InFlight != 0 || st.Queued != 0 {
				t.Errorf("%d results; %+v", i, st)
			}
			s.workers[2].resume()
			unittest.Until(t, "the leftovers end", func() bool {
				st := stats(t, s.ex)
				return st.Workers[1].InFlight == 0 && !st.Workers[1].Lost
			})
			if after := stats(t, s.ex); after.Done != calls || after.Failed != 0 {
				t.Errorf("after the worker went on: %+v", after)
			}
			if err := s.ex.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

func stats(t testing.TB, ex *Executor) Stats {
	t.Helper()
	st, err := ex.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// Shutdown does not wait for a worker that has stopped with calls that others have answered.
func TestShutdownBesideLeftovers(t *testing.T) {
	t.Parallel()
	s := newStandstill(t, 2, 2, twice(Config{Speculate: true}))
	futures := s.start(t, "echo", 10)
	for _, f := range futures {
		if err := f.Err(t.Context()); err != nil {
			t.Error(err)
		}
	}
	s.workers[1].stop()
	f := s.ex.Submit(t.Context(), "echo", nil)
	g := s.ex.Submit(t.Context(), "echo", nil)
	for _, f := range []*Future{f, g} {
		if err := f.Err(t.Context()); err != nil {
			t.Error(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := s.ex.Shutdown(ctx); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}

// start submits n calls.
func (s *standstill) start(t *testing.T, task string, n int) []*Future {
	t.Helper()
	var all []*Future
	for i := range n {
		all = append(all, s.ex.Submit(t.Context(), task, spinArgument(i, 1000, 8)))
	}
	return all
}

// Calls that may see more than their argument run neither on two workers at once nor twice: an error names what they may see.
func TestTwiceRefused(t *testing.T) {
	t.Parallel()
	grants := map[string]host.Grants{"twice": {Clock: true}}
	for name, tc := range map[string]struct {
		cfg  Config
		opts []CallOption
		want string
	}{
		"clock":        {Config{Speculate: true, Sandbox: host.Config{Isolation: host.IsolationReset, Grants: grants}}, nil, "Config.Speculate: module twice has the grant Clock"},
		"clock, check": {Config{SpotCheck: 0.5, Sandbox: host.Config{Isolation: host.IsolationReset, Grants: grants}}, nil, "Config.SpotCheck: module twice has the grant Clock"},
		"reuse":        {Config{Speculate: true}, nil, "Config.Speculate: with isolation reuse"},
		"option":       {Config{}, []CallOption{SpotCheck(1)}, "Config.SpotCheck: with isolation reuse"},
		"pure":         {Config{Speculate: true}, []CallOption{Pure()}, ""},
		"exempt":       {Config{Speculate: true, SpotCheck: 1}, []CallOption{Speculate(false), SpotCheck(0)}, ""},
		"no share":     {Config{}, []CallOption{SpotCheck(1.5)}, "a share of 1.5"},
	} {
		s := newStandstill(t, 1, 1, tc.cfg)
		_, err := s.ex.Call(t.Context(), "echo", nil, tc.opts...)
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: Call: %v, want %q", name, err, tc.want)
		}
		var mapOpts []MapOption
		for _, o := range tc.opts {
			mapOpts = append(mapOpts, o)
		}
		for _, err := range s.ex.Map(t.Context(), "echo", arguments(1, 0, 8), mapOpts...) {
			if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s: Map: %v, want %q", name, err, tc.want)
			}
		}
	}
	for _, p := range []float64{-0.1, 1.1} {
		if _, err := Local(Config{SpotCheck: p}); err == nil || !strings.Contains(err.Error(), "Config.SpotCheck") {
			t.Errorf("a share of %v: %v", p, err)
		}
	}
}

// A spot check finds a task that uses what survived in its instance, and one that asks where it runs: the error, the log and the
// statistics name them. A task that does neither is not found, and each call has one result.
func TestSpotCheck(t *testing.T) {
	t.Parallel()
	var log logBuffer
	s := newStandstill(t, 3, 1, Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	always := []MapOption{Pure(), SpotCheck(1)}
	n := 0
	for got, err := range s.ex.Map(t.Context(), "spin", arguments(50, 100, 8), always...) {
		if err != nil || !bytes.Equal(got, spinArgument(n, 100, 8)) {
			t.Errorf("element %d: %x, %v", n, got, err)
		}
		n++
	}
	if st := stats(t, s.ex); n != 50 || st.Done != 50 || st.Checked != 50 || st.Differed != 0 || st.Retried != 0 {
		t.Errorf("%d results, %+v", n, st)
	}
	for _, task := range []string{"rank", "counter"} {
		found := 0
		before := stats(t, s.ex)
		for _, err := range s.ex.Map(t.Context(), task, arguments(40, 0, 8), always...) {
			var e *TaskError
			switch {
			case err == nil:
			case !errors.As(err, &e) || !errors.Is(err, ErrDiffered) || e.Task != task || strings.Count(e.Message, "SHA-256") != 2 || strings.Count(e.Message, "rank ") != 2:
				t.Errorf("%s: %v", task, err)
			default:
				found++
			}
		}
		st := stats(t, s.ex)
		if found == 0 || st.Differed-before.Differed != uint64(found) || st.Failed-before.Failed != uint64(found) || st.Checked-before.Checked != 40 {
			t.Errorf("%s: %d calls differed, %+v", task, found, st)
		}
		if !strings.Contains(log.String(), "two runs of a call differ") || !strings.Contains(log.String(), "task="+task) {
			t.Errorf("%s: the log does not say so:\n%s", task, log.String())
		}
	}
}

// Which calls are checked follows from their arguments, and is about the share.
func TestSpotCheckShare(t *testing.T) {
	t.Parallel()
	s := newStandstill(t, 2, 2, twice(Config{SpotCheck: 0.25}))
	var checked []uint64
	for range 2 {
		before := stats(t, s.ex).Checked
		for _, err := range s.ex.Map(t.Context(), "echo", arguments(2000, 0, 8)) {
			if err != nil {
				t.Fatal(err)
			}
		}
		checked = append(checked, stats(t, s.ex).Checked-before)
	}
	if checked[0] != checked[1] || checked[0] < 400 || checked[0] > 600 {
		t.Errorf("of 2000 calls %d were checked", checked)
	}
}

// With one worker a call is checked there.
func TestSpotCheckAlone(t *testing.T) {
	t.Parallel()
	s := newStandstill(t, 1, 1, Config{SpotCheck: 1})
	if _, err := s.ex.Call(t.Context(), "echo", []byte("abc"), Pure()); err != nil {
		t.Error(err)
	}
	if _, err := s.ex.Call(t.Context(), "counter", nil, Pure()); !errors.Is(err, ErrDiffered) {
		t.Errorf("a counter: %v", err)
	}
	if st := stats(t, s.ex); st.Checked != 2 || st.Differed != 1 {
		t.Errorf("%+v", st)
	}
}

// late submits a call that takes unusually long, and waits until it runs on both workers. It returns the workers that have it: first
// the one that had it before.
func (s *standstill) late(t *testing.T, arg []byte, opts ...CallOption) (f *Future, first, second int) {
	t.Helper()
	for _, f := range s.start(t, "spin", 6) { // it is known now how long these take
		if err := f.Err(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	before := stats(t, s.ex).Duplicated
	f = s.ex.Submit(t.Context(), "spin", arg, opts...)
	holders := func() (ranks []int) {
		for _, w := range stats(t, s.ex).Workers {
			if w.InFlight > 0 {
				ranks = append(ranks, w.Rank)
			}
		}
		return ranks
	}
	unittest.Until(t, "a worker has the call", func() bool { return len(holders()) > 0 })
	first = holders()[0]
	unittest.Until(t, "a second one has it, too", func() bool { return stats(t, s.ex).Duplicated > before })
	return f, first, 3 - first
}

// endlessSpin is an argument of spin that takes minutes, and soon one that takes a second.
var endlessSpin, soon = spinArgument(7, -1, 8), spinArgument(7, 300_000_000, 8)

// A call that has a duplicate is killed on both workers: its outcome comes from the one that answers.
func TestKillDuplicated(t *testing.T) {
	t.Parallel()
	s := newStandstill(t, 2, 1, twice(Config{Speculate: true}))
	f, first, second := s.late(t, endlessSpin)
	s.workers[first].stop()
	if f.Cancel() {
		t.Error("a call that runs was cancelled")
	}
	if !f.Kill("enough of it") {
		t.Error("Kill says that it is done")
	}
	var e *TaskError
	if err := f.Err(t.Context()); !errors.As(err, &e) || !errors.Is(err, ErrKilled) || e.Rank != second || e.Message != "enough of it" {
		t.Errorf("got %v", err)
	}
	if st := stats(t, s.ex); st.Failed != 1 || st.InFlight != 0 {
		t.Errorf("%+v", st)
	}
	s.workers[first].resume()
	unittest.Until(t, "the other run ends", func() bool { return s.idle(t) })
}

// idle reports whether no worker has a call.
func (s *standstill) idle(t *testing.T) bool {
	for _, w := range stats(t, s.ex).Workers {
		if w.InFlight > 0 && !w.Lost {
			return false
		}
	}
	return true
}

// Of two workers that have a call one dies: the call goes on at the other, whichever it is, and counts once.
func TestDuplicateSurvives(t *testing.T) {
	t.Parallel()
	for name, which := range map[string]int{"the first dies": 0, "the second dies": 1} {
		s := newStandstill(t, 2, 1, twice(Config{Speculate: true}))
		f, first, second := s.late(t, soon)
		ranks := []int{first, second}
		s.fabric.Kill(ranks[which])
		got, err := f.Result(t.Context())
		info, _ := f.Info()
		if err != nil || !bytes.Equal(got, soon) || info.Rank != ranks[1-which] || info.Attempt != 2 {
			t.Errorf("%s: %x, %v, %+v", name, got, err, info)
		}
		if st := stats(t, s.ex); st.Done != 7 || st.Retried != 0 || st.Failed != 0 || st.InFlight != 0 {
			t.Errorf("%s: %+v", name, st)
		}
	}
}

// A pool that is shut down while a call runs on two workers, of which one has stopped, ends as it is told.
func TestShutdownDuplicated(t *testing.T) {
	t.Parallel()
	s := newStandstill(t, 2, 1, twice(Config{Speculate: true}))
	f, first, _ := s.late(t, endlessSpin)
	s.workers[first].stop()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := s.ex.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Shutdown: %v", err)
	}
	if err := f.Err(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("the call: %v", err)
	}
}

// A duplicate makes way for calls that wait, and the call runs on.
func TestDuplicateMakesWay(t *testing.T) {
	t.Parallel()
	s := newStandstill(t, 2, 1, twice(Config{Speculate: true}))
	f, first, _ := s.late(t, endlessSpin)
	for range 3 { // calls go to the worker with the fewest, so to either
		for _, f := range s.start(t, "echo", 3) {
			if err := f.Err(t.Context()); err != nil {
				t.Error(err)
			}
		}
	}
	f.Kill("it is enough")
	var e *TaskError
	if err := f.Err(t.Context()); !errors.As(err, &e) || !errors.Is(err, ErrKilled) {
		t.Errorf("%v; the first worker is %d", err, first)
	}
	unittest.Until(t, "all runs end", func() bool { return s.idle(t) })
}

// With a memo a call that ran twice is kept once, and one whose runs differ is not.
func TestTwiceMemo(t *testing.T) {
	t.Parallel()
	kept := &countingMemo{results: map[[32]byte][]byte{}}
	s := newStandstill(t, 2, 1, Config{Memo: kept, SpotCheck: 1})
	for _, err := range s.ex.Map(t.Context(), "spin", arguments(20, 100, 8), Pure()) {
		if err != nil {
			t.Error(err)
		}
	}
	if _, err := s.ex.Call(t.Context(), "rank", nil, Pure()); !errors.Is(err, ErrDiffered) {
		t.Errorf("rank: %v", err)
	}
	if n := kept.count(); n != 20 {
		t.Errorf("%d results were kept", n)
	}
}

// A countingMemo keeps results in memory.
type countingMemo struct {
	mu      sync.Mutex
	results map[[32]byte][]byte
	kept    int
}

func (m *countingMemo) Open() error   { return nil }
func (m *countingMemo) Close() error  { return nil }
func (m *countingMemo) Drop(*MemoKey) {}

func (m *countingMemo) Find(_ context.Context, key *MemoKey) ([]byte, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	result, found := m.results[key.Sum]
	return bytes.Clone(result), found
}

func (m *countingMemo) Keep(key *MemoKey, result []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.results[key.Sum] = bytes.Clone(result)
	m.kept++
}

func (m *countingMemo) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.kept
}
