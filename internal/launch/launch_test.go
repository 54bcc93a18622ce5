//go:build linux

package launch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/wasmpool/wasmpool/internal/jobdir"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A trial is a job under test.
type trial struct {
	*Job
	out, err buffer
	signals  chan os.Signal
	mark     string // in the environment of its processes
	temp     string
}

// newTrial makes a job of a shell script, which gets each signal that is sent to it. Of
// the launchers only those named are in PATH, as the stand-ins of testdata.
func newTrial(t *testing.T, script string, launchers ...string) *trial {
	t.Helper()
	hangups(t)
	bin := t.TempDir()
	for _, name := range launchers {
		text, err := os.ReadFile(filepath.Join("testdata/bin", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(bin, name), text, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"sh", "sleep", "setsid", "hostname", "mv", "cat", "seq"} {
		for _, dir := range []string{"/bin", "/usr/bin"} {
			if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
				os.Symlink(filepath.Join(dir, name), filepath.Join(bin, name)) //nolint:errcheck // the second is the same
			}
		}
	}
	mark := fmt.Sprint(t.Name(), os.Getpid()) // the test may run twice at once
	tr := &trial{signals: make(chan os.Signal, 4), mark: "LAUNCH_TEST=" + mark, temp: t.TempDir()}
	t.Setenv("PATH", bin)
	t.Setenv("TMPDIR", tr.temp)
	t.Setenv("LAUNCH_TEST", mark)
	t.Setenv("SLURM_JOB_ID", "")
	tr.Job = &Job{
		Program: "sh", Args: []string{"-c", script}, Signals: tr.signals,
		Stdout: &tr.out, Stderr: &tr.err, StartTimeout: 20 * time.Second,
	}
	return tr
}

// hangups lets what the test starts have SIGHUP even when the test was started to
// ignore it, as under nohup: a shell cannot trap what it was started to ignore.
func hangups(t *testing.T) {
	t.Helper()
	heard := make(chan os.Signal, 1)
	signal.Notify(heard, syscall.SIGHUP)
	t.Cleanup(func() { signal.Stop(heard) })
}

// begin is what the root's library does when the ranks have found each other.
const begin = `echo "$$ ${OMPI_COMM_WORLD_RANK:-0} $(hostname) 0" >$WASMPOOL_JOB_DIR/s && mv $WASMPOOL_JOB_DIR/s $WASMPOOL_JOB_DIR/started; `

// soon is long before the scripts' sleeps end, and before expect gives up: what takes some
// seconds is done by then on a busy machine, too.
const soon = 30 * time.Second

// expect runs the job and checks its exit code and that nothing is left of it.
func (tr *trial) expect(t *testing.T, code int, message string) time.Duration {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 80*time.Second)
	defer cancel()
	start := time.Now()
	got, err := tr.Run(ctx)
	took := time.Since(start)
	if got != code || (err == nil) != (message == "") || err != nil && !strings.Contains(err.Error(), message) {
		t.Errorf("exit code %d, %v, want %d and %q\n%s", got, err, code, message, &tr.err)
	}
	tr.nothingLeft(t)
	return took
}

func (tr *trial) nothingLeft(t *testing.T) {
	t.Helper()
	if left := marked(t, tr.mark); len(left) > 0 {
		t.Errorf("processes %v are left", left)
		for _, pid := range left {
			syscall.Kill(pid, syscall.SIGKILL) //nolint:errcheck // it may just end
		}
	}
	if left, err := os.ReadDir(tr.temp); err != nil || len(left) > 0 {
		t.Errorf("files %v are left, %v", left, err)
	}
}

// marked lists the processes that were started with a variable.
func marked(t *testing.T, variable string) []int {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		t.Fatal(err)
	}
	var list []int
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil || !slices.Contains(strings.Split(string(text), "\x00"), variable) {
			continue
		}
		if pid, err := strconv.Atoi(strings.Split(name, "/")[2]); err == nil {
			list = append(list, pid)
		}
	}
	return list
}

// await waits until a file of the job's folder is there.
func (tr *trial) await(t *testing.T, name string) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if found, err := filepath.Glob(filepath.Join(tr.temp, "wasmpool-*", name)); err == nil && len(found) > 0 {
			return
		}
	}
	t.Errorf("there is no %s\n%s", name, &tr.err)
}

