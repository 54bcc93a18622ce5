package pool_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/internal/mpitest"
	"github.com/wasmpool/wasmpool/pool"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

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
	goleak.VerifyTestMain(m)
}

func buildTasks(ctx context.Context) (err error) {
	tasks, err = wasmtasks.Build(ctx, "../executor/testdata/tasks")
	return err
}

// runOnRanks runs the tests on the root, with the other ranks as workers.
func runOnRanks(m *testing.M) int {
	code := 0
	err := executor.Run(context.Background(), executor.Config{}, func(ctx context.Context, ex *executor.Executor) error {
		if err := buildTasks(ctx); err != nil {
			return err
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

// open returns a pool on the ranks, or else on a local executor with two slots.
func open(t *testing.T) *pool.Pool {
	t.Helper()
	if shared != nil {
		if err := shared.Load(tasks); err != nil {
			t.Fatal(err)
		}
		return pool.New(shared)
	}
	ex, err := executor.Local(executor.Config{RootSlots: 2, Modules: []*wasmtasks.Module{tasks}})
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
	return pool.New(ex)
}

func TestApply(t *testing.T) {
	t.Parallel()
	p := open(t)
	if got, err := p.Apply(t.Context(), "square", []byte("12")); string(got) != "144" || err != nil {
		t.Errorf("Apply: %q, %v", got, err)
	}
	r := p.ApplyAsync(t.Context(), "square", []byte("3"))
	if got, err := r.Get(t.Context()); string(got) != "9" || err != nil {
		t.Errorf("Get: %q, %v", got, err)
	}
	if ok, err := r.Successful(); !ok || err != nil || !r.Ready() {
		t.Errorf("Successful: %t, %v", ok, err)
	}
}

func TestMap(t *testing.T) {
	t.Parallel()
	p := open(t)
	var args [][]byte
	for i := range 1000 {
		args = append(args, fmt.Append(nil, i))
	}
	async := p.MapAsync(t.Context(), "echo", args)
	got, err := p.Map(t.Context(), "echo", args)
	if err != nil || len(got) != len(args) {
		t.Fatalf("%d results, %v", len(got), err)
	}
	for i := range args {
		if !bytes.Equal(got[i], args[i]) {
			t.Fatalf("result %d is %q", i, got[i])
		}
	}
	if got, err := async.Get(t.Context()); err != nil || len(got) != len(args) {
		t.Errorf("MapAsync: %d results, %v", len(got), err)
	}
	if got, err := p.Map(t.Context(), "echo", nil); len(got) != 0 || err != nil {
		t.Errorf("Map of nothing: %v, %v", got, err)
	}
}

// TestMapError checks that Map returns the error of the first that fails, and
// that Wait does not.
func TestMapError(t *testing.T) {
	t.Parallel()
	p := open(t)
	args := [][]byte{[]byte("1"), []byte("two"), []byte("three")}
	var failed *executor.TaskError
	if _, err := p.Map(t.Context(), "square", args); !errors.As(err, &failed) || !strings.HasPrefix(err.Error(), "argument 1: ") {
		t.Errorf("Map: %v", err)
	}
	r := p.MapAsync(t.Context(), "square", args)
	if err := r.Wait(t.Context()); err != nil {
		t.Errorf("Wait: %v", err)
	}
	if ok, err := r.Successful(); ok || err != nil {
		t.Errorf("Successful: %t, %v", ok, err)
	}
	if _, err := r.Get(t.Context()); !errors.As(err, &failed) || !strings.HasPrefix(err.Error(), "argument 1: ") {
		t.Errorf("Get: %v", err)
	}
}

func TestNotReady(t *testing.T) {
	t.Parallel()
	p := open(t)
	r := p.ApplyAsync(t.Context(), "forever", nil)
	if _, err := r.Successful(); !errors.Is(err, pool.ErrNotReady) {
		t.Errorf("Successful before the result: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Get(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Get with a cancelled context: %v", err)
	}
	p.Terminate()
	if err := r.Wait(t.Context()); err != nil {
		t.Errorf("Wait: %v", err)
	}
}

func TestCloseAndJoin(t *testing.T) {
	t.Parallel()
	p := open(t)
	if err := p.Join(t.Context()); !errors.Is(err, pool.ErrNotClosed) {
		t.Errorf("Join before Close: %v", err)
	}
	var results []*pool.AsyncResult[[]byte]
	for i := range 100 {
		results = append(results, p.ApplyAsync(t.Context(), "echo", fmt.Append(nil, i)))
	}
	p.Close()
	p.Close()
	if err := p.Join(t.Context()); err != nil {
		t.Errorf("Join: %v", err)
	}
	for i, r := range results {
		if !r.Ready() {
			t.Fatalf("result %d is not ready after Join", i)
		}
		if got, err := r.Get(t.Context()); err != nil || string(got) != fmt.Sprint(i) {
			t.Errorf("result %d: %q, %v", i, got, err)
		}
	}
	if _, err := p.Apply(t.Context(), "echo", nil); !errors.Is(err, executor.ErrClosed) {
		t.Errorf("Apply after Close: %v", err)
	}
	if _, err := p.MapAsync(t.Context(), "echo", nil).Get(t.Context()); !errors.Is(err, executor.ErrClosed) {
		t.Errorf("MapAsync after Close: %v", err)
	}
}

// TestRunNothing checks that Run without a function is an error, before anything starts.
func TestRunNothing(t *testing.T) {
	t.Parallel()
	err := pool.Run(t.Context(), executor.Config{RootSlots: 1 << 30}, nil) // which comes first
	if err == nil || err.Error() != "pool: Run was given no root function" {
		t.Errorf("Run without a root function: %v", err)
	}
}

func ExampleRun() {
	err := pool.Run(context.Background(), executor.Config{}, func(ctx context.Context, p *pool.Pool) error {
		if err := p.Executor().Load(tasks); err != nil {
			return err
		}
		squares, err := p.Map(ctx, "square", [][]byte{[]byte("3"), []byte("4")})
		if err != nil {
			return err
		}
		fmt.Printf("%s\n", squares)
		return nil
	})
	if err != nil {
		fmt.Println(err)
	}
	// Output: [9 16]
}
