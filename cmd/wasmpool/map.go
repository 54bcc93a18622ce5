package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/internal/jobdir"
)

// mapFlags are the flags of map.
type mapFlags struct {
	pool poolFlags
	call callFlags
	in   inputFlags
	then []string
	out  string

	reduce string
	failed string
	outDir string
	raw    bool

	priority  string
	unordered bool
	resume    bool
	force     bool
	maxFails  failLimit
}

func (a *app) mapCommand() *cobra.Command {
	var f mapFlags
	cmd := &cobra.Command{
		Use:   "map MODULE [TASK] (--lines F | --files GLOB | --range A..B | …) [--then TASK] [--reduce TASK] [--out F [--resume | --force]] [--unordered] [-- ARGS...]",
		Short: "Run a call per line, JSON value, row, file, number or combination of values",
		Long: `Map calls a task once for each input: a line of a file, a JSON value, a row of a
table, a file, a number of a range, or a combination of values. It writes one line of
JSON per input, in the order of the input; with --unordered as the calls end:

  {"i":0,"of":"upper@9f86d081884c","arg":"3973e022e93220f9","s":0.000012,"rank":3,"attempt":1,"ok":true,"out":…}
  {"i":1,"of":…,"arg":…,"s":…,"rank":…,"attempt":…,"ok":false,"error":{"kind":"application","code":70,"message":"…"}}

"i" is the number of the input, from 0. "of" is the task and the beginning of the
module's SHA-256, "arg" the beginning of the argument's. With --files each line has the
name of its "file", too. "s" is for how many seconds the call ran, on which "rank", in
which "attempt". "out" is a result that is JSON, or other text as a string; "out_b64" is
any other result, in base64. Characters that a terminal would obey are
written as \u escapes, which mean the same. An error has a "code" if the task gave one of
its own, and with -v the "stack" if there is one, and the end of what the task printed
("stderr") and logged ("log"). An input that makes no argument, such as a file that
cannot be read, is a failure of kind "input", and the others run. Standard error says
how far it has come, by a footer on a terminal, else by a line now and then, and when
SIGUSR2 comes. A summary follows.

With --then the result of a call is the argument of another task's call, in the same
module and without a file between. An input has one line, as ever, with the result of
the last task. Where a task fails, the others behind it do not run; "error" has its name
in "task".

With --reduce one result is made of all, and printed. The task's argument is a JSON array
of up to 100 results in the order of the input, each as it is in "out"; of what it gives
arrays are made likewise, until one is left. So it must take its own results, and give
the same however the array is cut, as a sum does. Inputs that failed are left out, and
the exit code is 1. Lines are written with --out F only: results that --resume kept are
reduced, too.

Results are in the file within milliseconds, and on the disk within seconds. --resume
goes on after a map that ended early, however it ended: results in the file are kept,
and inputs without one, or whose calls failed, run. A result is known by what its input
is: its argument, and its file's name. So the input may have changed: only what is new
runs, and results whose inputs are gone are moved to F.gone. Results of another task or
module are refused. One map at a time may write to a file: F.lock says which.

The input:
  --lines F        the argument is a line, without its newline (\n or \r\n)
  --jsonl F        the argument is a line, which must be JSON; blank lines are skipped
  --csv F          the argument is a row as a JSON object, with the names of the header;
                   fields are strings, with --csv-numbers numbers stay numbers
  --args-from F    the argument is what stands before each NUL byte, as find -print0
                   writes it
  --files GLOB     the argument is a file's content; files are taken in the order of
                   their names. Quote the pattern, so that the shell leaves it alone.
                   ** stands for any number of folders, {a,b} for a or b; what begins
                   with a dot must be asked for with one. The file of --out is left out
  --files-from F   the argument is the content of a file whose name stands in F before a
                   NUL byte
  --range A..B     the argument is a number, from A to B; A..B..STEP has another step
                   than 1: 10..1..-3, 0..1..0.1
  --param X=LIST   the argument is a JSON object; LIST has values and ranges, such as
                   1,2,5..9 or small,large. With several --param each combination is
                   an input: the first changes slowest
F may be - for standard input. Input is read as it is needed, with --resume once before,
too. When it cannot be read on, the map ends; what was done by then is written.

A WASI program (kind command) has the argument as its standard input, and ARGS as its
command line. {} in ARGS is replaced by the argument; then standard input is empty. "of"
has a mark for ARGS: results of others are not taken by --resume.

--priority NAME runs inputs that are JSON objects in the order of the number in their field
NAME, the largest first: long calls first is what makes a job short. All inputs are read
before. Results come in that order, too.

--where I,J-K,L- takes only inputs with these numbers, --shard K/N each Nth one, from the
Kth: a result has the number that the input has in the whole. --resume leaves results of
other parts alone.`,
		Example: `  wasmpool map mytasks upper --lines names.txt --out names.jsonl
  wasmpool map examples/executor/tasks square --range 1..1000 --workers 4
  wasmpool map model.wasm run --param rate=0.1..0.5..0.1 --param kind=fast,exact --out runs.jsonl
  wasmpool map survey.wasm parse --lines rows.txt --then clean --then score --out scores.jsonl
  wasmpool map texts.wasm words --files 'texts/*.txt' --reduce merge
  wasmpool map jq.wasm --files 'logs/*.json' --out names.jsonl -- -c .names
  wasmpool map render.wasm frame --files 'scenes/*.json' --unordered --resume --out frames.jsonl
  wasmpool map --ranks 4 examples/wordcount/tasks count --files 'books/**/*.txt' --out counts.jsonl`,
		RunE: func(cmd *cobra.Command, args []string) error {
			args, program, err := cutArguments(cmd, args, argCount(1, 2, " (quote the pattern of --files; arguments of a WASI program stand behind --)"))
			if err != nil {
				return err
			}
			f.pool.grants.args = program
			if err := f.check(cmd.Flags()); err != nil {
				return err
			}
			f.pool.stdin, f.pool.stages = readsStdin(cmd.Flags()), 1+len(f.then)
			f.pool.view.inputs = true
			return a.withPool(cmd.Context(), &f.pool, args[0], func(ctx context.Context, ex *executor.Executor) error {
				return a.mapAll(ctx, ex, args, &f)
			})
		},
	}
	f.in.add(cmd.Flags())
	cmd.Flags().StringArrayVar(&f.then, "then", nil, "call `TASK` of the module with each result, which is its argument; given again, another one behind it")
	cmd.Flags().StringVar(&f.reduce, "reduce", "", "make one result of all: call `TASK` of the module with JSON arrays of results, and of its own results, until one is left, and print that; lines are written with --out F only")
	cmd.Flags().StringVar(&f.out, "out", "", "write the results to the file `F` (default: standard output)")
	cmd.Flags().StringVar(&f.priority, "priority", "", "run inputs in the order of the number in their field `NAME`, the largest first, those without one last")
	cmd.Flags().BoolVar(&f.unordered, "unordered", false, "write results as calls end: no call waits for a slow one before it")
	cmd.Flags().BoolVar(&f.resume, "resume", false, "go on with the results in the file of --out; begin if there is none")
	cmd.Flags().BoolVar(&f.force, "force", false, "overwrite the file of --out")
	cmd.Flags().StringVar(&f.outDir, "out-dir", "", "write each result to a file of its own in the folder `DIR`, which its line names")
	cmd.Flags().BoolVar(&f.raw, "raw", false, "write results as they are, each with a newline at its end, in place of lines of JSON")
	cmd.Flags().StringVar(&f.failed, "failed", "", "write the inputs that failed to the file `F`, as an input: lines, JSON lines, or names of files that each end in a NUL byte")
	cmd.Flags().Var(&f.maxFails, "max-fails", "begin no more calls once `N` have failed, or N% of those that are done, when these are 100 or more")
	f.call.add(cmd.Flags())
	f.pool.add(cmd)
	f.pool.memo.add(cmd.Flags(), &f.call)
	f.pool.twice.add(cmd.Flags())
	return cmd
}

