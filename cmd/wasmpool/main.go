package main

import (
	"context"
	"os"
	"time"

	"github.com/wasmpool/wasmpool/executor"
)

func main() {
	a := &app{in: os.Stdin, out: os.Stdout, err: os.Stderr, patience: 5 * time.Second}
	a.rank, a.launched = executor.LaunchRank()
	a.started = os.Getenv(ranksVar) != ""
	a.shown = os.Getenv(footerVar) != ""
	os.Exit(a.execute(context.Background(), os.Args[1:]))
}
