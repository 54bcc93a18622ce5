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

Standard input goes to rank 0, unless it is a terminal. Launch follows the job through
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
			job.Program, job.Args = args[0], args[1:]
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

// launch runs a job and takes over its exit code.
func (a *app) launch(ctx context.Context, job *launch.Job) error {
	if a.launched {
		return errors.New("launch was started by a launcher itself: start it alone")
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, launch.Signals()...)
	defer signal.Stop(signals)
	job.Signals, job.Stdout, job.Stderr, job.Stdin = signals, a.out, raw(a.err), a.jobInput() // the program's own
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

// launchSelf runs this very command line on so many ranks, for --ranks.
func (a *app) launchSelf(ctx context.Context, f *poolFlags) error {
	program, err := mpiProgram()
	if err != nil {
		return err
	}
	return a.launch(ctx, &launch.Job{Ranks: f.ranks, StartTimeout: f.start, Program: program, Args: withoutRanks(a.args)})
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

// withoutRanks returns a command line without --ranks.
func withoutRanks(args []string) []string {
	var rest []string
	for i := 0; i < len(args); i++ {
		switch {
		case args[i] == "--":
			return append(rest, args[i:]...)
		case args[i] == "--ranks":
			i++
		case !strings.HasPrefix(args[i], "--ranks="):
			rest = append(rest, args[i])
		}
	}
	return rest
}
