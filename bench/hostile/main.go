// Command hostile attacks a pool with 1,000 hostile calls among 100,000 good ones
// and says what came of it. It ends with code 0 when every good result was
// right, every hostile call failed with the right kind and within its time, and
// every rank's memory came back near where it was; with 1 when not. Run it with make hostile, which
// does so on two slots of one process and on four ranks.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/internal/hostile"
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

func run(ctx context.Context) error {
	plan := hostile.Plan{}
	flag.IntVar(&plan.Good, "good", 100_000, "good `calls`")
	flag.IntVar(&plan.Hostile, "hostile", 1000, "hostile `calls`")
	flag.StringVar(&plan.Guest, "guest", "internal/hostile/guest", "the `folder` of the guest in Go")
	slots := flag.Int("slots", 2, "calls at once, in one process")
	flag.Parse()
	cfg := executor.Config{Limits: hostile.Limits, Slots: 1, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
	if os.Getenv("OMPI_COMM_WORLD_SIZE") == "" {
		cfg.RootSlots = *slots
	}
	return executor.Run(ctx, cfg, func(ctx context.Context, ex *executor.Executor) error { return attack(ctx, ex, plan) })
}

func attack(ctx context.Context, ex *executor.Executor, plan hostile.Plan) error {
	if err := hostile.Load(ctx, ex, plan.Guest); err != nil {
		return err
	}
	if r, err := hostile.Run(ctx, ex, hostile.Plan{Good: 20_000}); err != nil {
		return err
	} else if r.Failures > 0 {
		return fmt.Errorf("before the attacks: %v", r.Wrong)
	}
	before, err := memory(ctx, ex)
	if err != nil {
		return err
	}
	began := time.Now()
	r, err := hostile.Run(ctx, ex, plan)
	if err != nil {
		return err
	}
	fmt.Printf("%d good calls and %d hostile ones in %v\n", r.Good, r.Hostile, time.Since(began).Round(time.Millisecond))
	for _, kind := range slices.Sorted(maps.Keys(r.Kinds)) {
		t := r.Kinds[kind]
		fmt.Printf("  %-12s %4d, the longest %8v of at most %v: %s\n", kind, t.Calls, t.Most.Round(time.Microsecond), t.Bound, t.Attack)
	}
	for _, line := range r.Wrong {
		fmt.Println("wrong:", line)
	}
	if r.Failures > 0 {
		return fmt.Errorf("%d outcomes were wrong", r.Failures)
	}
	return settle(ctx, ex, before)
}

// settle waits until every rank's memory is back.
func settle(ctx context.Context, ex *executor.Executor, before map[int]int64) error {
	const patience = 30 * time.Second
	deadline := time.Now().Add(patience)
	for {
		after, err := memory(ctx, ex)
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

// memory returns the bytes that each rank has in RAM.
func memory(ctx context.Context, ex *executor.Executor) (map[int]int64, error) {
	s, err := ex.Stats(ctx)
	if err != nil {
		return nil, err
	}
	ranks := map[int]int64{}
	pids := map[int]int{0: os.Getpid()}
	for _, w := range s.Workers {
		pids[w.Rank] = w.PID
		if w.Lost {
			return nil, fmt.Errorf("rank %d is lost", w.Rank)
		}
	}
	for rank, pid := range pids {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
		if err != nil {
			return nil, err
		}
		var size, resident int64
		if _, err := fmt.Sscan(string(text), &size, &resident); err != nil {
			return nil, err
		}
		ranks[rank] = resident * int64(os.Getpagesize())
	}
	return ranks, nil
}
