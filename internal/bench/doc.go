// Package bench is what wasmpool bench runs: cases that each measure one figure
// of the pool they are given.
//
//	err := executor.Run(ctx, executor.Config{}, func(ctx context.Context, ex *executor.Executor) error {
//		return bench.Run(ctx, ex, bench.Options{Cases: []string{"submit", "map"}, Report: show})
//	})
//
// Each file holds the cases of one subject; groups in cases.go lists them all.
// See docs/benchmarks.md for what the figures mean.
package bench