func TestExitCodes(t *testing.T) {
	const one = "the root was killed"
	for _, tt := range []struct {
		name, script string
		ranks, code  int
		message      string
	}{
		{"healthy", begin + "exit 0", 3, 0, ""},
		{"failed", begin + "exit 1", 3, 1, ""},
		{"its own", begin + "exit 42", 3, 42, ""},
		{"before the start", "exit 2", 2, 2, ""},
		{"only help", "exit 0", 2, 0, ""},
		{"killed", begin + "kill -KILL $$", 2, ExitKilled, one},
		{"killed with its shell", begin + "kill -KILL $PPID $$", 2, ExitKilled, one},
		{"of a worker", `[ $OMPI_COMM_WORLD_RANK = 1 ] && exit 9; ` + begin + "sleep 0.2; exit 4", 2, 4, ""},
		{"of a root that is not rank 0", `[ $OMPI_COMM_WORLD_RANK = 0 ] && exit 0; sleep 0.3; ` + begin + "sleep 0.3; exit 6", 2, 6, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tr := newTrial(t, tt.script, "mpirun")
			tr.Ranks = tt.ranks
			tr.expect(t, tt.code, tt.message)
			if got := strings.Contains(tr.err.String(), "each rank ran the program by itself"); got != (tt.name == "only help") {
				t.Errorf("standard error is %q", &tr.err)
			}
		})
	}
}

func TestStreams(t *testing.T) {
	tr := newTrial(t, begin+`cat; echo "on standard error" >&2`, "mpirun")
	tr.Ranks, tr.Stdin = 2, strings.NewReader("to rank 0\n")
	tr.Args[1] = `[ $OMPI_COMM_WORLD_RANK = 0 ] || { cat; exit; }; ` + tr.Args[1]
	tr.expect(t, 0, "")
	if tr.out.String() != "to rank 0\n" || tr.err.String() != "on standard error\n" {
		t.Errorf("standard output %q and error %q", &tr.out, &tr.err)
	}
}

// A start that never comes is ended, and so is a launcher that ignores SIGTERM.
func TestStartTimeout(t *testing.T) {
	tr := newTrial(t, "sleep 100", "mpirun")
	tr.Ranks, tr.StartTimeout = 2, 300*time.Millisecond
	if took := tr.expect(t, ExitSetup, "had not found each other after 300ms"); took > soon {
		t.Errorf("it took %v", took)
	}
}

// Nobody waits for a rank that has failed at the start.
func TestFailedStart(t *testing.T) {
	tr := newTrial(t, "[ $OMPI_COMM_WORLD_RANK = 1 ] && exit 9; sleep 100", "mpirun")
	tr.Ranks, tr.StartTimeout = 3, 2*time.Minute
	tr.expect(t, ExitSetup, "rank 1 ended with exit code 9 before the ranks had found each other")
}

func TestStuckLauncher(t *testing.T) {
	t.Setenv("FAKE", "stuck")
	tr := newTrial(t, begin+"exit 3", "mpirun")
	tr.Ranks = 2
	if took := tr.expect(t, 3, ""); took < afterExit || took > soon {
		t.Errorf("it took %v, want a little over %v", took, afterExit+afterTerm)
	}
}

// The root and its shell are killed while the launcher waits for other ranks.
func TestRootLost(t *testing.T) {
	t.Setenv("FAKE", "stuck")
	tr := newTrial(t, `[ $OMPI_COMM_WORLD_RANK = 0 ] || { sleep 100; exit; }; `+begin+"sleep 0.2; kill -KILL $PPID $$", "mpirun")
	tr.Ranks = 3
	if took := tr.expect(t, ExitKilled, "the root was killed"); took > soon {
		t.Errorf("it took %v, want some seconds after the root's death", took)
	}
}

// A root that is stopped for longer than its workers wait is ended.
func TestRootStopped(t *testing.T) {
	tr := newTrial(t, `[ $OMPI_COMM_WORLD_RANK = 0 ] || exit 1; `+strings.Replace(begin, "$(hostname) 0", "$(hostname) 300", 1)+`kill -STOP $$; exit 8`, "mpirun")
	tr.Ranks = 3
	tr.expect(t, ExitKilled, "the root was stopped for longer than its workers wait (300ms)")
}

// One that is stopped for a while goes on.
func TestRootPaused(t *testing.T) {
	tr := newTrial(t, strings.Replace(begin, "$(hostname) 0", "$(hostname) 10000", 1)+`(sleep 1; kill -CONT $$) & kill -STOP $$; exit 8`, "mpirun")
	tr.expect(t, 8, "")
}

