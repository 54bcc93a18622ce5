package executor_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/internal/mpitest"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// tasks is the module in testdata/tasks.
var tasks *wasmtasks.Module

// world is the executor of the ranks that the tests were started on, when they
// run under mpirun; see TestRanks in mpi_test.go.
var world *executor.Executor

func TestMain(m *testing.M) {
	if os.Getenv(mpitest.InnerRun) != "" {
		os.Exit(runOnRanks(m))
	}
	if err := buildTasks(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if os.Getenv(signalVar) != "" {
		os.Exit(heedSignals())
	}
	goleak.VerifyTestMain(m)
}

func buildTasks(ctx context.Context) (err error) {
	tasks, err = wasmtasks.Build(ctx, "testdata/tasks")
	return err
}

// What the root of an inner run does instead of running the tests, and with which
// pool; set by mpi_test.go.
var (
	instead func(context.Context, *executor.Executor) error
	inner   executor.Config
)

// runOnRanks runs the tests on the root, with the other ranks as workers.
func runOnRanks(m *testing.M) int {
	code := 0
	err := executor.Run(context.Background(), inner, func(ctx context.Context, ex *executor.Executor) error {
		if err := buildTasks(ctx); err != nil {
			return err
		}
		if instead != nil {
			return instead(ctx, ex)
		}
		world = ex
		code = m.Run()
		return nil
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// shape returns the executor of the shape that the tests run in: the ranks', or
// a local one with two slots.
func shape(t testing.TB) *executor.Executor {
	t.Helper()
	if os.Getenv(faultsVar) != "" {
		return faultyShape(t, 2)
	}
	if world == nil {
		return open(t, executor.Config{})
	}
	if err := world.Load(tasks); err != nil {
		t.Fatal(err)
	}
	return world
}

// sound is shape for tests that count the attempts of calls: no worker is lost.
func sound(t testing.TB) *executor.Executor {
	t.Helper()
	if os.Getenv(faultsVar) != "" {
		return faultyShape(t, 0)
	}
	return shape(t)
}

// open returns a local executor with two slots, shut down at the test's end.
func open(t testing.TB, cfg executor.Config) *executor.Executor {
	t.Helper()
	if cfg.RootSlots == 0 {
		cfg.RootSlots = 2
	}
	cfg.Modules = []*wasmtasks.Module{tasks}
	ex, err := executor.Local(cfg)
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

func number(n int) []byte { return binary.LittleEndian.AppendUint64(nil, uint64(n)) }

func numbers(n int) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for i := range n {
			if !yield(number(i)) {
				return
			}
		}
	}
}

func TestCall(t *testing.T) {
	t.Parallel()
	ex := shape(t)
	ctx := t.Context()
	for _, tc := range []struct{ task, arg, want string }{
		{"square", "12", "144"},
		{"tasks.square", "-3", "9"},
		{"echo", "", ""},
		{"echo", "abc", "abc"},
		{"none", "abc", ""},
		{"echo", strings.Repeat("x", 10_000), strings.Repeat("x", 10_000)},
		{"echo", strings.Repeat("y", 5_000_000), strings.Repeat("y", 5_000_000)},
	} {
		got, err := ex.Call(ctx, tc.task, []byte(tc.arg))
		if err != nil || string(got) != tc.want {
			t.Errorf("%s(%.20q) = %.20q, %v; want %.20q", tc.task, tc.arg, got, err, tc.want)
		}
	}
}

// TestMeta checks what a task is told about its call.
func TestMeta(t *testing.T) {
	t.Parallel()
	ex := sound(t)
	ranks := map[string]int{}
	for range 100 { // a rank may be busy with another test's call
		for got, err := range ex.Map(t.Context(), "where", numbers(2_000)) {
			if err != nil {
				t.Fatal(err)
			}
			ranks[string(got)]++
		}
		if len(ranks) >= ex.NumWorkers() {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	st, err := ex.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range st.Workers {
		where := fmt.Sprintf("rank %d, attempt 1", w.Rank)
		if ranks[where] == 0 || w.Calls == 0 || w.Host == "" {
			t.Errorf("rank %d: %+v, told to %d calls", w.Rank, w, ranks[where])
		}
		delete(ranks, where)
	}
	if len(ranks) != 0 {
		t.Errorf("calls were told they run at %v", ranks)
	}
}

func TestTaskErrors(t *testing.T) {
	t.Parallel()
	ex := sound(t)
	for _, tc := range []struct {
		task, arg, message string
		kind               host.Kind
		code               int
	}{
		{"fail", "no luck", "no luck", host.KindApplication, 1},
		{"fail", "", "", host.KindApplication, 1},
		{"coded", "", "seventy-seven", host.KindApplication, 77},
		{"panics", "", "index out of range", host.KindPanic, 2},
		{"square", "twelve", "", host.KindBadInput, 3},
		{"deadlock", "", "", host.KindTrap, 0},
	} {
		_, err := ex.Call(t.Context(), tc.task, []byte(tc.arg))
		var taskErr *executor.TaskError
		if !errors.As(err, &taskErr) {
			t.Errorf("%s: %v is no TaskError", tc.task, err)
			continue
		}
		if taskErr.Kind != tc.kind || taskErr.Code != tc.code || !strings.Contains(taskErr.Message, tc.message) || taskErr.Task != tc.task || taskErr.Attempt != 1 {
			t.Errorf("%s(%q): %+v", tc.task, tc.arg, taskErr)
		}
		if got, err := ex.Call(t.Context(), "square", []byte("5")); string(got) != "25" || err != nil {
			t.Errorf("the call after %s: %q, %v", tc.task, got, err)
		}
	}
}

func TestUnknownTask(t *testing.T) {
	t.Parallel()
	ex := shape(t)
	f := ex.Submit(t.Context(), "sqare", nil)
	_, err := f.Result(t.Context())
	var unknown *wasmtasks.UnknownTaskError
	if !errors.As(err, &unknown) || !errors.Is(err, executor.ErrUnknownTask) || !strings.Contains(err.Error(), "square") {
		t.Errorf("an unknown task: %v", err)
	}
	if f.State() != executor.Finished {
		t.Errorf("its future is %v", f.State())
	}
}

// TestSubmitMany submits from several goroutines and compares every result.
func TestSubmitMany(t *testing.T) {
	t.Parallel()
	ex := shape(t)
	var all sync.WaitGroup
	for g := range 4 {
		all.Go(func() {
			futures := make([]*executor.Future, 5_000)
			for i := range futures {
				futures[i] = ex.Submit(t.Context(), "echo", number(g<<32+i))
			}
			for i, f := range futures {
				got, err := f.Result(t.Context())
				if err != nil || !bytes.Equal(got, number(g<<32+i)) {
					t.Errorf("call %d of goroutine %d: % x, %v", i, g, got, err)
					return
				}
			}
		})
	}
	all.Wait()
}

func TestMap(t *testing.T) {
	t.Parallel()
	ex := shape(t)
	for _, n := range []int{0, 1, 255, 256, 257, 20_000} {
		i := 0
		for got, err := range ex.Map(t.Context(), "odd", numbers(n)) {
			switch {
			case i%2 == 0 && (err != nil || !bytes.Equal(got, number(i))):
				t.Fatalf("element %d: % x, %v", i, got, err)
			case i%2 == 1 && (err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%d is odd", i))):
				t.Fatalf("element %d: % x, %v", i, got, err)
			}
			i++
		}
		if i != n {
			t.Errorf("%d results for %d arguments", i, n)
		}
	}
}

// TestMapKeepsResults checks that results stay as they are while later ones
// arrive.
func TestMapKeepsResults(t *testing.T) {
	t.Parallel()
	ex := shape(t)
	var kept [][]byte
	for got, err := range ex.Map(t.Context(), "echo", numbers(5_000)) {
		if err != nil {
			t.Fatal(err)
		}
		kept = append(kept, got)
	}
	for i, got := range kept {
		if !bytes.Equal(got, number(i)) {
			t.Fatalf("result %d has become % x", i, got)
		}
	}
}

func TestMapStopsEarly(t *testing.T) {
	t.Parallel()
	ex := shape(t)
	pulled := 0
	endless := func(yield func([]byte) bool) {
		for yield(number(pulled)) {
			pulled++
		}
	}
	n := 0
	for _, err := range ex.Map(t.Context(), "echo", endless) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 1000 {
			break
		}
	}
	if got, err := ex.Call(t.Context(), "square", []byte("2")); string(got) != "4" || err != nil {
		t.Errorf("a call after the break: %q, %v", got, err)
	}
}

func TestMapContext(t *testing.T) {
	t.Parallel()
	ex := shape(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	blocked := func(yield func([]byte) bool) {
		for i := range 10 {
			if !yield(number(i)) {
				return
			}
		}
		<-ctx.Done() // an input that has no more to say
	}
	n := 0
	var last error
	for _, err := range ex.Map(ctx, "echo", blocked) {
		last = err
		if n++; n == 10 {
			cancel()
		}
	}
	if n != 11 || !errors.Is(last, context.Canceled) {
		t.Errorf("%d elements, the last with %v", n, last)
	}
}

func TestMapPanickingInput(t *testing.T) {
	t.Parallel()
	ex := shape(t)
	broken := func(yield func([]byte) bool) {
		yield(number(1))
		panic("the input broke")
	}
	n := 0
	defer func() {
		if v := recover(); v != "the input broke" || n != 1 {
			t.Errorf("%d results, then the panic %v", n, v)
		}
	}()
	for _, err := range ex.Map(t.Context(), "echo", broken) {
		if err != nil {
			t.Error(err)
		}
		n++
	}
}

// TestMapIsLazy checks that Map does not read far ahead of slow tasks.
func TestMapIsLazy(t *testing.T) {
	t.Parallel()
	ex := open(t, executor.Config{})
	var pulled atomic.Int64
	n := 0
	input := func(yield func([]byte) bool) {
		for range 400 {
			pulled.Add(1)
			if !yield(number(30_000)) { // 64 of them are half a second's work
				return
			}
		}
	}
	for _, err := range ex.Map(t.Context(), "burn", input) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 5 {
			break
		}
	}
	if got := pulled.Load(); got > 200 {
		t.Errorf("%d arguments were pulled for %d results", got, n)
	}
}

// What no machine can do is refused, by the name of the field.
func TestConfigBounds(t *testing.T) {
	t.Parallel()
	for field, cfg := range map[string]executor.Config{
		"Slots":       {Slots: executor.MostSlots + 1},
		"RootSlots":   {RootSlots: 20_000},
		"MemoryLimit": {MemoryLimit: 2<<30 + 1},
	} {
		if ex, err := executor.Local(cfg); err == nil || !strings.Contains(err.Error(), "Config."+field+" is ") {
			t.Errorf("%s: %v, %v", field, ex, err)
		}
	}
}

// A call whose limit is below what its module starts with says so.
func TestMemoryBelowStart(t *testing.T) {
	t.Parallel()
	ex := open(t, executor.Config{})
	_, err := ex.Call(t.Context(), "echo", nil, executor.WithLimits(executor.Limits{Memory: 1 << 16}))
	if !errors.Is(err, executor.ErrMemory) || !strings.Contains(err.Error(), "of memory, the limit is 0.0625 MiB") {
		t.Errorf("with one page of memory: %v", err)
	}
}

func TestCancel(t *testing.T) {
	t.Parallel()
	ex := open(t, executor.Config{RootSlots: 1})
	release := hold(t, ex)
	var futures []*executor.Future
	for range 200 {
		futures = append(futures, ex.Submit(t.Context(), "echo", number(1)))
	}
	last := futures[len(futures)-1]
	if !last.Cancel() {
		t.Fatal("a call far back in the queue cannot be cancelled")
	}
	if !last.Cancel() {
		t.Error("a second Cancel says that it is not")
	}
	if _, err := last.Result(t.Context()); !errors.Is(err, executor.ErrCancelled) || last.State() != executor.Cancelled {
		t.Errorf("a cancelled call: %v, %v", err, last.State())
	}
	if info, ok := last.Info(); !ok || info.Attempt != 0 || info.Rank != -1 {
		t.Errorf("a cancelled call that was never sent: %+v", info)
	}
	release()
	for _, f := range futures[:len(futures)-1] {
		if _, err := f.Result(t.Context()); err != nil {
			t.Fatal(err)
		}
		if f.Cancel() || f.State() != executor.Finished {
			t.Fatalf("a finished call is %v or can be cancelled", f.State())
		}
	}
}

func TestResultContext(t *testing.T) {
	t.Parallel()
	ex := open(t, executor.Config{RootSlots: 1})
	release := hold(t, ex)
	f := ex.Submit(t.Context(), "echo", nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.Result(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("waiting with a cancelled context: %v", err)
	}
	release()
	<-f.Done()
	if _, err := f.Result(ctx); err != nil {
		t.Errorf("a result that is there, with a cancelled context: %v", err)
	}
}

func TestShutdown(t *testing.T) {
	t.Parallel()
	ex, err := executor.Local(executor.Config{Modules: []*wasmtasks.Module{tasks}, RootSlots: 2})
	if err != nil {
		t.Fatal(err)
	}
	var futures []*executor.Future
	for i := range 1_000 {
		futures = append(futures, ex.Submit(t.Context(), "echo", number(i)))
	}
	for range 2 {
		if err := ex.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for i, f := range futures {
		if got, err := f.Result(t.Context()); err != nil || !bytes.Equal(got, number(i)) {
			t.Fatalf("call %d was submitted before Shutdown: % x, %v", i, got, err)
		}
	}
	if _, err := ex.Call(t.Context(), "echo", nil); !errors.Is(err, executor.ErrClosed) {
		t.Errorf("a call after Shutdown: %v", err)
	}
	for _, err := range ex.Map(t.Context(), "echo", numbers(3)) {
		if !errors.Is(err, executor.ErrClosed) {
			t.Errorf("Map after Shutdown: %v", err)
		}
	}
}

// TestShutdownGivesUp checks that a Shutdown whose context ends resolves what
// is queued.
func TestShutdownGivesUp(t *testing.T) {
	t.Parallel()
	ex, err := executor.Local(executor.Config{Modules: []*wasmtasks.Module{tasks}, RootSlots: 1})
	if err != nil {
		t.Fatal(err)
	}
	var futures []*executor.Future
	for range 10_000 {
		futures = append(futures, ex.Submit(t.Context(), "burn", number(1_000)))
	}
	if _, err := futures[0].Result(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := ex.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown: %v", err)
	}
	closed := 0
	for _, f := range futures {
		_, err := f.Result(t.Context())
		switch {
		case errors.Is(err, executor.ErrClosed):
			closed++
		case err != nil && !errors.Is(err, executor.ErrCancelled): // what was running
			t.Fatal(err)
		}
	}
	if closed == 0 {
		t.Error("no call was dropped")
	}
	ex.Shutdown(t.Context()) //nolint:errcheck // it only waits here; the error is ErrClosed
}

func TestBackpressure(t *testing.T) {
	t.Parallel()
	ex := open(t, executor.Config{RootSlots: 1, QueueCalls: 10})
	ctx, cancel := context.WithCancel(t.Context())
	var futures []*executor.Future
	for i := range 100 {
		if i == 20 {
			cancel()
		}
		futures = append(futures, ex.Submit(ctx, "burn", number(20_000)))
	}
	cancel()
	refused := 0
	for _, f := range futures {
		if _, err := f.Result(t.Context()); errors.Is(err, context.Canceled) {
			refused++
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if refused == 0 {
		t.Error("a full queue took everything")
	}
}

func TestStats(t *testing.T) {
	t.Parallel()
	ex := open(t, executor.Config{})
	for _, err := range ex.Map(t.Context(), "echo", numbers(100)) {
		if err != nil {
			t.Fatal(err)
		}
	}
	st, err := ex.Stats(t.Context())
	if err != nil || len(st.Workers) != 1 || st.Workers[0].Calls != 100 || st.Workers[0].Slots != 2 || st.InFlight != 0 {
		t.Errorf("Stats = %+v, %v", st, err)
	}
	if ex.NumWorkers() != 1 {
		t.Errorf("NumWorkers = %d", ex.NumWorkers())
	}
}

func TestBadConfig(t *testing.T) {
	t.Parallel()
	for _, cfg := range []executor.Config{
		{Slots: -1},
		{RootSlots: -1},
		{QueueCalls: -5},
		{Modules: []*wasmtasks.Module{nil}},
	} {
		if ex, err := executor.Local(cfg); err == nil {
			t.Errorf("%+v is accepted", cfg)
			ex.Shutdown(t.Context()) //nolint:errcheck // the test has failed already
		}
	}
}

func TestGuestLog(t *testing.T) {
	t.Parallel()
	var out, messages lockedBuffer
	options := &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.MessageKey {
			fmt.Fprintln(&messages, a.Value)
		}
		return a
	}}
	ex := open(t, executor.Config{Logger: slog.New(slog.NewTextHandler(&out, options))})
	if _, err := ex.Call(t.Context(), "say", []byte("hello from a guest")); err != nil {
		t.Fatal(err)
	}
	// A line may be written when its call has its result.
	lines := func(n int) string {
		eventually(t, fmt.Sprintf("%d lines of the log", n), func() bool { return strings.Count(out.String(), "\n") >= n })
		return out.String()
	}
	if got := lines(1); !strings.Contains(got, "hello from a guest") || !strings.Contains(got, "call=1") {
		t.Errorf("the log is %q", got)
	}
	if _, err := ex.Call(t.Context(), "say", []byte("\x1b]0;title\a\u009b2J\nnext\r")); err != nil {
		t.Fatal(err)
	}
	lines(2)
	if got, want := messages.String(), `\x1b]0;title\a\u009b2J`+"\n"+`next\r`; !strings.Contains(got, want) {
		t.Errorf("the messages are %q, want %q among them: slog's default handler writes them as they are", got, want)
	}
	if _, err := ex.Call(t.Context(), "chatter", []byte("again")); err != nil {
		t.Fatal(err)
	}
	if got := lines(1003); strings.Count(got, "msg=again") != 1000 || strings.Count(got, "left out") != 1 || strings.Count(got, "\n") != 1003 {
		t.Errorf("%d lines, of which %d of 3000 and %d about what was left out", strings.Count(got, "\n"), strings.Count(got, "msg=again"), strings.Count(got, "left out"))
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// TestSeveralExecutors checks that executors do not mix results.
func TestSeveralExecutors(t *testing.T) {
	t.Parallel()
	var all sync.WaitGroup
	for g := range 4 {
		ex := open(t, executor.Config{RootSlots: 1})
		all.Go(func() {
			i := 0
			for got, err := range ex.Map(t.Context(), "echo", slices.Values([][]byte{number(g), number(g + 10)})) {
				if err != nil || !bytes.Equal(got, number(g+10*i)) {
					t.Errorf("executor %d: % x, %v", g, got, err)
				}
				i++
			}
		})
	}
	all.Wait()
}
