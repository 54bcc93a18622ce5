// Command pool is the program of mpipool's README on MPIPool, rebuilt: one
// source that runs alone and under mpirun.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/pool"
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
	err := pool.Run(ctx, executor.Config{}, func(ctx context.Context, p *pool.Pool) error {
		return root(ctx, p, out, folder)
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, "All processes join again here.")
	return err
}

// root is called on rank 0 only; the other ranks run calls meanwhile.
func root(ctx context.Context, p *pool.Pool, out io.Writer, folder string) error {
	fmt.Fprintln(out, "Only the root executes this code.")
	tasks, err := wasmtasks.Build(ctx, folder)
	if err != nil {
		return err
	}
	if err := p.Executor().Load(tasks); err != nil {
		return err
	}

	// Map waits for the results.
	results, err := p.Map(ctx, "power", numbers(100))
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "power: %s\n", results)

	// MapAsync does not.
	later := p.MapAsync(ctx, "square", numbers(100))
	fmt.Fprintln(out, "Done already?", later.Ready())
	results, err = later.Get(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "square: %s\n", results)
	return nil
}

// numbers returns 0 to n-1 as JSON.
func numbers(n int) [][]byte {
	args := make([][]byte, n)
	for i := range args {
		args[i] = strconv.AppendInt(nil, int64(i), 10)
	}
	return args
}
