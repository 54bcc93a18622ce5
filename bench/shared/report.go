package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/wasmpool/wasmpool/executor"
)

// report prints what was measured.
func (b *bench) report(ctx context.Context, ex *executor.Executor, before map[int]int64) error {
	after, err := ex.Stats(ctx)
	if err != nil {
		return err
	}
	hosts := nodes(after)
	slots, grown := 0, int64(0)
	for pid, bytes := range memoryOf(after) {
		grown = max(grown, bytes-before[pid])
	}
	for _, w := range after.Workers {
		slots += w.Slots
	}
	compiled, moved, shared := median(b.compiled), median(b.moved), median(b.shared)
	fmt.Printf("%d calls, each of which reads %d bytes, on %d slots of %d workers on %d nodes; medians of %d rounds\n", b.calls, readLen, slots, len(after.Workers), len(hosts), b.rounds)
	fmt.Printf("  %-58s %8.3f s\n", fmt.Sprintf("%d MiB compiled in, all slots ready", b.mibCompiled), compiled.Seconds())
	fmt.Printf("  %-58s %8.3f s\n", fmt.Sprintf("a plain transfer of %d MiB to each node", b.mib), moved.Seconds())
	fmt.Printf("  %-58s %8.3f s, %.0f %% of the sum of both\n", fmt.Sprintf("%d MiB shared, which no node has yet", b.mib), shared.Seconds(), 100*shared.Seconds()/(compiled+moved).Seconds())
	fmt.Printf("  %-58s %8.3f s\n", "  of which the first call takes", median(b.first).Seconds())
	fmt.Printf("  %-58s %8.3f s\n", fmt.Sprintf("%d MiB shared, which all nodes have", b.mib), median(b.again).Seconds())
	fmt.Printf("  the root sent %.2f copies in each round; the memory of the ranks grew by at most %d MiB\n",
		float64(after.Shared)/float64(b.rounds)/float64(int64(b.mib)<<20), grown>>20)
	return nil
}

func median(list []time.Duration) time.Duration {
	slices.Sort(list)
	return list[len(list)/2]
}

// nodes are the hosts that have workers.
func nodes(st executor.Stats) map[string]bool {
	all := map[string]bool{}
	for _, w := range st.Workers {
		all[w.Host] = true
	}
	return all
}

// memoryOf returns the workers' own memory by their processes.
func memoryOf(st executor.Stats) map[int]int64 {
	all := map[int]int64{}
	for _, w := range st.Workers {
		all[w.PID] = anonymous(w.PID)
	}
	return all
}

// anonymous returns how many bytes of memory a process of this machine has for itself.
func anonymous(pid int) (bytes int64) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "RssAnon:"); ok {
			fmt.Sscan(rest, &bytes) //nolint:errcheck // 0 then
		}
	}
	return bytes << 10
}
