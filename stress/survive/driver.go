//go:build unix

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A driver starts jobs and looks at what they leave.
type driver struct {
	scenario, launch, program string
	runs, ranks, calls        int
	within                    time.Duration
	gone                      time.Duration // how long the workers may take to leave after the root was killed
	args                      []string
}

// jobTimeout bounds one job: a hang is a failure, not a pause.
const jobTimeout = 3 * time.Minute

func (d *driver) run(ctx context.Context) error {
	var noticed, took []float64
	good := 0
	for i := range d.runs {
		out, err := d.one(ctx)
		if err != nil {
			fmt.Printf("run %d: %v\n", i+1, err)
			continue
		}
		good++
		noticed = append(noticed, out.NoticedMS...)
		took = append(took, out.Seconds)
		fmt.Printf("run %d: %d right, %d workers lost, noticed after %v ms, %.1f s", i+1, out.Right, out.Lost, out.NoticedMS, out.Seconds)
		if out.Sent > 0 {
			fmt.Printf("; the shared input was sent %.2f times, the first call was done after %.1f s", out.Sent, out.First)
		}
		fmt.Println()
	}
	fmt.Printf("%s: %d of %d runs are as they should be; noticed after %.1f ms at the median, %.1f ms at most; a run took %.1f s at the median\n",
		d.scenario, good, d.runs, quantile(noticed, 0.5), quantile(noticed, 1), quantile(took, 0.5))
	if good < d.runs {
		return errors.New("not all runs are as they should be")
	}
	return nil
}

func quantile(list []float64, q float64) float64 {
	if len(list) == 0 {
		return 0
	}
	slices.Sort(list)
	return list[int(q*float64(len(list)-1))]
}

// one starts a job, does to it what the scenario wants, and checks its end.
func (d *driver) one(ctx context.Context) (out outcome, err error) {
	ctx, cancel := context.WithTimeout(ctx, jobTimeout)
	defer cancel()
	words := d.command()
	mark := "WASMPOOL_SURVIVE=" + strconv.FormatUint(rand.Uint64(), 36)
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	dir, err := os.MkdirTemp("", "survive") // a launcher that is killed leaves its folder
	if err != nil {
		return out, err
	}
	defer os.RemoveAll(dir)
	cmd.Env = append(os.Environ(), mark, "TMPDIR="+dir)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	cmd.WaitDelay = 5 * time.Second
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return out, err
	}
	before := segments()
	if err := cmd.Start(); err != nil {
		return out, err
	}
	if d.scenario == "start" {
		time.Sleep(rand.N(400 * time.Millisecond))
		if pids := marked(mark, d.program); len(pids) > 0 {
			syscall.Kill(pids[rand.IntN(len(pids))], syscall.SIGKILL) //nolint:errcheck // it has ended
		}
	}
	var done error // to the job
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		what, text, _ := strings.Cut(lines.Text(), " ")
		switch what {
		case "outcome":
			err = json.Unmarshal([]byte(text), &out)
		case "pids":
			var pids []int
			err = json.Unmarshal([]byte(text), &pids)
			switch {
			case err != nil:
			case d.scenario == "wrapper":
				done = d.killWrapper(cmd.Process.Pid, pids)
			case d.scenario == "root":
				done = d.endRoot(pids, syscall.SIGKILL, d.gone)
			case d.scenario == "pause":
				done = d.endRoot(pids, syscall.SIGSTOP, 4*d.gone) // which must be noticed first
			case link != "":
				done = d.cut(ctx)
			}
		}
		if err != nil {
			return out, err
		}
	}
	err = cmd.Wait()
	if d.scenario == "cut" {
		done = errors.Join(done, d.mend(ctx))
		time.Sleep(settle)
	}
	return out, errors.Join(done, d.check(out, cmd.ProcessState.ExitCode(), err, &stderr), d.left(mark, before))
}

// command returns the command line that starts a job.
func (d *driver) command() []string {
	words := append(strings.Fields(d.launch), "-n", strconv.Itoa(d.ranks))
	if filepath.Base(words[0]) == "wasmpool" {
		if d.scenario != "cut" && d.scenario != "flicker" { // whose ranks all live until the job has begun, however busy the machine is
			words = append(words, "--timeout-start", "8s")
		}
		if link != "" && os.Getenv("SLURM_JOB_ID") == "" {
			words = append(words, "--hosts", strings.ReplaceAll(os.Getenv("NETNS_HOSTS"), ",", ":2,")+":2")
			for _, flag := range []string{
				"plm=rsh", "plm_rsh_agent=" + os.Getenv("NETNS_RSH"), "btl=tcp,self",
				"btl_tcp_if_include=10.77.0.0/24", "oob_tcp_if_include=10.77.0.0/24",
			} {
				name, value, _ := strings.Cut(flag, "=")
				words = append(words, "--launcher-flag=--mca", "--launcher-flag="+name, "--launcher-flag="+value)
			}
		}
		words = append(words, "--")
	}
	words = append(append(words, d.program), d.args...)
	if d.scenario == "root" || d.scenario == "pause" || d.scenario == "wrapper" { // the job is not to end before it is ended, however late that is
		words = append(words, "-calls", strconv.Itoa(100*d.calls))
	}
	return words
}

// link is the program with which scripts/netns lets the hosts' links be cut.
var link = os.Getenv("NETNS_LINK")

// cutHost is the host that is cut off: it has no root.
const cutHost = "h3"

// cut cuts a host off at a random moment, for good or for a while.
func (d *driver) cut(ctx context.Context) error {
	time.Sleep(rand.N(d.within / 2))
	if out, err := exec.CommandContext(ctx, link, cutHost, "down").CombinedOutput(); err != nil {
		return fmt.Errorf("cutting the link: %w: %s", err, out)
	}
	if d.scenario == "cut" {
		return nil
	}
	time.Sleep(2 * time.Second)
	return d.mend(ctx)
}

