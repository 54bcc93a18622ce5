package executor_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"iter"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/internal/mpitest"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// tasks is the module in testdata/tasks.
var tasks *wasmtasks.Module

// shared is the executor of the ranks that the tests were started on, when they
// run under mpirun; see TestRanks in mpi_test.go.
var shared *executor.Executor

func TestMain(m *testing.M) {
	if os.Getenv(mpitest.InnerRun) != "" {
		os.Exit(runOnRanks(m))
	}
	if err := buildTasks(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if os.Getenv(signalVar) != "" {
		os.Exit(handleSignals())
	}
	if os.Getenv(mannersVar) != "" {
		os.Exit(embed())
	}
	goleak.VerifyTestMain(closing{m})
}

// closing runs the tests, and ends what they share.
type closing struct{ *testing.M }

func (c closing) Run() int {
	code := c.M.Run()
	h, err := hosts()
	if err == nil {
		err = h.Close()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
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
		shared = ex
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
// a local one with two slots. The tests of what docs/conformance.md promises run in
// every shape; one that shuts an executor down does so to a fork of it.
func shape(t testing.TB) *executor.Executor {
	t.Helper()
	if os.Getenv(faultsVar) != "" {
		return faultyShape(t, 2)
	}
	if shared == nil {
		return open(t, executor.Config{})
	}
	if err := shared.Load(tasks); err != nil {
		t.Fatal(err)
	}
	return shared
}

// inputsVar gives the ranks' pool a memo and a shared input; see TestRanks.
const inputsVar = "WASMPOOL_TEST_INPUTS"

// bare is shape for tests of all that calls have: no others are shared into them.
func bare(t testing.TB) *executor.Executor {
	t.Helper()
	if os.Getenv(inputsVar) != "" {
		return open(t, executor.Config{})
	}
	return shape(t)
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

// number is the argument n of the tasks that take a number.
func number(n int) []byte { return binary.LittleEndian.AppendUint64(nil, uint64(n)) }

// numbers yields the numbers from 0 to n-1.
func numbers(n int) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for i := range n {
			if !yield(number(i)) {
				return
			}
		}
	}
}

func numbersFrom(first, n int) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for i := range n {
			if !yield(number(first + i)) {
				return
			}
		}
	}
}

// eventually waits until a condition holds, and says what it waited for when it does
// not. It may be called on any goroutine.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Errorf("waited for a minute: %s", what)
			return
		}
	}
}

// submitSlow submits n calls of about a millisecond, so that further ones wait.
func submitSlow(t *testing.T, ex *executor.Executor, n int) []*executor.Future {
	t.Helper()
	futures := make([]*executor.Future, n)
	for i := range futures {
		futures[i] = ex.Submit(t.Context(), "burn", number(2_000))
	}
	return futures
}

func last[T any](results iter.Seq2[T, error]) (last error) {
	for _, err := range results {
		last = err
	}
	return last
}

// broken is an input that panics after n arguments.
func broken(n int) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for i := range n {
			if !yield(number(i)) {
				return
			}
		}
		panic("the input broke")
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
