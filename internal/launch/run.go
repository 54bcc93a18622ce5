package launch

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/wasmpool/wasmpool/internal/jobdir"
)

const (
	look       = 20 * time.Millisecond // how often the job's files are looked at
	afterExit  = 2 * time.Second       // for how long the launcher may end by itself after the root
	afterTerm  = 3 * time.Second       // for how long the launcher may take to end after SIGTERM
	drainDelay = 2 * time.Second       // for how long output may still be read after the launcher's end
	lookUp     = 5 * time.Second       // for how long names of hosts may be looked up
	afterStop  = 5 * time.Second       // after so long the workers have left a root that they gave up
)

// A run is a job under way.
type run struct {
	job *Job
	id  string // in the environment of each of its processes
	dir jobdir.Dir

	cmd     *exec.Cmd
	out     *output
	said    *filter       // on standard error
	ended   chan struct{} // closed when the launcher has ended
	root    jobdir.Start  // zero before it has started
	shell   int           // the root's, once it was seen on this host
	stopped time.Time     // since when the root stands still, as far as was seen
	signals int           // those that were to end the job
	sent    bool          // one of them, to a root on another host
}

// run starts the command and waits for the job's end.
func (r *run) run(ctx context.Context, cmd *exec.Cmd) (int, error) {
	// The launcher is to end with this process, which Linux ties to the thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	r.cmd, r.ended = cmd, make(chan struct{})
	cmd.Stdin = r.job.Stdin
	cmd.SysProcAttr = attributes()
	cmd.WaitDelay = drainDelay
	r.said = newFilter(r.job.Stderr, r.job.Verbose, r.job.Footer)
	defer r.said.Close()
	cmd.Stderr = r.said
	if s := r.job.earlySignal(); s != nil {
		return interrupted(s)
	}
	out, pipe, err := newOutput(r.job.Stdout)
	if err != nil {
		return ExitSetup, fmt.Errorf("launch: %w", err)
	}
	r.out, cmd.Stdout = out, pipe
	err = cmd.Start()
	pipe.Close() //nolint:errcheck // the launcher has it
	if err != nil {
		out.drain(nil) //nolint:errcheck // nothing was printed
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
	if failed := out.drain(r.job.Signals); failed != nil {
		return outputError(failed)
	}
	return code, err
}

// await waits until the root has ended, or the job cannot go on.
func (r *run) await(ctx context.Context) (int, error) {
	ticker := time.NewTicker(look)
	defer ticker.Stop()
	start := time.NewTimer(r.job.StartTimeout)
	defer start.Stop()
	unwritten := r.out.failed
	for {
		select {
		case <-unwritten:
			r.said.muted.Store(errors.Is(r.out.err, syscall.EPIPE)) // a reader that has left knows that the job is cut short
			if unwritten = nil; !r.pass(syscall.SIGTERM) {
				return interrupted(syscall.SIGTERM)
			}
		case <-ctx.Done():
			return 128 + int(syscall.SIGTERM), fmt.Errorf("launch: %w", context.Cause(ctx))
		case <-r.ended:
			return r.afterLauncher()
		case s := <-r.job.Signals:
			if !r.pass(s) {
				return interrupted(s)
			}
		case <-start.C:
			if !r.begun() {
				return ExitSetup, fmt.Errorf("launch: the ranks had not found each other after %v: did one die at the start, does the program call executor.Run, is it built with -tags mpi for this launcher's MPI? (--timeout-start changes the bound)", r.job.StartTimeout)
			}
		case <-ticker.C:
			begun := r.begun()
			if code, ok := r.exitCode(); ok && (begun || code != 0 || r.alone()) {
				return killed(code)
			}
			if begun && r.lostRoot() {
				return killed(ExitKilled)
			}
			if begun && r.gaveUpRoot() {
				return ExitKilled, r.endRoot()
			}
			if !begun {
				if err := r.failedStart(); err != nil {
					return ExitSetup, err
				}
			}
		}
	}
}

// earlySignal returns a signal that came before the job was started, if one did.
func (j *Job) earlySignal() os.Signal {
	for {
		select {
		case s := <-j.Signals:
			if !isReport(s) {
				return s
			}
		default:
			return nil
		}
	}
}

// interrupted returns how a job ended that a signal has ended at once.
func interrupted(s os.Signal) (int, error) {
	return 128 + int(signalOf(s)), fmt.Errorf("launch: interrupted (%v)", s)
}

func signalOf(s os.Signal) syscall.Signal {
	return s.(syscall.Signal) //nolint:forcetypeassert // on every system that Go knows
}

// killed returns how a job ended whose root has left a code, and says so when it
// was killed. Shells have this code for it.
func killed(code int) (int, error) {
	if code == ExitKilled {
		return code, errors.New("launch: the root was killed, so the job is over")
	}
	return code, nil
}

// afterLauncher returns how a job ended whose launcher has.
func (r *run) afterLauncher() (int, error) {
	begun := r.begun()
	if code, ok := r.exitCode(); ok {
		return killed(code)
	}
	if begun {
		return killed(ExitKilled)
	}
	return ExitSetup, r.job.notBegun()
}

// notBegun is the error of a launcher that ended before the job had begun. Launchers say at length
// that something is the matter with a host, and not with which.
func (j *Job) notBegun() error {
	const text = "launch: the launcher ended before the job had begun"
	if len(j.Hosts) == 0 {
		return errors.New(text)
	}
	if unknown := j.unknownHosts(); len(unknown) > 0 {
		return fmt.Errorf("%s: not known here: %s", text, strings.Join(unknown, ", "))
	}
	hint := ": does ssh to each work without a question, as in: ssh HOST true?"
	if inSlurm() { // which needs no ssh
		hint = ": are they in the allocation?"
	}
	return fmt.Errorf("%s on %s%s", text, strings.Join(j.Hosts, ", "), hint)
}

// unknownHosts returns those hosts whose names do not lead to an address.
func (j *Job) unknownHosts() []string {
	ctx, cancel := context.WithTimeout(context.Background(), lookUp)
	defer cancel()
	var unknown []string
	for _, h := range j.Hosts {
		name, _, _ := strings.Cut(h, ":")
		var missing *net.DNSError
		if _, err := net.DefaultResolver.LookupHost(ctx, name); errors.As(err, &missing) && !missing.IsTimeout {
			unknown = append(unknown, name)
		}
	}
	return unknown
}

// exitCode reads what the root's shell left, or rank 0's when there is no root yet.
func (r *run) exitCode() (int, bool) {
	e, ended := r.dir.ReadExit(r.root.Rank)
	return e.Code, ended
}

// alone reports whether rank 0 ended some time ago without having met the others:
// it may be that another rank is to be the root.
func (r *run) alone() bool {
	e, ended := r.dir.ReadExit(r.root.Rank)
	return ended && time.Since(e.At) > afterExit
}

// failedStart returns an error if a rank failed some time ago, for which the others
// wait at the start.
func (r *run) failedStart() error {
	for _, e := range r.dir.ReadExits() {
		if e.Code != 0 && time.Since(e.At) > afterExit {
			return fmt.Errorf("launch: rank %d ended with exit code %d before the ranks had found each other", e.Rank, e.Code)
		}
	}
	return nil
}

// begun reports whether the root has said that the ranks have found each other. It
// reads that once.
func (r *run) begun() bool {
	if r.root.PID != 0 {
		return true
	}
	root, started := r.dir.ReadStart()
	if !started {
		return false
	}
	r.root = root
	if pid, ok := r.dir.ReadShell(root.Rank); ok && r.local() && r.marked(pid) {
		r.shell = pid
	}
	return true
}

// local reports whether the root is on this host.
func (r *run) local() bool {
	host, err := os.Hostname()
	return err == nil && host == r.root.Host
}

// lostRoot reports whether the root's shell was here and has gone without a note:
// it was killed, with or without the root.
func (r *run) lostRoot() bool {
	if r.shell == 0 || r.marked(r.shell) {
		return false
	}
	_, noted := r.exitCode()
	return !noted
}

// gaveUpRoot reports whether the root is on this host and has been stopped for so
// long that the workers have left: the job is over, though it cannot say so.
func (r *run) gaveUpRoot() bool {
	if r.root.Patience == 0 || !r.local() || !isStopped(r.root.PID) {
		r.stopped = time.Time{}
		return false
	}
	if r.stopped.IsZero() {
		r.stopped = time.Now()
	}
	return time.Since(r.stopped) > r.root.Patience+afterStop
}

// endRoot kills a root that is stopped, for which no other signal means anything.
func (r *run) endRoot() error {
	if p, err := os.FindProcess(r.root.PID); err == nil && r.marked(r.root.PID) {
		p.Kill() //nolint:errcheck // it has ended
	}
	return fmt.Errorf("launch: the root was stopped for longer than its workers wait (%v), so the job is over", r.root.Patience)
}

// pass hands a signal on to the root. It reports false when the job is to end at
// once: on a second signal, or before there is a root.
func (r *run) pass(s os.Signal) bool {
	begun := r.begun()
	if !begun && isReport(s) {
		return true // there is nothing to report
	}
	if s == os.Interrupt || s == syscall.SIGTERM {
		r.signals++
	}
	if r.signals > 1 || !begun && !r.forestalled(s) {
		return false
	}
	if !r.local() {
		return r.passFar(s)
	}
	p, err := os.FindProcess(r.root.PID)
	if err == nil {
		err = p.Signal(s)
	}
	return err == nil || errors.Is(err, os.ErrProcessDone)
}

// passFar hands a signal on to a root on another host, through the launcher. Most
// signals end a launcher, and soon its ranks; SIGUSR1 and SIGUSR2 it hands on, to all
// of them. So a note says what the first stands for.
func (r *run) passFar(s os.Signal) bool {
	if isReport(s) {
		return r.cmd.Process.Signal(s) == nil
	}
	if r.sent {
		return true // as SIGHUP may come again
	}
	r.sent = true
	return r.dir.WriteStop(signalOf(s)) == nil && r.cmd.Process.Signal(forwarded) == nil
}

// forestalled tells a root that has not begun not to. It reports whether it has
// meanwhile, so that it handles signals: each of the two writes before it reads.
func (r *run) forestalled(s os.Signal) bool {
	return r.dir.WriteStop(signalOf(s)) == nil && r.begun()
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
		if r.out.await(r.ended, step.patience, r.job.Signals) {
			return
		}
		signalGroup(r.cmd.Process.Pid, step.signal)
	}
	<-r.ended
}
