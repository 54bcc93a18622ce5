// Command hostile attacks a pool and says what came of it: each kind of hostile call alone,
// followed by 1,000 good calls, then 1,000 hostile calls among 100,000 good ones. It ends with code 0
// when every good result was right, every hostile call failed with the right kind and
// within its bounds, and every rank's memory came back near where it was; with 1 when not.
// The bounds are instructions and CPU time, so that they are the same on a slow machine, or a busy one.
// Run it with make hostile, which does so on two slots of one process and on four ranks.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/internal/hostile"
	"github.com/wasmpool/wasmpool/memo"
)

func main() {
	err := run(context.Background())
	if err != nil {
		fmt.Fprintln(os.Stderr, "hostile:", err)
	}
	os.Exit(executor.ExitCode(err))
}

// mostGrowth is how much more memory a rank may hold after the attacks than
// before them.
const mostGrowth = 128 << 20

// settings are the flags.
type settings struct {
	plan   hostile.Plan
	each   int
	guest  string
	inputs bool
}

func run(ctx context.Context) error {
	var set settings
	flag.IntVar(&set.plan.Good, "good", 100_000, "good `calls`")
	flag.IntVar(&set.plan.Hostile, "hostile", 1000, "hostile `calls` among them")
	flag.IntVar(&set.each, "each", 1000, "good `calls` after each hostile one that is made alone")
	flag.StringVar(&set.guest, "guest", "internal/hostile/guest", "the `folder` of the guest in Go")
	flag.BoolVar(&set.inputs, "inputs", false, "give all calls a shared input, and keep their results in a memo, against which each call is verified")
	slots := flag.Int("slots", 2, "calls at once, in one process")
	flag.Parse()
	cfg, remove, err := hostile.Config()
	if err != nil {
		return err
	}
	cfg.Slots = 1
	if os.Getenv("OMPI_COMM_WORLD_SIZE") == "" {
		cfg.RootSlots = *slots
	}
	if set.inputs {
		dir := filepath.Join(os.TempDir(), fmt.Sprintf("wasmpool-hostile-inputs-%d", os.Getppid())) // that of all ranks
		defer os.RemoveAll(dir)                                                                     //nolint:errcheck // a temporary folder
		cfg.Memo, cfg.VerifyMemo = memo.New(filepath.Join(dir, "memo"), memo.Config{}), 1
		cfg.SharedDir = filepath.Join(dir, "shared")
		cfg.Shared = map[string]executor.Source{"in": executor.FromBytes(make([]byte, 5<<20))}
	}
	return executor.Run(ctx, cfg, func(ctx context.Context, ex *executor.Executor) error {
		return errors.Join(attack(ctx, ex, set), remove())
	})
}

func attack(ctx context.Context, ex *executor.Executor, set settings) error {
	guests, err := hostile.New(ctx, ex, set.guest)
	if err != nil {
		return err
	}
	if set.inputs {
		guests.Options = []executor.CallOption{executor.Pure()}
	}
	if r, err := guests.Run(ctx, hostile.Plan{Good: set.plan.Good / 5}); err != nil {
		return err
	} else if r.Failures > 0 {
		return fmt.Errorf("before the attacks: %v", r.Wrong)
	}
	before, err := hostile.Resident(ctx, ex)
	if err != nil {
		return err
	}
	began := time.Now()
	r, err := guests.Alone(ctx, set.each)
	if err == nil {
		var mixed *hostile.Report
		mixed, err = guests.Run(ctx, set.plan)
		r.Add(mixed)
	}
	show(r, time.Since(began))
	if err != nil {
		return err
	}
	if r.Failures > 0 {
		return fmt.Errorf("%d outcomes were wrong", r.Failures)
	}
	if set.inputs {
		if err := verified(ctx, ex); err != nil {
			return err
		}
	}
	return settle(ctx, ex, before)
}

// verified checks that good calls were found again, and gave what they gave before.
func verified(ctx context.Context, ex *executor.Executor) error {
	st, err := ex.Stats(ctx)
	switch {
	case err != nil:
		return err
	case st.Differed > 0 || st.Found > 0 || st.Shared == 0 && len(st.Workers) > 1:
		return fmt.Errorf("%d calls gave another result than before, %d did not run, %d bytes of shared inputs were sent", st.Differed, st.Found, st.Shared)
	}
	fmt.Printf("all of them with a shared input, and verified against a memo\n")
	return nil
}

func show(r *hostile.Report, took time.Duration) {
	fmt.Printf("%d good calls and %d hostile ones in %v\n", r.Good, r.Hostile, took.Round(time.Millisecond))
	for _, kind := range slices.Sorted(maps.Keys(r.Kinds)) {
		w := r.Kinds[kind]
		fmt.Printf("  %-12s %4d, at most %d instructions: %s\n", kind, w.Calls, w.Work, w.Worker)
		if w.Taker != "" {
			fmt.Printf("  %-12s       at most %v of CPU time beyond its limit: %s\n", "", w.CPU, w.Taker)
		}
	}
	for _, line := range r.Wrong {
		fmt.Println("wrong:", line)
	}
}

// settle waits until every rank's memory is back.
func settle(ctx context.Context, ex *executor.Executor, before map[int]int64) error {
	const patience = 30 * time.Second
	deadline := time.Now().Add(patience)
	for {
		after, err := hostile.Resident(ctx, ex)
		if err != nil {
			return err
		}
		var errs []error
		for rank, bytes := range after {
			if bytes > before[rank]+mostGrowth {
				errs = append(errs, fmt.Errorf("rank %d held %d MiB and now holds %d MiB", rank, before[rank]>>20, bytes>>20))
			}
		}
		if len(errs) == 0 || time.Now().After(deadline) {
			for rank := range after {
				fmt.Printf("  rank %d: %d MiB before, %d MiB after\n", rank, before[rank]>>20, after[rank]>>20)
			}
			return errors.Join(errs...)
		}
		time.Sleep(time.Second)
	}
}
