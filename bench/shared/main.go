// Command shared measures what a shared input costs: calls that each read 4 KiB of it at a random place, beside the same calls with
// the data compiled into their module, and beside one plain transfer of the bytes to each node. Started alone it has slots of
// its own process; make bench-shared starts it on four ranks of this machine, and on three hosts that are network namespaces.
//
// A module has at most 256 MiB, and each slot a copy of its data, so less is compiled in than is shared: a call takes as long.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/wasmpool/wasmpool/executor"
)

func main() {
	err := run(context.Background())
	if err != nil {
		fmt.Fprintln(os.Stderr, "shared:", err)
	}
	os.Exit(executor.ExitCode(err))
}

func run(ctx context.Context) error {
	var b bench
	flag.IntVar(&b.mib, "mib", 1024, "the shared input's length in `MiB`")
	flag.IntVar(&b.calls, "calls", 10_000, "how many `calls` read of it")
	flag.IntVar(&b.rounds, "rounds", 3, "how often each is measured, in turn; medians are shown")
	flag.IntVar(&b.mibCompiled, "compiled", 64, "how many `MiB` are compiled in, at most 240, and no more than -mib: each slot has a copy")
	slots := flag.Int("slots", 2, "calls at once on each rank")
	flag.Parse()
	if b.mib < 1 || b.calls < 1 || b.rounds < 1 || b.mibCompiled < 1 || b.mibCompiled > mostCompiled {
		return errors.New("-mib, -calls, -rounds and -compiled must be at least 1, and -compiled at most 240")
	}
	b.mibCompiled = min(b.mibCompiled, b.mib)
	b.dir = filepath.Join(os.TempDir(), "wasmpool-bench-shared")
	defer os.RemoveAll(b.dir)
	cfg := executor.Config{Slots: *slots, RootSlots: *slots, SharedDir: b.dir, SharedBytes: int64(b.mib) << 20}
	if _, launched := executor.LaunchRank(); launched {
		cfg.RootSlots = 0
	}
	return executor.Run(ctx, cfg, b.run)
}
