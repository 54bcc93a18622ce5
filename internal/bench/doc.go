// Package bench is what wasmpool bench runs: cases that each measure one figure
// of the pool they are given.
//
//	err := executor.Run(ctx, executor.Config{}, func(ctx context.Context, ex *executor.Executor) error {
//		return bench.Run(ctx, ex, bench.Options{Cases: []string{"submit", "map"}, Report: show})
//	})
//
// Each file holds the cases of one subject; groups in cases.go lists them all.
// See docs/benchmarks.md for what the figures mean.
//
// # Reading the source
//
//   - bench.go: Run and Options
//   - cases.go: the list of all cases
//   - pool.go: the pool that is measured, and its ranks
//   - result.go: Result, and its forms as table and JSON
//   - throughput.go: calls per second: submit, map
//   - latency.go: round trips on a busy and on an idle pool
//   - payload.go: bytes per second there and back
//   - load.go: calls that take real time, beside serial loops
//   - idle.go: the CPU time of an idle pool
//   - cpu.go: that of a call
//   - memory.go: bytes per pending call, and memory of a long map
//   - scheduler.go, instant.go: the root's cost with 4096 workers that answer at once
//   - guest.go: the module whose tasks are called
//   - process_linux.go, process_other.go: CPU time and memory of this process
package bench
