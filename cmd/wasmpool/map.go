package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/wasmpool/wasmpool/executor"
)

// mapFlags are the flags of map.
type mapFlags struct {
	pool  poolFlags
	lines string
	jsonl string
	files string
	out   string

	unordered bool
	resume    bool
	force     bool
}

func (a *app) mapCommand() *cobra.Command {
	var f mapFlags
	cmd := &cobra.Command{
		Use:   "map MODULE [TASK] (--lines F | --jsonl F | --files GLOB) [--out F [--resume | --force]] [--unordered]",
		Short: "Run a call per line, JSON value or file",
		Long: `Map calls a task once for each line of a file, each JSON value of a JSON Lines
file, or each file that a pattern matches. It writes one line of JSON per call, in
the order of the input; with --unordered as the calls end:

  {"i":0,"ok":true,"out":…}
  {"i":1,"ok":false,"error":{"kind":"application","code":70,"message":"…"}}

"out" is a result that is JSON, or other text as a string; "out_b64" is any other
result, in base64. Characters that a terminal would obey are written as \u escapes,
which mean the same. With --files each line has the name of its "file" after "i". An
error has a "code" if the task gave one of its own. With -v it also has the "rank", the
"stack" if there is one, and the end of what the task printed ("stderr") and logged
("log"). A summary follows on standard error.

Results are in the file within milliseconds. --resume goes on after a map that ended
early, however it ended: results in the file are kept, and calls that failed or are
missing run. The input must be the same, and a file or files: each line gets a
checksum of the argument, "arg_crc", to tell.

The input:
  --lines F     the argument is a line, without its newline (\n or \r\n)
  --jsonl F     the argument is a line, which must be JSON; blank lines are skipped
  --files GLOB  the argument is a file's content; files are taken in the order of
                their names; in a pattern ** stands for any number of folders.
                Quote the pattern, so that the shell leaves it alone
F may be - for standard input. Input is read as it is needed. When it cannot be
read, the map ends; what was done by then is written.`,
		Example: `  wasmpool map mytasks upper --lines names.txt --out names.jsonl
  seq 1000 | wasmpool map examples/executor/tasks square --jsonl - --workers 4
  wasmpool map render.wasm frame --files 'scenes/*.json' --unordered --resume --out frames.jsonl
  mpirun -n 4 wasmpool-mpi map examples/wordcount/tasks count --files 'books/**/*.txt' --out counts.jsonl`,
		Args: argCount(1, 2, " (quote the pattern of --files)"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.check(cmd.Flags()); err != nil {
				return err
			}
			return a.withPool(cmd.Context(), &f.pool, args[0], func(ctx context.Context, ex *executor.Executor) error {
				return a.mapAll(ctx, ex, args, &f)
			})
		},
	}
	cmd.Flags().StringVar(&f.lines, "lines", "", "call once per line of the file `F`")
	cmd.Flags().StringVar(&f.jsonl, "jsonl", "", "call once per JSON value, one a line, of the file `F`")
	cmd.Flags().StringVar(&f.files, "files", "", "call once per file that matches `GLOB`")
	cmd.Flags().StringVar(&f.out, "out", "", "write the results to the file `F` (default: standard output)")
	cmd.Flags().BoolVar(&f.unordered, "unordered", false, "write results as calls end: no call waits for a slow one before it")
	cmd.Flags().BoolVar(&f.resume, "resume", false, "go on with the results in the file of --out; begin if there is none")
	cmd.Flags().BoolVar(&f.force, "force", false, "overwrite the file of --out")
	f.pool.add(cmd)
	return cmd
}

// check finds flags that do not fit together.
func (f *mapFlags) check(flags *pflag.FlagSet) error {
	given := 0
	for _, name := range []string{"lines", "jsonl", "files"} {
		if flags.Changed(name) {
			given++
		}
	}
	if given != 1 || f.lines+f.jsonl+f.files == "" {
		return errors.New("give the input with one of --lines F, --jsonl F and --files GLOB")
	}
	if _, err := path.Match(filepath.ToSlash(f.files), ""); err != nil {
		return fmt.Errorf("--files %q is no pattern: it has an unclosed [ or ends in \\", f.files)
	}
	if err := f.checkResume(); err != nil {
		return err
	}
	return f.pool.check(flags)
}

