// Command job is what the tests of package launch start on ranks: a map of calls,
// and what its flags say.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

var (
	guest = flag.String("guest", "", "the folder of the task package")
	calls = flag.Int("calls", 100, "how many calls are made")
	code  = flag.Int("exit", 0, "the exit code")
	first = flag.Int("root", 0, "which rank is the root")
	hang  = flag.Bool("hang", false, "never call executor.Run")
	kill  = flag.String("kill", "", "kill the root or a worker in the middle")
	wait  = flag.Bool("wait", false, "wait for a signal")
)

func main() {
	flag.Parse()
	if *hang {
		time.Sleep(time.Hour)
	}
	var cfg executor.Config
	if *first == 1 {
		cfg.Ranks = []int{1, 0}
	}
	root := false
	err := executor.Run(context.Background(), cfg, func(ctx context.Context, ex *executor.Executor) error {
		root = true
		return run(ctx, ex)
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, "job:", err)
		os.Exit(executor.ExitCode(err))
	}
	if root {
		time.Sleep(200 * time.Millisecond) // a program may work on after Run
		fmt.Println("after")
		os.Exit(*code)
	}
}

func run(ctx context.Context, ex *executor.Executor) error {
	m, err := wasmtasks.Build(ctx, *guest)
	if err != nil {
		return err
	}
	if err := ex.Load(m); err != nil {
		return err
	}
	if err := ex.WaitReady(ctx); err != nil {
		return err
	}
	if *wait {
		fmt.Println("waiting")
		<-ctx.Done()
		fmt.Println("told")
		return ctx.Err()
	}
	n := 0
	for _, err := range ex.Map(ctx, "spin", arguments) {
		if err != nil {
			return err
		}
		if n++; n == *calls/2 {
			if err := killOne(ctx, ex); err != nil {
				return err
			}
		}
	}
	fmt.Println(n, "results")
	return nil
}

func arguments(yield func([]byte) bool) {
	for range *calls {
		if !yield([]byte("1")) {
			return
		}
	}
}

// killOne kills what the flag names.
func killOne(ctx context.Context, ex *executor.Executor) error {
	switch *kill {
	case "root":
		return syscall.Kill(os.Getpid(), syscall.SIGKILL)
	case "worker":
		st, err := ex.Stats(ctx)
		if err != nil {
			return err
		}
		return syscall.Kill(st.Workers[len(st.Workers)-1].PID, syscall.SIGKILL)
	}
	return nil
}