// settle is for how long hosts do not find a neighbour that was gone.
const settle = 4 * time.Second

func (d *driver) mend(ctx context.Context) error {
	if out, err := exec.CommandContext(ctx, link, cutHost, "up").CombinedOutput(); err != nil {
		return fmt.Errorf("mending the link: %w: %s", err, out)
	}
	return nil
}

// check looks at the exit code, and whether a job that should has delivered all.
func (d *driver) check(out outcome, code int, err error, stderr *bytes.Buffer) error {
	switch {
	case d.scenario == "start" || d.scenario == "wrapper" || d.scenario == "root" && !strings.Contains(d.launch, "wasmpool"):
		return nil // any code, as long as it ends
	case d.scenario == "root" || d.scenario == "pause":
		if code == 137 {
			return nil
		}
	case err == nil && out.Right != d.calls:
		return fmt.Errorf("%d of %d calls have a right result: %s", out.Right, d.calls, stderr)
	case err == nil && (d.scenario == "giver" || d.scenario == "waiter") && out.Lost != 1:
		return fmt.Errorf("%d workers were lost: %s", out.Lost, stderr)
	case err == nil && (d.scenario == "cut" && out.Lost == 0 || (d.scenario == "flicker" || d.scenario == "quiet") && out.Lost > 0):
		return fmt.Errorf("%d workers were lost: %s", out.Lost, stderr)
	case err == nil:
		return nil
	}
	return fmt.Errorf("%w, exit code %d: %s", err, code, stderr)
}

// endRoot kills or stops the root at a random moment and waits until all ranks have
// left.
func (d *driver) endRoot(pids []int, s syscall.Signal, within time.Duration) error {
	time.Sleep(rand.N(d.within / 2))
	if err := syscall.Kill(pids[0], s); err != nil {
		return fmt.Errorf("ending the root: %w", err)
	}
	return awaitEnd(pids, within)
}

// killWrapper ends wasmpool launch itself, and waits for the ranks to end.
func (d *driver) killWrapper(wrapper int, pids []int) error {
	time.Sleep(rand.N(d.within / 2))
	if err := syscall.Kill(wrapper, syscall.SIGKILL); err != nil {
		return fmt.Errorf("killing the launcher: %w", err)
	}
	return awaitEnd(pids, d.gone)
}

// awaitEnd waits for processes to end.
func awaitEnd(pids []int, within time.Duration) error {
	for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		alive := slices.DeleteFunc(slices.Clone(pids), func(pid int) bool { return !lives(pid) })
		if len(alive) == 0 {
			return nil
		}
		if time.Since(began) > within {
			for _, pid := range alive {
				syscall.Kill(pid, syscall.SIGKILL) //nolint:errcheck // it has ended
			}
			return fmt.Errorf("%d ranks still ran after %v", len(alive), within)
		}
	}
}

// left ends and removes the processes and the shared memory that the job left
// behind, and reports them where nothing should be.
func (d *driver) left(mark string, before []string) error {
	var pids []int
	d.eventually(func() bool {
		pids = marked(mark, "")
		return len(pids) == 0
	})
	for _, pid := range pids {
		syscall.Kill(pid, syscall.SIGKILL) //nolint:errcheck // it has ended
	}
	var err error
	if len(pids) > 0 {
		err = fmt.Errorf("%d processes were left", len(pids))
	}
	time.Sleep(100 * time.Millisecond) // what was killed holds its memory for a moment
	promised := strings.Contains(d.launch, "wasmpool") && d.scenario != "wrapper"
	var files []string
	d.eventually(func() bool { // other jobs may end just now, too
		files = slices.DeleteFunc(segments(), func(name string) bool { return slices.Contains(before, name) || inUse(name) })
		return len(files) == 0 || !promised
	})
	for _, name := range files {
		os.Remove(name) //nolint:errcheck // it is gone
		if promised {
			err = errors.Join(err, fmt.Errorf("%s was left", name))
		}
	}
	return err
}

// eventually waits until a condition holds, but no longer than what is left may be there.
func (d *driver) eventually(holds func() bool) {
	end := time.Now().Add(d.gone)
	for !holds() && time.Now().Before(end) {
		time.Sleep(20 * time.Millisecond)
	}
}

// inUse reports whether a process has the file mapped: another job's.
func inUse(name string) bool {
	maps, err := filepath.Glob("/proc/[0-9]*/maps")
	if err != nil {
		return true
	}
	return slices.ContainsFunc(maps, func(file string) bool {
		text, err := os.ReadFile(file)
		return err == nil && bytes.Contains(text, []byte(name))
	})
}

// segments lists the shared memory of ranks of this host, by its name.
func segments() []string {
	host, err := os.Hostname()
	if err != nil {
		return nil
	}
	list, err := filepath.Glob("/dev/shm/vader_segment." + host + ".*")
	if err != nil {
		return nil
	}
	return list
}

// marked lists the processes with the mark in their environment, that run the
// program if one is named.
func marked(mark, program string) []int {
	files, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		return nil
	}
	var list []int
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil || !bytes.Contains(text, []byte(mark+"\x00")) {
			continue
		}
		pid, err := strconv.Atoi(strings.Split(name, "/")[2])
		if err != nil || !lives(pid) {
			continue
		}
		if exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)); program == "" || err == nil && filepath.Base(exe) == filepath.Base(program) {
			list = append(list, pid)
		}
	}
	return list
}

// lives reports whether a process is there and no zombie.
func lives(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := bytes.Cut(text, []byte(") "))
	return !bytes.HasPrefix(rest, []byte("Z"))
}
