// Command wasmpool runs WebAssembly tasks from the command line, alone or under
// an MPI launcher. See its --help, and the project's README.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/wasmpool/wasmpool/executor"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	a := &app{in: os.Stdin, out: os.Stdout, err: os.Stderr, patience: 5 * time.Second}
	a.rank, a.launched = executor.LaunchRank()
	os.Exit(a.execute(ctx, os.Args[1:]))
}
