package main

import (
	"context"
	"errors"
	"fmt"
	"io"
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
}

func (a *app) mapCommand() *cobra.Command {
	var f mapFlags
	cmd := &cobra.Command{
		Use:   "map MODULE [TASK] (--lines F | --jsonl F | --files GLOB) [--out F]",
		Short: "Run a call per line, JSON value or file",
		Long: `Map calls a task once for each line of a file, each JSON value of a JSON Lines
file, or each file that a pattern matches. It writes one line of JSON per call,
in the order of the input:

  {"i":0,"ok":true,"out":…}
  {"i":1,"ok":false,"error":{"kind":"application","code":70,"message":"…"}}

A result that is JSON stands there as it is, other text as a string; any other
result is given in base64 as "out_b64". With --files the line names the "file"
after "i"; a "code" stands there if the task gave one of its own. A summary follows on standard error.

The input:
  --lines F     the argument is a line, without its newline (\n or \r\n)
  --jsonl F     the argument is a line, which must be JSON; blank lines are skipped
  --files GLOB  the argument is a file's content; files are taken in the order of
                their names; in a pattern ** stands for any number of folders.
                Quote the pattern, so that the shell leaves it alone
F may be - for standard input. Input is read as it is needed. One that cannot be
read ends the map; what was done by then is written.`,
		Example: `  wasmpool map mytasks upper --lines names.txt --out names.jsonl
  seq 1000 | wasmpool map examples/executor/tasks square --jsonl - --workers 4
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
	return f.pool.check(flags)
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
	out, err := a.openOut(f.out, in)
	if err != nil {
		return err
	}
	r := newResults(out, in.file)
	started := time.Now()
	stop := r.refresh(a.newProgress(out, in))
	err = r.collect(ctx, ex.Map(ctx, t.name, in.args()))
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

// openOut opens the file for the results. An empty name is standard output.
func (a *app) openOut(name string, in input) (io.Writer, error) {
	if name == "" || name == "-" {
		return a.out, nil
	}
	if info, err := os.Stat(name); err == nil && in.reads(info) {
		return nil, fmt.Errorf("--out %s would overwrite the input: give another file", name)
	}
	out, err := os.Create(name)
	if err != nil {
		return nil, fmt.Errorf("writing the results: %w", err)
	}
	return out, nil
}

// closeOut closes out unless it is standard output.
func closeOut(out, stdout io.Writer) error {
	if f, ok := out.(io.Closer); ok && out != stdout {
		return f.Close()
	}
	return nil
}