// check finds flags that do not fit together.
func (f *mapFlags) check(flags *pflag.FlagSet) error {
	if err := f.in.check(flags); err != nil {
		return err
	}
	if err := f.checkResume(); err != nil {
		return err
	}
	if err := f.checkReduce(); err != nil {
		return err
	}
	if err := f.checkPriority(); err != nil {
		return err
	}
	for name, value := range map[string]string{"reduce": f.reduce, "priority": f.priority} {
		if flags.Changed(name) && value == "" {
			return fmt.Errorf("--%s is empty, and should name something", name)
		}
	}
	if slices.Contains(f.then, "") {
		return errors.New("--then is the name of a task, and empty")
	}
	return errors.Join(f.call.check(flags), f.pool.check(flags))
}

func (f *mapFlags) checkResume() error {
	switch {
	case f.resume && f.force:
		return errors.New("--resume and --force exclude each other: give one")
	case f.resume && f.toStdout():
		return errors.New("--resume goes on with a file: give it with --out F")
	case f.resume && f.in.read && f.in.name == "-":
		return errors.New("--resume reads the input twice: give it as a file")
	case f.raw && f.resume:
		return errors.New("--resume goes by what lines say, and --raw writes none: leave one of them out")
	case f.raw && f.outDir != "":
		return errors.New("--out-dir writes results to files of their own, and --raw all to one: give one of them")
	}
	return nil
}

