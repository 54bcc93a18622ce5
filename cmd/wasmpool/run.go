package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// runFlags are the flags of run.
type runFlags struct {
	pool    poolFlags
	call    callFlags
	arg     string
	argFile string
	hasArg  bool
}

func (a *app) runCommand() *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use:   "run MODULE [TASK] [--arg TEXT | --arg-file F] [-- ARGS...]",
		Short: "Run one call and print its result",
		Long: `Run calls a task once and writes the bytes of its result to standard output.

The argument is TEXT, or the content of F, or else what standard input holds, which F
may name with -, too. It is empty when standard input is a terminal. A task that takes numbers (kind raw) wants
them as a JSON array, or one bare number.

A WASI program (kind command) has the argument as its standard input, and ARGS as its
command line. {} in ARGS is replaced by the argument; then standard input is empty.`,
		Example: `  wasmpool run examples/executor/tasks square --arg 12
  wasmpool run add.wasm add --arg '[2, 40]'
  wasmpool run render.wasm --arg-file scene.json >scene.png
  wasmpool run jq.wasm --arg-file data.json -- -c .names`,
		RunE: func(cmd *cobra.Command, args []string) error {
			args, program, err := cutArguments(cmd, args, argCount(1, 2, programHint))
			if err != nil {
				return err
			}
			f.pool.grants.args = program
			f.hasArg = cmd.Flags().Changed("arg")
			if f.hasArg && f.argFile != "" {
				return errors.New("--arg and --arg-file exclude each other: give one")
			}
			if err := errors.Join(f.call.check(cmd.Flags()), f.pool.check(cmd.Flags())); err != nil {
				return err
			}
			f.pool.stdin = !f.hasArg && f.argFile == "" || readsStdin(cmd.Flags())
			return a.withPool(cmd.Context(), &f.pool, args[0], func(ctx context.Context, ex *executor.Executor) error {
				return a.run(ctx, ex, args, &f)
			})
		},
	}
	cmd.Flags().StringVar(&f.arg, "arg", "", "the argument, as `TEXT`")
	cmd.Flags().StringVar(&f.argFile, "arg-file", "", "the file `F` with the argument, - for standard input")
	f.call.add(cmd.Flags())
	f.pool.add(cmd)
	f.pool.memo.add(cmd.Flags(), &f.call)
	f.pool.twice.add(cmd.Flags())
	return cmd
}

func (a *app) run(ctx context.Context, ex *executor.Executor, args []string, f *runFlags) error {
	built := a.building(args[0])
	t, err := openTarget(ctx, ex, args, &f.pool.grants)
	built()
	if err == nil {
		err = checkApart(append(f.pool.view.outputs(), outputFlag{"--arg-file", f.argFile}))
	}
	if err != nil {
		return err
	}
	arg, err := a.argument(ctx, f, t.task)
	if err != nil {
		return err
	}
	if err := a.view.begin(ctx); err != nil {
		return err
	}
	a.view.inputs.put(0, 0)
	var done, failed atomic.Int64
	stop := a.newProgress(ex, 1, 0).start(func() (int64, int64) { return done.Load(), failed.Load() })
	result, err := ex.Call(ctx, t.name, arg, f.call.options()...)
	var wrong *executor.TaskError
	if errors.As(err, &wrong) {
		failed.Store(1)
	}
	if err == nil || wrong != nil {
		done.Store(1)
	}
	stop()
	if err != nil {
		return a.explainCall(err, f.pool.verbose)
	}
	return a.printResult(result)
}

// printResult writes the result of a call to standard output.
func (a *app) printResult(result []byte) error {
	// mpirun gives rank 0 a pseudo terminal, whatever is behind it.
	if isTerminal(a.out) && !a.launched && len(result) > 0 && !bytes.HasSuffix(result, []byte("\n")) {
		result = append(result, '\n')
	}
	_, err := a.out.Write(result)
	if file := regular(a.out); err == nil && file != nil {
		err = file.Sync() // some file systems say only then that there is no room
	}
	if err != nil {
		return fmt.Errorf("writing the result: %w", err)
	}
	return nil
}

// argument returns the call's argument.
func (a *app) argument(ctx context.Context, f *runFlags, task wasmtasks.Task) ([]byte, error) {
	switch {
	case f.hasArg:
		return []byte(f.arg), nil
	case f.argFile == "-":
		return a.readInput(ctx)
	case f.argFile != "":
		arg, err := os.ReadFile(f.argFile)
		if err != nil {
			return nil, fmt.Errorf("reading the argument: %w", err)
		}
		return arg, nil
	case task.Kind == wasmtasks.KindRaw && len(task.Params) == 0, isTerminal(a.in):
		return nil, nil
	}
	return a.readInput(ctx)
}

// readInput reads standard input to its end, or until ctx ends. Where it takes long, it
// says that it waits.
func (a *app) readInput(ctx context.Context) ([]byte, error) {
	notice := time.AfterFunc(time.Second, func() {
		fmt.Fprintln(a.err, "wasmpool: reading the argument from standard input (--arg TEXT gives it, </dev/null is none)")
	})
	defer notice.Stop()
	arg, err := await(ctx, func() ([]byte, error) { return io.ReadAll(a.in) })
	if err != nil && ctx.Err() == nil {
		err = fmt.Errorf("reading the argument from standard input: %w", err)
	}
	return arg, err
}

// explainCall says how a call failed. With verbose it prints first what the
// guest left behind.
func (a *app) explainCall(err error, verbose bool) error {
	var failed *executor.TaskError
	if !errors.As(err, &failed) {
		return &exitError{exitCallFailed, err}
	}
	if failed.Kind == host.KindBadModule {
		return err // no call of it can succeed
	}
	switch {
	case verbose:
		for _, text := range []string{failed.Stderr, failed.Stack} {
			if text != "" {
				fmt.Fprintln(a.err, text)
			}
		}
	case wantsFolder(failed):
		err = fmt.Errorf("%w (%s)", err, folderHint)
	case tellsWhere(failed):
		err = fmt.Errorf("%w (-v shows where)", err)
	}
	return &exitError{exitCallFailed, err}
}

// tellsWhere reports whether the guest left behind more than a message.
func tellsWhere(e *executor.TaskError) bool {
	return e.Stack != "" || strings.TrimSpace(e.Stderr) != ""
}

// folderHint is for those who see how a guest words that it has no folder.
const folderHint = "a task sees no files but those of folders that --dir names"

// wantsFolder reports whether a call failed because it looked for a file where no
// folder was granted: the words are those of Go and of wasi-libc.
func wantsFolder(e *executor.TaskError) bool {
	return strings.Contains(e.Message, "Bad file number") || strings.Contains(e.Message, "Bad file descriptor")
}
