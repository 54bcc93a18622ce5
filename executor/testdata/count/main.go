// Command count runs calls of guests in Go, C, Rust and AssemblyScript many times on all ranks that
// it is started on, or in this process, and prints how many instructions each
// executes and where smaller budgets stop it. It fails when two of them differ.
package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

func main() {
	// A guest's collector is part of the state that a call starts from.
	err := executor.Run(context.Background(), executor.Config{Sandbox: host.Config{Isolation: host.IsolationReset}}, count)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func count(ctx context.Context, ex *executor.Executor) error {
	if err := load(ctx, ex); err != nil {
		return err
	}
	number := func(n uint64) []byte { return binary.LittleEndian.AppendUint64(nil, n) }
	for _, c := range []struct {
		task string
		arg  []byte
	}{
		{"go.burn", number(30)},
		{"go.sum", []byte("[1" + strings.Repeat(", 23.5", 400) + "]")},
		{"c.recursion", number(20)},
		{"c.sorting", number(20)},
		{"rust.loop", number(30)},
		{"rust.sorting", number(20)},
		{"as.recursion", number(15)},
		{"as.sorting", number(5)},
	} {
		n, err := same(ctx, ex, c.task, c.arg, executor.Unlimited)
		if err != nil {
			return err
		}
		fmt.Printf("%s: %d", c.task, n)
		for _, budget := range []uint64{n, n - 1, n / 2, n / 3} {
			stop, err := same(ctx, ex, c.task, c.arg, budget)
			if err != nil {
				return err
			}
			fmt.Printf(", %d with %d", stop, budget)
		}
		fmt.Println()
	}
	return nil
}

func load(ctx context.Context, ex *executor.Executor) error {
	golang, err := wasmtasks.Build(ctx, "testdata/tasks")
	if err != nil {
		return err
	}
	if err := ex.Load(golang.WithName("go")); err != nil {
		return err
	}
	for _, name := range []string{"c", "rust", "as"} {
		wasm, err := os.ReadFile("../bench/limits/guests/" + name + ".wasm")
		if err != nil {
			return err
		}
		m, err := wasmtasks.Load(name, wasm)
		if err != nil {
			return err
		}
		if err := ex.Load(m); err != nil {
			return err
		}
	}
	return nil
}

// same runs a call with a budget until every worker has run it, and four times as
// often as there are workers, and returns how many instructions each run executed. A round has twice as many runs as
// that before: a few short ones are not spread over all workers.
func same(ctx context.Context, ex *executor.Executor, task string, arg []byte, budget uint64) (uint64, error) {
	const most = 12
	var first uint64
	ranks := map[int]bool{}
	for rounds := 0; len(ranks) < ex.NumWorkers(); rounds++ {
		if rounds == most {
			return 0, fmt.Errorf("%s ran on %d of %d workers", task, len(ranks), ex.NumWorkers())
		}
		futures := make([]*executor.Future, 4*ex.NumWorkers()<<rounds)
		for i := range futures {
			futures[i] = ex.Submit(ctx, task, arg, executor.WithLimits(executor.Limits{Instructions: budget}))
		}
		for _, f := range futures {
			n, err := instructions(ctx, f)
			if err != nil {
				return 0, err
			}
			info, _ := f.Info()
			ranks[info.Rank] = true
			if first == 0 {
				first = n
			}
			if n == 0 || n != first {
				return 0, fmt.Errorf("%s with a budget of %d executed %d instructions on rank %d, %d before", task, budget, n, info.Rank, first)
			}
		}
	}
	return first, nil
}

// instructions returns how many a call executed, to its end or to its budget's.
func instructions(ctx context.Context, f *executor.Future) (uint64, error) {
	_, err := f.Result(ctx)
	var e *executor.TaskError
	if errors.Is(err, executor.ErrBudget) && errors.As(err, &e) {
		return e.Usage.Instructions, nil
	}
	info, _ := f.Info()
	return info.Usage.Instructions, err
}
