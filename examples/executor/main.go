// Command executor is the program of mpipool's README on MPIExecutor, rebuilt:
// one source that runs alone and under mpirun.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"iter"
	"os"
	"strconv"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

func main() {
	folder := flag.String("tasks", "examples/executor/tasks", "folder of the task package")
	flag.Parse()
	if err := run(context.Background(), os.Stdout, *folder); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(executor.ExitCode(err))
	}
}

// run is called on every rank.
func run(ctx context.Context, out io.Writer, folder string) error {
	err := executor.Run(ctx, executor.Config{}, func(ctx context.Context, ex *executor.Executor) error {
		return root(ctx, ex, out, folder)
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, "All processes join again here.")
	return err
}

// root is called on rank 0 only; the other ranks run calls meanwhile.
func root(ctx context.Context, ex *executor.Executor, out io.Writer, folder string) error {
	fmt.Fprintln(out, "Only the root executes this code.")
	tasks, err := wasmtasks.Build(ctx, folder)
	if err != nil {
		return err
	}
	if err := ex.Load(tasks); err != nil {
		return err
	}

	// Submit some calls to the workers.
	var futures []*executor.Future
	for arg := range numbers(100) {
		futures = append(futures, ex.Submit(ctx, "power", arg))
	}

	// Wait for all of the results and print them.
	fmt.Fprint(out, "power:")
	for _, f := range futures {
		result, err := f.Result(ctx)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, " %s", result)
	}

	// Map is shorter: it calls one task with many arguments, and gives the
	// results in their order.
	fmt.Fprint(out, "\nsquare:")
	for result, err := range ex.Map(ctx, "square", numbers(100)) {
		if err != nil {
			return err
		}
		fmt.Fprintf(out, " %s", result)
	}
	fmt.Fprintln(out)
	return nil
}

// numbers returns 0 to n-1 as JSON, made as they are asked for.
func numbers(n int) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for i := range n {
			if !yield(strconv.AppendInt(nil, int64(i), 10)) {
				return
			}
		}
	}
}