func (f *mapFlags) checkResume() error {
	switch {
	case f.resume && f.force:
		return errors.New("--resume and --force exclude each other: give one")
	case f.resume && (f.out == "" || f.out == "-"):
		return errors.New("--resume goes on with a file: give it with --out F")
	case f.resume && (f.lines == "-" || f.jsonl == "-"):
		return errors.New("--resume reads the input twice: give it as a file")
	}
	return nil
}

// input opens what the flags name.
func (f *mapFlags) input(a *app) (input, error) {
	switch {
	case f.files != "":
		return openFiles(f.files)
	case f.jsonl != "":
		return openLines(f.jsonl, a.in, checkJSON)
	default:
		return openLines(f.lines, a.in, nil)
	}
}

func (a *app) mapAll(ctx context.Context, ex *executor.Executor, args []string, f *mapFlags) error {
	t, err := openTarget(ctx, ex, args)
	if err != nil {
		return err
	}
	in, err := f.input(a)
	if err != nil {
		return err
	}
	defer in.close()
	out, p, err := a.openOut(f, in)
	if err != nil {
		return err
	}
	inputs := in.args()
	if p.resumed {
		inputs = in.only(p.left)
	}
	r := newResults(out, in.file, p, f.pool.verbose)
	started := time.Now()
	stop := r.refresh(a.newProgress(out, in))
	err = r.collect(ctx, outcomes(ctx, ex, t.name, inputs, f.unordered))
	stop()
	if err == nil {
		err = in.err()
	}
	if failed := errors.Join(r.flush(), closeOut(out, a.out)); err == nil && failed != nil {
		err = fmt.Errorf("writing the results: %w", failed)
	}
	a.summarize(ctx, ex, r, time.Since(started), err)
	if err == nil && r.failed > 0 {
		return &exitError{exitCallFailed, nil} // the summary says it
	}
	return err
}

// outcomes makes the calls and yields how they ended, with their numbers.
func outcomes(ctx context.Context, ex *executor.Executor, task string, args iter.Seq[[]byte], unordered bool) iter.Seq2[int64, executor.Outcome] {
	if unordered {
		return ex.MapIndexed(ctx, task, args)
	}
	results := ex.Map(ctx, task, args)
	return func(yield func(int64, executor.Outcome) bool) {
		i := int64(0)
		for out, err := range results {
			if !yield(i, executor.Outcome{Result: out, Err: err}) {
				return
			}
			i++
		}
	}
}

// openOut opens the file for the results, where there is one, and says what is to
// run.
func (a *app) openOut(f *mapFlags, in input) (io.Writer, *plan, error) {
	if f.out == "" || f.out == "-" {
		return a.out, new(plan), nil
	}
	info, err := os.Stat(f.out)
	exists := err == nil && !info.IsDir()
	switch {
	case exists && in.reads(info):
		return nil, nil, fmt.Errorf("--out %s would overwrite the input: give another file", f.out)
	case exists && f.resume && !info.Mode().IsRegular():
		return nil, nil, fmt.Errorf("--resume: %s is no regular file", f.out)
	case exists && info.Mode().IsRegular() && info.Size() > 0 && !f.resume && !f.force:
		return nil, nil, fmt.Errorf("--out %s holds something already: --resume goes on with it, --force overwrites it", f.out)
	}
	p, how := new(plan), os.O_TRUNC
	if f.resume {
		if p, err = a.resume(f); err != nil {
			return nil, nil, err
		}
		how = os.O_APPEND
	}
	out, err := os.OpenFile(f.out, os.O_WRONLY|os.O_CREATE|how, 0o666)
	if err != nil {
		return nil, nil, fmt.Errorf("writing the results: %w", err)
	}
	return out, p, nil
}

// closeOut closes out unless it is standard output.
func closeOut(out, stdout io.Writer) error {
	if f, ok := out.(io.Closer); ok && out != stdout {
		return f.Close()
	}
	return nil
}