// plan returns the plan of a map that runs all inputs of its part.
func (f *mapFlags) plan() *plan { return &plan{part: f.in.part} }

func (a *app) mapAll(ctx context.Context, ex *executor.Executor, args []string, f *mapFlags) error {
	built := a.building(args[0])
	t, err := openTarget(ctx, ex, args, &f.pool.grants)
	built()
	if err == nil {
		err = errors.Join(t.addStages(f.then), t.findReduce(f.reduce))
	}
	if err != nil {
		return err
	}
	in, err := await(ctx, func() (input, error) { return f.in.open(a, f.owns(a)) })
	if err != nil {
		return err
	}
	defer in.close()
	if err := errors.Join(f.checkOutputs(), f.pool.view.checkInput(in)); err != nil {
		return err
	}
	dir, err := a.openOutDir(ctx, f, in)
	if err != nil {
		return err
	}
	out, p, err := a.openOut(ctx, f, in, dir, t.of)
	if err != nil {
		return errors.Join(err, dir.close())
	}
	failures, err := a.openFailed(ctx, f, in)
	if err == nil {
		err = a.view.begin(ctx) // now that the files of another job are safe
	}
	if err != nil {
		failures.abandon()
		return errors.Join(err, out.close(), dir.close())
	}
	in = f.prioritize(a, p.again(in), in)
	out.w = a.view.writes.output(out.w)
	r := newResults(out, in.file, p, newRecordWriter(t.of, f.pool.verbose), !f.unordered)
	if _, own := jobdir.Current(); f.toStdout() && a.launched && !own {
		fmt.Fprintln(a.err, "wasmpool: the results pass through the launcher, which does not say when it cannot write them: --out F, or wasmpool launch, does")
	}
	if r.inputs = &a.view.inputs; len(f.then) > 0 || f.reduce != "" {
		r.inputs.mix()
	} else {
		behind := r.behind
		a.view.behind.Store(&behind)
	}
	r.limit, r.cancel, r.failures, r.dir = f.maxFails, ex.CancelAll, failures, dir
	r.staged, r.line.staged = len(f.then) > 0, len(f.then) > 0
	if f.raw || f.streams() {
		r.raw = &rawWriter{say: a.err}
	}
	if f.reduce != "" {
		r.reducer, r.streams = newReducer(ex, t.reduce, f.call.options()), f.streams()
	}
	return a.mapInputs(ctx, ex, f, t, in, r)
}

// mapInputs makes the calls, and writes how they end.
func (a *app) mapInputs(ctx context.Context, ex *executor.Executor, f *mapFlags, t target, in input, r *results) error {
	calls, quit := context.WithCancel(ctx)
	defer quit()
	r.quit = quit
	started := time.Now()
	shown := a.newProgress(ex, r.plan.part.count(in.count()), r.plan.kept)
	shown.what = r.what()
	stop := r.refresh(shown)
	made := &chain{ex, t.stages, f.unordered, f.call.mapOptions(), r}
	err := r.collect(ctx, made.outcomes(calls, r.arguments(a.view.items(in, r.plan))))
	if err == nil {
		err = in.err()
	}
	ended := err
	var reduced []byte
	if err == nil && f.reduce != "" {
		reduced, err = a.reduce(ctx, f, r, shown)
	}
	stop()
	took := time.Since(started)
	failed := writing(r.finish())
	err = a.both(err, failed, r.out.err)
	err = a.both(err, r.failures.finish(), nil)
	if err == nil && f.reduce != "" {
		err = a.printResult(reduced)
	}
	a.summarize(ctx, ex, r, took, ended, err == nil)
	switch {
	case errors.As(err, new(*reduceError)):
		return a.explainCall(err, f.pool.verbose)
	case err == nil && r.failed.Load() > 0:
		return &exitError{exitCallFailed, nil} // the summary says it
	}
	return err
}

// both returns the first of two errors. Where there are two it says the second, unless the first tells of the
// cause of that.
func (a *app) both(first, second, cause error) error {
	switch {
	case first == nil:
		return second
	case second != nil && (cause == nil || !errors.Is(first, cause)):
		fmt.Fprintln(a.err, "wasmpool:", oneLine(second))
	}
	return first
}