// Launchers do not say which host is the matter.
func TestHostsNamed(t *testing.T) {
	t.Setenv("FAKE", "fails")
	for hosts, want := range map[string]string{
		"nosuch.invalid:2": "nosuch.invalid",
		"127.0.0.1:2":      "on 127.0.0.1:2: does ssh to each work",
	} {
		t.Run(hosts, func(t *testing.T) {
			tr := newTrial(t, begin+"exit 0", "mpirun")
			t.Chdir(tr.temp) // where the job's folder is made
			tr.Hosts = []string{hosts}
			tr.expect(t, ExitSetup, want)
		})
	}
}

func TestLauncherFails(t *testing.T) {
	t.Setenv("FAKE", "fails")
	tr := newTrial(t, "exit 0", "mpirun")
	tr.expect(t, ExitSetup, "before the job had begun")
	if !strings.Contains(tr.err.String(), "no slots") {
		t.Errorf("standard error is %q, want the launcher's reason", &tr.err)
	}
}

// Processes that the launcher leaves behind are ended, whatever their group.
func TestLeftover(t *testing.T) {
	t.Setenv("FAKE", "orphan")
	tr := newTrial(t, begin+"exit 0", "mpirun")
	tr.expect(t, 0, "")
}

// Of the shared memory only the job's own is removed.
func TestSharedMemory(t *testing.T) {
	own := uint32(os.Getpid())<<8 | 1
	name := func(job uint32) string {
		return fmt.Sprintf("/dev/shm/vader_segment.launch-test.%d.%x.0", os.Getuid(), job)
	}
	for _, job := range []uint32{own, own + 1} {
		if err := os.WriteFile(name(job), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.Remove(name(job)) })
	}
	t.Setenv("FAKE_SPACE", strconv.FormatUint(uint64(own), 10))
	tr := newTrial(t, begin+"exit 0", "mpirun")
	tr.expect(t, 0, "")
	if _, err := os.Stat(name(own)); !os.IsNotExist(err) {
		t.Errorf("the job's memory: %v, want that it is gone", err)
	}
	if _, err := os.Stat(name(own + 1)); err != nil {
		t.Errorf("another job's memory: %v, want that it is there", err)
	}
}

// Files that a killed launch has left are removed by the next one; those that may be in use are
// not.
func TestSweep(t *testing.T) {
	here, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	tr := newTrial(t, begin+"exit 0", "mpirun")
	number := uint32(os.Getpid())<<8 | 2
	for _, tt := range []struct {
		name, lock    string
		held, mapped  bool
		swept, memory bool // what is to be gone
	}{
		{name: "dead", lock: here + " A\n", swept: true, memory: true},
		{name: "dead, but its memory is another's now", lock: here + " A\n", mapped: true, swept: true},
		{name: "alive", lock: here + " A\n", held: true},
		{name: "alive in its ranks", lock: here + " SWEEP\n"},
		{name: "of another host", lock: here + "x A\n"},
		{name: "being made", lock: ""},
		{name: "of something else", lock: "none"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			number++
			dir := filepath.Join(tr.temp, "wasmpool-"+strconv.Itoa(int(number)))
			segment := fmt.Sprintf("/dev/shm/vader_segment.launch-test.%d.%x.0", os.Getuid(), number)
			t.Cleanup(func() { os.Remove(segment); os.RemoveAll(dir) })
			err := os.Mkdir(dir, 0o700)
			for name, text := range map[string]string{filepath.Join(dir, "space.0"): strconv.Itoa(int(number)), segment: "memory"} {
				err = errors.Join(err, os.WriteFile(name, []byte(text), 0o600))
			}
			lock := filepath.Join(dir, "lock")
			if tt.lock != "none" {
				err = errors.Join(err, os.WriteFile(lock, []byte(tt.lock), 0o600))
			}
			if err != nil {
				t.Fatal(err)
			}
			if tt.held {
				hold(t, lock)
			}
			if tt.mapped {
				mapFile(t, segment)
			}
			if strings.Contains(tt.lock, "SWEEP") {
				startMarked(t, "SWEEP")
			}
			if code, err := tr.Run(t.Context()); code != 0 || err != nil {
				t.Errorf("exit code %d, %v", code, err)
			}
			if _, err := os.Stat(dir); os.IsNotExist(err) != tt.swept {
				t.Errorf("the folder: %v", err)
			}
			if _, err := os.Stat(segment); os.IsNotExist(err) != tt.memory {
				t.Errorf("the shared memory: %v", err)
			}
		})
	}
}

// hold locks a file as a launch that lives does.
func hold(t *testing.T, name string) {
	t.Helper()
	f, err := os.Open(name)
	if err == nil {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
}

// mapFile maps a file as a rank does.
func mapFile(t *testing.T, name string) {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	memory, err := syscall.Mmap(int(f.Fd()), 0, 1, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Munmap(memory) }) //nolint:errcheck // the test ends
}

