// Command difftest looks for faults of the engine and of the rewriting with random
// modules: see package difftest, and docs/engine.md.
//
//	go run ./bench/difftest -time 1m
//	go run ./bench/difftest -seed 417 -seeds 1
//	go run ./bench/difftest -without select
//
// It ends with code 0 when it found nothing, and with 1 when it found something. With
// -without, which leaves a fence out, it is the other way round.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"time"

	"github.com/wasmpool/wasmpool/internal/difftest"
)

func main() {
	if difftest.Child() {
		return
	}
	os.Exit(run())
}

func run() int {
	o := difftest.Options{Log: os.Stdout}
	var until string
	flag.Uint64Var(&o.Seed, "seed", uint64(time.Now().UnixNano()), "the first seed (default: by the clock)")
	flag.Uint64Var(&o.Seeds, "seeds", 0, "how many seeds to try, each makes some 30 modules (default: until the time is up)")
	flag.DurationVar(&o.Time, "time", 0, "for how long to go on (default: a minute, if -seeds is not given)")
	flag.StringVar(&until, "until", "", "go on until `15:04` of today instead")
	flag.IntVar(&o.Processes, "processes", runtime.NumCPU(), "how many processes to use")
	flag.IntVar(&o.Finds, "finds", 0, "end after so many finds (default: 10, or 1 with -without)")
	flag.IntVar(&o.Shrink, "shrink", 1500, "how often to try to leave something out of a find")
	flag.StringVar(&o.Dir, "dir", os.TempDir(), "where finds are written")
	flag.DurationVar(&o.Every, "every", time.Minute, "how often to tell the numbers")
	flag.BoolVar(&o.OldCPU, "old-cpu", false, "compile for a CPU without LZCNT and TZCNT")
	without := flag.String("without", "", "leave fences out: "+strings.Join(difftest.FenceNames, ", "))
	module := flag.String("module", "", "check only this `file`, a find, with its -seed")
	leaveOut := flag.String("leave-out", "", "what not to do: generated, specification, mutants, proposals")
	flag.Parse()
	err := errors.Join(o.Without.Set(*without), o.LeaveOut.Set(*leaveOut), setUntil(&o, until))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	fenced := o.Without == difftest.Fences{}
	if o.Finds == 0 {
		o.Finds = 10
		if !fenced {
			o.Finds = 1
		}
	}
	if o.Time == 0 && o.Seeds == 0 {
		o.Time = time.Minute
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if *module != "" {
		return one(ctx, o, *module)
	}
	fmt.Printf("seed %d, %d processes\n", o.Seed, o.Processes)
	result, err := difftest.Run(ctx, o)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	fmt.Println("done:", result)
	if fenced != (len(result.Finds) == 0) {
		return 1
	}
	return 0
}

// one checks one module.
func one(ctx context.Context, o difftest.Options, file string) int {
	wasm, err := os.ReadFile(file)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	switch f, err := difftest.One(ctx, o, wasm); {
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		return 2
	case f != nil:
		fmt.Printf("%s: %s\n", f.Kind, f.Text)
		return 1
	}
	return 0
}

func setUntil(o *difftest.Options, until string) error {
	if until == "" {
		return nil
	}
	at, err := time.ParseInLocation("15:04", until, time.Local)
	now := time.Now()
	o.Time = time.Date(now.Year(), now.Month(), now.Day(), at.Hour(), at.Minute(), 0, 0, time.Local).Sub(now)
	if err == nil && o.Time <= 0 {
		err = fmt.Errorf("-until %s is past", until)
	}
	return err
}
