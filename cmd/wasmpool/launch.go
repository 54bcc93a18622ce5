package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/wasmpool/wasmpool/internal/launch"
	"github.com/wasmpool/wasmpool/internal/transport/mpi"
)

func (a *app) launchCommand() *cobra.Command {
	var job launch.Job
	cmd := &cobra.Command{
		Use:   "launch [-n N] [--hosts H,…] [--launcher L] -- PROGRAM [ARGS]",
		Short: "Start a program on several ranks, so that it survives the loss of some",
		Long: `Launch starts a program that is built on wasmpool, with -tags mpi, on N ranks. It
takes Open MPI's mpirun, also in a Slurm allocation, with the flags with which the job
goes on when a worker dies. Where there is none, it takes Slurm's srun or MPICH's
mpiexec, with which the job ends when a worker dies.

Launch ends the job if the ranks do not find each other in time. It hands SIGINT, SIGTERM,
SIGHUP, SIGUSR1 and SIGUSR2 on to the root; a second SIGINT or SIGTERM ends everything
at once. It leaves out the launcher's messages about dead ranks. When the root has
ended, it ends what is left of the job on this host.

Standard input goes to rank 0, unless it is a terminal, and whether or not the program
reads it: in a script that reads its own, write </dev/null behind. Launch follows the job through
a folder that rank 0 must see, too. In a Slurm allocation, and with --hosts, that folder
is in the working folder, as temporary folders are not shared.

The exit code is the root's; 137 when the root was killed, or had to be, as a line on
standard error says, too; 2 when the job could not be started, or what the ranks print
could not be written, which ends the job; 141 when nobody reads it any more; 130, 143, 138 or 129 when
SIGINT, SIGTERM, SIGUSR1 or SIGHUP came before the job had begun, or one of the first two
came a second time.`,
		Example: `  wasmpool launch -n 4 -- wasmpool-mpi map mytasks upper --lines names.txt --out names.jsonl
  wasmpool launch --hosts node1:8,node2:8 -n 16 -- ./myprogram --size 1000`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("name the program to start, after --")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("ranks") && job.Ranks < 1 {
				return fmt.Errorf("-n is %d, must be at least 1", job.Ranks)
			}
			if job.StartTimeout <= 0 {
				return fmt.Errorf("--timeout-start is %v, must be more than 0", job.StartTimeout)
			}
			job.Program, job.Args, job.Stdin = args[0], args[1:], a.jobInput()
			return a.launch(cmd.Context(), &job)
		},
	}
	flags := cmd.Flags()
	flags.SetInterspersed(false)
	flags.IntVarP(&job.Ranks, "ranks", "n", 0, "start `N` ranks (default: what the launcher takes)")
	flags.StringSliceVar(&job.Hosts, "hosts", nil, "run on these `HOSTS`, each a name or name:ranks (default: here)")
	flags.StringVar(&job.Launcher, "launcher", "", "take this `LAUNCHER`: "+strings.Join(launch.Launchers, ", "))
	flags.StringArrayVar(&job.Flags, "launcher-flag", nil, "a further `FLAG` for the launcher")
	flags.DurationVar(&job.StartTimeout, "timeout-start", time.Minute, "end the job if the ranks have not found each other after `D`")
	flags.BoolVarP(&job.Verbose, "verbose", "v", false, "show all that the launcher says")
	return cmd
}

// The environment of ranks.
const (
	footerVar = "WASMPOOL_FOOTER" // launch shows the root's footer
	ranksVar  = "WASMPOOL_RANKS"  // --ranks has started them
)

// launch runs a job and takes over its exit code.
func (a *app) launch(ctx context.Context, job *launch.Job) error {
	if a.launched {
		return errors.New("launch was started by a launcher itself: start it alone")
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, launch.Signals()...)
	defer signal.Stop(signals)
	job.Signals, job.Stdout, job.Stderr = signals, a.out, raw(a.err) // the program's own
	if job.Footer = a.footer(); job.Footer != nil {
		job.Env = append(job.Env, footerVar+"=1")
		defer job.Footer("") // that of a root that was killed
	}
	code, err := job.Run(ctx)
	if err == nil && code == 0 {
		return nil
	}
	return &exitError{code, err}
}

// jobInput returns what a job's root reads. A launcher is not in the foreground of
// a terminal, so it cannot read one.
func (a *app) jobInput() io.Reader {
	if isTerminal(a.in) {
		return nil
	}
	return a.in
}

// launchSelf runs this very command line on so many ranks, for --ranks. Standard input is
// theirs only when they read it: it may be that of a script, with lines that are not for them.
func (a *app) launchSelf(ctx context.Context, f *poolFlags) error {
	program, err := mpiProgram()
	if err != nil {
		return err
	}
	job := &launch.Job{Ranks: f.ranks, StartTimeout: f.start, Program: program, Args: a.args, Env: []string{ranksVar + "=1"}}
	if f.stdin {
		job.Stdin = a.jobInput()
	}
	return a.launch(ctx, job)
}

// readsStdin reports whether a flag names standard input.
func readsStdin(flags *pflag.FlagSet) bool {
	reads := false
	flags.Visit(func(f *pflag.Flag) {
		reads = reads || f.Value.String() == "-" && f.Name != "arg" && f.Name != "out"
	})
	return reads
}

// mpiProgram finds this command built with MPI.
func mpiProgram() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	if mpi.Built {
		return self, nil
	}
	beside := filepath.Join(filepath.Dir(self), "wasmpool-mpi")
	if _, err := os.Stat(beside); err == nil {
		return beside, nil
	}
	path, err := exec.LookPath("wasmpool-mpi")
	if err != nil {
		return "", errors.New("--ranks needs wasmpool-mpi, beside wasmpool or in PATH: build it with make mpi")
	}
	return path, nil
}
