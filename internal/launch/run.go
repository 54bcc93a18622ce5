package launch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	look       = 20 * time.Millisecond  // how often the job's files are looked at
	afterExit  = 2 * time.Second        // for how long the launcher may end by itself after the root
	afterTerm  = 3 * time.Second        // and after SIGTERM
	drainDelay = 500 * time.Millisecond // for how long output may still come after that
)

// A run is a job under way.
type run struct {
	job    *Job
	id     string // in the environment of each of its processes
	dir    string
	before map[string]bool // shared memory of others

	cmd     *exec.Cmd
	ended   chan struct{} // closed when the launcher has ended
	root    process
	signals int // those that were to end the job
}

// A process is what the root says of itself when it has started.
type process struct {
	pid  int
	host string
}

// run starts the command and waits for the job's end.
func (r *run) run(ctx context.Context, cmd *exec.Cmd) (int, error) {
	// The launcher is to end with this process, which Linux ties to the thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	r.cmd, r.ended = cmd, make(chan struct{})
	cmd.Stdin, cmd.Stdout = r.job.Stdin, r.job.Stdout
	cmd.SysProcAttr = attributes()
	cmd.WaitDelay = drainDelay
	messages := newFilter(r.job.Stderr, r.job.Verbose)
	defer messages.Close()
	cmd.Stderr = messages
	if err := cmd.Start(); err != nil {
		return ExitSetup, fmt.Errorf("launch: %w", err)
	}
	var waiting sync.WaitGroup
	waiting.Go(func() {
		defer close(r.ended)
		cmd.Wait() //nolint:errcheck // its state says it
	})
	code, err := r.await(ctx)
	r.end()
	waiting.Wait()
	return code, err
}

// await waits until the root has ended, or the job cannot go on.
func (r *run) await(ctx context.Context) (int, error) {
	ticker := time.NewTicker(look)
	defer ticker.Stop()
	start := time.NewTimer(r.job.StartTimeout)
	defer start.Stop()
	for {
		select {
		case <-ctx.Done():
			return 128 + int(syscall.SIGTERM), fmt.Errorf("launch: %w", context.Cause(ctx))
		case <-r.ended:
			return r.afterLauncher()
		case s := <-r.job.Signals:
			if !r.pass(s) {
				return 128 + int(s.(syscall.Signal)), fmt.Errorf("launch: interrupted (%v)", s) //nolint:forcetypeassert // on every system that Go knows
			}
		case <-start.C:
			if r.root.pid == 0 {
				return ExitSetup, fmt.Errorf("launch: the ranks had not found each other after %v: did one die at the start, does the program call executor.Run, is it built with -tags mpi for this launcher's MPI? (--start-timeout changes the bound)", r.job.StartTimeout)
			}
		case <-ticker.C:
			if code, ok := r.exitCode(); ok {
				return code, nil
			}
			if r.root.pid == 0 {
				r.root = r.readStarted()
			}
		}
	}
}

// afterLauncher returns how a job ended whose launcher has.
func (r *run) afterLauncher() (int, error) {
	if code, ok := r.exitCode(); ok {
		return code, nil
	}
	code := r.cmd.ProcessState.ExitCode()
	switch {
	case r.readStarted().pid != 0:
		return ExitKilled, errors.New("launch: the launcher ended, and the root has left no exit code: it was killed")
	case code <= 0:
		code = ExitSetup
	}
	return code, errors.New("launch: the launcher ended before the job had begun")
}

// exitCode reads what rank 0 left.
func (r *run) exitCode() (int, bool) {
	text, err := os.ReadFile(filepath.Join(r.dir, "exit"))
	if err != nil {
		return 0, false
	}
	code, err := strconv.Atoi(strings.TrimSpace(string(text)))
	return code, err == nil
}

// readStarted reads what the root said when its ranks had found each other.
func (r *run) readStarted() process {
	text, err := os.ReadFile(filepath.Join(r.dir, "started"))
	if err != nil {
		return process{}
	}
	var p process
	if _, err := fmt.Sscanf(string(text), "%d %s\n", &p.pid, &p.host); err != nil {
		return process{}
	}
	return p
}

// pass hands a signal on to the root. It reports false when the job is to end at
// once: on a second signal, or before there is a root.
func (r *run) pass(s os.Signal) bool {
	if s == os.Interrupt || s == syscall.SIGTERM {
		r.signals++
	}
	if r.root.pid == 0 {
		r.root = r.readStarted()
	}
	if r.signals > 1 || r.root.pid == 0 {
		return false
	}
	if host, err := os.Hostname(); err != nil || host != r.root.host {
		return r.cmd.Process.Signal(s) == nil // launchers hand signals on
	}
	p, err := os.FindProcess(r.root.pid)
	if err == nil {
		err = p.Signal(s)
	}
	return err == nil || errors.Is(err, os.ErrProcessDone)
}

// end ends what is left: the launcher, first politely, then the ranks.
func (r *run) end() {
	patience := afterExit
	if _, ok := r.exitCode(); !ok {
		patience = 0
	}
	for _, step := range []struct {
		patience time.Duration
		signal   syscall.Signal
	}{{patience, syscall.SIGTERM}, {afterTerm, syscall.SIGKILL}} {
		select {
		case <-r.ended:
			return
		case <-time.After(step.patience):
			signalGroup(r.cmd.Process.Pid, step.signal)
		}
	}
	<-r.ended
}
