package launch

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/wasmpool/wasmpool/internal/jobdir"
)

// Exit codes of a job that did not end by itself.
const (
	ExitSetup  = 2   // it could not be started
	ExitKilled = 137 // the root died without an exit code
)

// interfacesVar is for the root, see package mpi. It may be on another host, where
// mpirun passes on only what it is told to.
const interfacesVar = "WASMPOOL_INTERFACES"

// A Job is a program to run on several ranks.
type Job struct {
	// Ranks is how many processes are started. Zero leaves that to the launcher:
	// one per task of a Slurm allocation, one per CPU elsewhere.
	Ranks int

	// Hosts are where they run, each a name, or a name and a number of ranks as
	// in "node1:4". None is this host, or the Slurm allocation.
	Hosts []string

	// Launcher is one of [Launchers]. Empty is the first that is there and fits.
	Launcher string

	// Flags are further flags for the launcher.
	Flags []string

	// Program is started with Args.
	Program string
	Args    []string

	// Env are further variables for all ranks, as NAME=value.
	Env []string

	// StartTimeout bounds the time until the ranks have found each other. A program
	// that ends before, as one that only prints its help, is no error, but a line in
	// Stderr says so.
	//
	// Defaults to a minute.
	StartTimeout time.Duration

	// Verbose shows what is otherwise left out of the launcher's messages.
	Verbose bool

	// Stdin goes to rank 0, nothing when it is nil.
	Stdin          io.Reader
	Stdout, Stderr io.Writer

	// Footer is called with each footer of the root, which is a [FooterLine] in what it
	// prints on standard error. Nil leaves them in Stderr.
	Footer func(text string)

	// Signals are passed on to the root. A second SIGINT or SIGTERM ends all at
	// once, as does any before the root has started, but for SIGUSR2.
	Signals <-chan os.Signal
}

// Run starts the job and waits for its end. It returns the root's exit code, and
// an error when that does not come from the program: [ExitSetup] when the job did
// not begin, [ExitKilled] when its root was killed, and 128 and the signal's number
// when it was interrupted. When ctx ends, so does the job. Of its processes and
// their files nothing is left when Run returns, as far as this host goes; that may
// take it up to some ten seconds after the root's end.
func (j *Job) Run(ctx context.Context) (int, error) {
	if j.StartTimeout == 0 {
		j.StartTimeout = time.Minute
	}
	if err := j.checkHosts(); err != nil {
		return ExitSetup, err
	}
	l, err := j.choose()
	if err != nil {
		return ExitSetup, err
	}
	program, err := exec.LookPath(j.Program)
	if err == nil {
		program, err = filepath.Abs(program)
	}
	if err != nil {
		return ExitSetup, fmt.Errorf("launch: %w", err)
	}
	dir, err := j.makeDir()
	if err != nil {
		return ExitSetup, fmt.Errorf("launch: making a folder for the job: %w (TMPDIR names another place)", err)
	}
	r := &run{job: j, id: rand.Text(), dir: jobdir.Dir(dir)}
	if lock, err := r.claim(); err == nil {
		defer lock.Close() //nolint:errcheck // last: until then the folder is not swept
	}
	defer os.RemoveAll(dir)
	if err := reserve(dir, room); err != nil {
		return ExitSetup, fmt.Errorf("launch: the job's folder needs %d MB: %w (TMPDIR names another place)", room/1_000_000, err)
	}
	sweep()
	defer r.clean()
	code, err := r.run(ctx, l.command(j, r, program))
	if code == 0 && !r.begun() {
		fmt.Fprintln(j.Stderr, "launch: there was no pool: each rank ran the program by itself (does it call executor.Run?)")
	}
	return code, err
}

// room is how many bytes a job's folder must have: on one host Open MPI 4 keeps 8 MiB
// there, and without them says next to nothing.
const room = 10_000_000

// checkHosts finds hosts that are none, which launchers take for others.
func (j *Job) checkHosts() error {
	for _, h := range j.Hosts {
		name, ranks, numbered := strings.Cut(h, ":")
		n, err := strconv.Atoi(ranks)
		if name == "" || numbered && (err != nil || n < 1) {
			return fmt.Errorf("launch: %q is no host: give a name, or a name and a number of ranks as in node1:4", h)
		}
	}
	return nil
}

var errNoLauncher = errors.New("launch: there is no MPI launcher here: install Open MPI (make deps), or load your cluster's module for it")
