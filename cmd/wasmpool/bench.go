package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/internal/bench"
)

// benchFlags are the flags of bench.
type benchFlags struct {
	pool  poolFlags
	cases []string
	runs  int
	n     int
	guest string
	json  bool
}

func (a *app) benchCommand() *cobra.Command {
	var f benchFlags
	cmd := &cobra.Command{
		Use:   "bench [--cases NAME,…] [--runs N] [--n N] [--json]",
		Short: "Measure this pool",
		Long: `Bench measures calls per second, how long one call takes, how fast long arguments and
results travel, memory, and the CPU time of an idle pool. The calls do nothing. It
prints a line per case with the median, the least and the most of several runs;
docs/benchmarks.md explains the cases.

Cases: ` + strings.Join(bench.Standard(), ", ") + `;
and only when named: ` + strings.Join(bench.Names()[len(bench.Standard()):], ", ") + `.

Let nothing else run on the machine meanwhile.`,
		Example: `  wasmpool bench
  mpirun -n 3 wasmpool-mpi bench --json --cases submit,map`,
		Args: argCount(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			options := f.options(a, cmd.Flags().Changed("runs"))
			if err := options.Validate(); err != nil {
				return err
			}
			if err := f.pool.check(cmd.Flags()); err != nil {
				return err
			}
			return a.withPool(cmd.Context(), &f.pool, "", func(ctx context.Context, ex *executor.Executor) error {
				return bench.Run(ctx, ex, options)
			})
		},
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&f.cases, "cases", nil, "run only the cases `NAME,…`")
	flags.IntVar(&f.runs, "runs", 5, "measure each case `N` times (by default once, if it takes long and varies little)")
	flags.IntVar(&f.n, "n", 0, "make `N` calls in a run, but no more than by default where calls are expensive (default: depends on the case)")
	flags.StringVar(&f.guest, "guest", "tiny", "call the tasks of `MODULE`; tiny is written by hand, go is bench/tasks of the source tree")
	flags.BoolVar(&f.json, "json", false, "print each result as a line of JSON")
	f.pool.add(cmd)
	return cmd
}

func (f *benchFlags) options(a *app, runsChosen bool) bench.Options {
	o := bench.Options{Cases: f.cases, N: f.n, Guest: f.guest, Report: bench.WriteTable(a.out)}
	if runsChosen {
		o.Runs = f.runs
	}
	if f.json {
		o.Report = bench.WriteJSON(a.out)
	}
	return o
}
