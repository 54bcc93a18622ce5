// Command cpu measures what a tiny call in a map takes of the root's CPU and of
// the workers', in nanoseconds: eight bytes there and back, a different number in
// each call. Under mpirun the workers are ranks of this machine, whose CPU time
// Linux tells; make bench starts it on three.
//
//	mpirun -n 3 cpu [-calls N] [-runs N] MODULE
//
// MODULE has the tasks of bench/tasks. It prints lines of JSON as wasmpool bench
// does: cpu_root and cpu_worker, the latter of all workers together.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/internal/bench"
)

func main() {
	err := run(context.Background())
	if err != nil {
		fmt.Fprintln(os.Stderr, "cpu:", err)
	}
	os.Exit(executor.ExitCode(err))
}

func run(ctx context.Context) error {
	m := measurement{report: bench.WriteJSON(os.Stdout)}
	flag.IntVar(&m.calls, "calls", 4_000_000, "how many `calls` a run makes")
	flag.IntVar(&m.runs, "runs", 3, "how often it is measured; medians are shown")
	flag.Parse()
	m.module = flag.Arg(0)
	if flag.NArg() != 1 || m.calls < 1 || m.runs < 1 {
		return errors.New("want the file of a module; -calls and -runs must be at least 1")
	}
	return executor.Run(ctx, executor.Config{}, m.run)
}
