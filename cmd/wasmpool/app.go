package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/internal/plain"
)

// An app is one run of the command.
//
// Under an MPI launcher every rank runs the same command line. All of them
// check the flags, but only rank 0 reads, writes and prints; the others serve
// the pool, or do nothing.
type app struct {
	args     []string // of the command line
	in       io.Reader
	out      io.Writer
	err      io.Writer // for messages; execute makes foreign text in them plain
	launched bool      // by an MPI launcher, or something like it
	rank     int       // 0 when not launched
	started  bool      // by --ranks
	shown    bool      // wasmpool launch shows the footer of this rank
	screen   *screen   // the terminal that messages go to; nil without, and on ranks
	progress progressMode
	view     *view // of the job, on rank 0; nil in commands without a pool

	// patience is for how long ranks other than 0 wait before they exit with an error
	// that rank 0 has, too: launchers kill all ranks as soon as one fails, perhaps
	// while rank 0 writes its message.
	patience time.Duration
}

// execute runs the command and returns its exit code.
func (a *app) execute(ctx context.Context, args []string) int {
	a.args = args
	a.useScreen()
	a.err = plain.NewWriter(a.err)
	cmd := a.command()
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	code := exitCode(err)
	if errors.Is(err, executor.ErrDrained) {
		err, code = errors.New("drained"), executor.ExitCode(err)
	} else if errors.Is(err, executor.ErrInterrupted) {
		err, code = errors.New("interrupted"), executor.ExitCode(err)
	} else if errors.Is(err, context.Canceled) {
		err, code = errors.New("interrupted"), exitInterrupted
	}
	var own *workerError
	if a.rank > 0 && !errors.As(err, &own) {
		wait(ctx, a.patience)
	} else if text := oneLine(err); text != "" {
		fmt.Fprintln(a.err, "wasmpool:", text)
	}
	return code
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// command returns the command with all its subcommands.
func (a *app) command() *cobra.Command {
	version := false
	cmd := &cobra.Command{
		Use:   "wasmpool",
		Short: "Run WebAssembly tasks on local CPUs or on MPI ranks",
		Long: `wasmpool runs WebAssembly tasks on the CPUs of this machine, or, under an MPI
launcher such as mpirun or srun, on all ranks.

MODULE is a .wasm file, or a folder of sources, or one source file, which are compiled:
Go packages, C, Rust, Zig, AssemblyScript. A task is a function that the module
exports; TASK may be left out when there is one.

Exit codes: 0 all is well, 1 a call failed, 2 a usage or set-up error or results
that cannot be written, 130, 143, 138 and 129 interrupted by SIGINT, SIGTERM,
SIGUSR1 and SIGHUP. After a signal, calls that run have ten seconds to end, and
what is done is written. A second one, but for SIGHUP, ends everything at once.`,
		Example: `  wasmpool init mytasks
  wasmpool run mytasks upper --arg hello
  wasmpool map mytasks upper --lines names.txt --out names.jsonl
  wasmpool map --ranks 4 mytasks upper --lines names.txt --out names.jsonl`,
		Args: noSuchCommand,
		RunE: func(cmd *cobra.Command, args []string) error {
			if version {
				return a.onRoot(a.version)(cmd, args)
			}
			return cmd.Help()
		},
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	cmd.Flags().BoolVar(&version, "version", false, "do as wasmpool version")
	cmd.CompletionOptions.HiddenDefaultCmd = true
	cmd.SuggestionsMinimumDistance = 2
	cmd.SetFlagErrorFunc(flagError)
	cmd.SetIn(a.in)
	cmd.SetOut(a.out)
	cmd.SetErr(a.err)
	if a.rank > 0 {
		cmd.SetOut(io.Discard) // rank 0 prints the help
		cmd.SetErr(io.Discard)
	}
	cmd.AddCommand(a.runCommand(), a.mapCommand(), a.inspectCommand(), a.buildCommand(), a.initCommand(), a.launchCommand(), a.statusCommand(), a.killCommand(), a.drainCommand(), a.resultsCommand(), a.memoCommand(), a.versionCommand(), a.benchCommand())
	return cmd
}

// onRoot makes a command that uses no pool run once, not once per rank.
func (a *app) onRoot(run func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if a.rank > 0 {
			return nil
		}
		ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		context.AfterFunc(ctx, stop) // a second signal ends the process at once
		return run(ctx, args)
	}
}

// useScreen lets messages, and results that go to the terminal too, stand above a footer.
func (a *app) useScreen() {
	if a.launched || !isTerminal(a.err) || os.Getenv("TERM") == "dumb" {
		return
	}
	a.screen = newScreen(a.err.(*os.File)) //nolint:forcetypeassert // a terminal is one
	a.err = pane{a.screen, a.err}
	if isTerminal(a.out) {
		a.out = pane{a.screen, a.out}
	}
}

// raw returns the stream of the app that is behind a writer, for what is not text, or
// not the command's own.
func raw(w io.Writer) io.Writer {
	if p, ok := w.(*plain.Writer); ok {
		return p.Unwrap()
	}
	return w
}

// isTerminal reports whether a stream of the app is a terminal.
func isTerminal(stream any) bool {
	for w, ok := stream.(interface{ Unwrap() io.Writer }); ok; w, ok = stream.(interface{ Unwrap() io.Writer }) {
		stream = w.Unwrap()
	}
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
