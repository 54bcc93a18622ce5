//go:build unix

// Command survive shows what a job survives. Under a launcher it is the job: calls,
// and workers that get a signal at random moments. Alone it starts such jobs again
// and again, and says what came of them:
//
//	go run ./stress/survive -scenario kill -runs 40
//
// Run it with make survive, which builds what it needs.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/wasmpool/wasmpool/executor"
)

func main() {
	_, launched := executor.LaunchRank()
	err := run(context.Background(), launched)
	if err != nil {
		fmt.Fprintln(os.Stderr, "survive:", err)
	}
	os.Exit(executor.ExitCode(err))
}

// scenarios are jobs, and what is done to them.
var scenarios = map[string]job{
	"kill":    {Kill: 2, Signal: syscall.SIGKILL},
	"compute": {Kill: 1, Signal: syscall.SIGKILL, Long: 4, LostAfter: 4 * time.Second},
	"stop":    {Kill: 1, Signal: syscall.SIGSTOP, LostAfter: 2 * time.Second},
	"quiet":   {},
	"root":    {},                           // whose root the driver kills
	"pause":   {LostAfter: 2 * time.Second}, // whose root the driver stops, for good
	"start":   {},                           // of which the driver kills a rank in the first moments
	"wrapper": {},                           // whose launcher, wasmpool launch itself, the driver kills
	"giver":   {KillWhile: "giver"},         // the worker that fetches the shared input for its node
	"waiter":  {KillWhile: "waiter"},        // and one that waits for it
	"cut":     {LostAfter: 4 * time.Second}, // whose second host the driver cuts off, for good
	"flicker": {LostAfter: 4 * time.Second}, // or for two seconds
}

func run(ctx context.Context, launched bool) error {
	var d driver
	name := flag.String("scenario", "kill", "what happens: kill, compute, stop, quiet, root, pause or start; giver or waiter with -shared; under scripts/netns cut or flicker")
	flag.IntVar(&d.calls, "calls", 10_000, "`calls` in a job")
	nap := flag.Duration("nap", 5*time.Millisecond, "how `long` a call sleeps")
	flag.DurationVar(&d.within, "within", 6*time.Second, "the moments at which something happens lie in this `time` from the start")
	flag.DurationVar(&d.gone, "gone", 5*time.Second, "how `long` the workers may take to leave after the root was killed")
	steps := flag.Uint64("steps", 5e9, "how many `steps` a long call computes, of about a nanosecond")
	shared := flag.Int("shared", 0, "`MiB` of a shared input, from which each short call returns 4 KiB; 0 for none")
	kept := flag.Bool("memo", false, "keep the results in a memo, too; with this and -shared the short calls compute")
	guest := flag.String("guest", "stress/survive/tasks", "the `folder` of the guest")
	flag.IntVar(&d.runs, "runs", 10, "how often the driver starts the job")
	flag.IntVar(&d.ranks, "ranks", 5, "with how many `ranks`")
	flag.StringVar(&d.launch, "launch", "bin/wasmpool launch", "with which command; -n and the program follow")
	flag.StringVar(&d.program, "program", "bin/survive-mpi", "this `program`, built with MPI")
	flag.Parse()
	j, ok := scenarios[*name]
	if !ok {
		return fmt.Errorf("no scenario %q", *name)
	}
	j.Calls, j.Nap, j.Guest, j.LongSteps, j.Within = d.calls, *nap, *guest, *steps, d.within
	j.Shared, j.Memo = *shared, *kept
	if j.KillWhile != "" && j.Shared == 0 {
		return fmt.Errorf("scenario %s needs -shared", *name)
	}
	if j.Kill == 2 {
		j.Kill = 1 + int(time.Now().UnixNano()/1000%2)
	}
	if launched {
		return j.run(ctx)
	}
	d.scenario, d.args = *name, os.Args[1:]
	return d.run(ctx)
}