// startMarked starts a process of the job.
func startMarked(t *testing.T, job string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sleep", "60")
	cmd.Env = append(os.Environ(), jobdir.JobVar+"="+job)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill() //nolint:errcheck // it runs
		cmd.Wait()         //nolint:errcheck // it was killed
	})
}

// A job's folder that cannot be used is said before anything is started.
func TestNoRoom(t *testing.T) {
	if err := reserve(t.TempDir(), 1<<60); err == nil {
		t.Error("a folder has room for 2^60 bytes")
	}
	tr := newTrial(t, "exit 0", "mpirun")
	t.Setenv("TMPDIR", filepath.Join(tr.temp, "nosuch"))
	tr.expect(t, ExitSetup, "TMPDIR names another place")
}

// A signal goes to the root alone, which ends as it likes. (Shells keep SIGINT from
// what they start in the background, as the stand-in does.)
func TestSignalToRoot(t *testing.T) {
	for s, code := range map[syscall.Signal]int{syscall.SIGTERM: 31, syscall.SIGUSR1: 32, syscall.SIGHUP: 33} {
		t.Run(s.String(), func(t *testing.T) {
			tr := newTrial(t, `[ $OMPI_COMM_WORLD_RANK = 0 ] || { trap 'echo worker' USR1; sleep 100 & wait; exit; }
trap 'exit 31' TERM; trap 'exit 32' USR1; trap 'exit 33' HUP; `+begin+"while :; do sleep 0.05; done", "mpirun")
			tr.Ranks = 2
			go func() {
				tr.await(t, "started")
				tr.signals <- s
			}()
			tr.expect(t, code, "")
			if tr.out.String() != "" {
				t.Errorf("a worker got the signal: %q", &tr.out)
			}
		})
	}
}

func TestSecondSignal(t *testing.T) {
	tr := newTrial(t, `trap 'echo once' TERM; `+begin+"while :; do sleep 0.05; done", "mpirun")
	go func() {
		tr.await(t, "started")
		tr.signals <- syscall.SIGTERM
		for end := time.Now().Add(soon); !strings.Contains(tr.out.String(), "once"); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Error("the first signal has not come")
				break
			}
		}
		tr.signals <- syscall.SIGTERM
	}()
	tr.expect(t, 143, "interrupted")
}

// Before the start there is nobody to ask: a signal ends the job, unless it only
// wants a report.
func TestSignalBeforeStart(t *testing.T) {
	tr := newTrial(t, "sleep 100", "mpirun")
	tr.signals <- syscall.SIGUSR2
	go func() {
		tr.await(t, "shell.0")
		tr.signals <- os.Interrupt
	}()
	tr.expect(t, 130, "interrupted")
}

// A root that would begin after such a signal learns of it.
func TestForestalled(t *testing.T) {
	t.Setenv("FAKE", "stuck")
	tr := newTrial(t, "trap '' TERM; : >$WASMPOOL_JOB_DIR/ready; while ! cat $WASMPOOL_JOB_DIR/stop 2>/dev/null; do sleep 0.05; done", "mpirun")
	go func() {
		tr.await(t, "ready")
		tr.signals <- os.Interrupt
	}()
	tr.expect(t, 130, "interrupted")
	if tr.out.String() != "2\n" {
		t.Errorf("the root reads %q, want the signal's number", &tr.out)
	}
}

// After a signal that comes first of all nothing is started.
func TestSignalFirst(t *testing.T) {
	tr := newTrial(t, "echo started", "mpirun")
	tr.signals <- syscall.SIGUSR2
	tr.signals <- syscall.SIGTERM
	tr.expect(t, 143, "interrupted")
	if tr.out.String() != "" {
		t.Errorf("a rank says %q", &tr.out)
	}
}

func TestContextEnds(t *testing.T) {
	tr := newTrial(t, begin+"sleep 100", "mpirun")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		tr.await(t, "started")
		cancel()
	}()
	if _, err := tr.Run(ctx); err == nil {
		t.Error("no error of a job whose context ended")
	}
	tr.nothingLeft(t)
}

// A launcher's SIGTERM ends neither the rank's shell nor the note of the code.
func TestGracefulEnd(t *testing.T) {
	tr := newTrial(t, `trap 'sleep 0.2; exit 7' TERM; `+begin+`kill -TERM $PPID; kill -TERM $$; while :; do sleep 0.05; done`, "mpirun")
	tr.expect(t, 7, "")
}
