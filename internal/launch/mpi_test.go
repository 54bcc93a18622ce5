//go:build mpi && linux

package launch

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/internal/jobdir"
	"github.com/wasmpool/wasmpool/internal/mpitest"
)

// TestOnRanks runs jobs under a real mpirun, by the command, as the environment of each is its own.
func TestOnRanks(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("mpirun"); err != nil {
		t.Fatalf("mpirun is missing: run make deps: %v", err)
	}
	source, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	r := ranks{program: mpitest.Build(t, "./testdata/job"), wasmpool: mpitest.Build(t, "../../cmd/wasmpool"), source: source, guest: filepath.Join(source, "cmd/wasmpool/testdata/tasks")}
	for _, tt := range []struct {
		name string
		test func(*testing.T)
	}{
		{"root on another host", r.testFarRoot}, // the longest first
		{"signals at the start", r.testEarlySignals},
		{"command killed", r.testCommandKilled},
		{"signals", r.testSignals},
		{"start that never comes", r.testHang},
		{"signal under nohup", r.testNohup},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.test(t)
		})
	}
	for _, tt := range []struct {
		name    string
		n       int
		flags   string
		code    int
		message string
		out     string
	}{
		{"healthy", 4, "", 0, "", "100 results\nafter\n"},
		{"one rank", 1, "", 0, "", "100 results\nafter\n"},
		{"exit code 1", 3, "-exit 1", 1, "", "100 results\nafter\n"},
		{"exit code 42", 3, "-exit 42", 42, "", "100 results\nafter\n"},
		{"usage error", 3, "-nosuch", 2, "", ""},
		{"another root", 3, "-root 1 -exit 5", 5, "", "100 results\nafter\n"},
		{"worker killed", 4, "-kill worker", 0, "", "100 results\nafter\n"},
		{"root killed", 4, "-kill root", ExitKilled, "the root was killed", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r.run(t, tt.n, tt.flags, tt.code, tt.message, tt.out)
		})
	}
}

// TestMPICH runs jobs under MPICH's mpiexec, which ends all ranks with the first
// that dies.
func TestMPICH(t *testing.T) {
	t.Parallel()
	source, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "job")
	cmd := exec.CommandContext(t.Context(), filepath.Join(source, "scripts/mpich"), "go", "build", "-tags", "mpi", "-o", program, "./testdata/job")
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Fatalf("%v\n%s", err, out)
	}
	r := ranks{program: program, wasmpool: mpitest.Build(t, "../../cmd/wasmpool"), source: source, guest: filepath.Join(source, "cmd/wasmpool/testdata/tasks"), launcher: "mpich"}
	for _, tt := range []struct {
		name  string
		flags string
		code  int
		out   string
	}{
		{"healthy", "", 0, "100 results\nafter\n"},
		{"exit code 42", "-exit 42", 42, "100 results\nafter\n"},
		{"another root", "-root 1 -exit 5", 5, "100 results\nafter\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r.run(t, 4, tt.flags, tt.code, "", tt.out)
		})
	}
	for _, who := range []string{"root", "worker"} {
		t.Run(who+" killed", func(t *testing.T) {
			t.Parallel()
			r.trial(t, 4, "-calls 3000 -kill "+who).expect(t, ExitKilled, "the root was killed")
		})
	}
}

// ranks is the program of the jobs, the command, the project's folder, the tasks' in it, and
// the launcher if it is not the default.
type ranks struct{ program, wasmpool, source, guest, launcher string }

// A rankTrial is a job under test that the command starts, on real ranks.
type rankTrial struct {
	trial
	wasmpool string
	flags    []string // of launch
	job      []string // the program and its arguments
	env      []string
}

// trial makes a job of so many ranks.
func (r ranks) trial(t *testing.T, n int, flags string) *rankTrial {
	t.Helper()
	hangups(t)
	mark := fmt.Sprint(t.Name(), os.Getpid()) // the test may run twice at once
	tr := &rankTrial{
		trial: trial{mark: "LAUNCH_TEST=" + mark, temp: t.TempDir()}, wasmpool: r.wasmpool,
		flags: []string{"-n", fmt.Sprint(n), "--timeout-start", "30s"},
		job:   append([]string{r.program, "-guest", r.guest}, strings.Fields(flags)...),
	}
	if r.launcher != "" {
		tr.flags = append(tr.flags, "--launcher", r.launcher)
	}
	tr.env = append(os.Environ(), tr.mark, "TMPDIR="+tr.temp, "SLURM_JOB_ID=", "OMPI_MCA_btl_tcp_if_include=lo", "OMPI_MCA_oob_tcp_if_include=lo")
	return tr
}

// expect runs the job and checks its exit code, what the command itself says, and that nothing is left of it.
func (tr *rankTrial) expect(t *testing.T, code int, message string) time.Duration {
	t.Helper()
	start := time.Now()
	cmd := tr.start(t, &tr.out)
	cmd.Wait() //nolint:errcheck // the code tells
	took := time.Since(start)
	said := ""
	for line := range strings.Lines(tr.err.String()) {
		if strings.HasPrefix(line, "wasmpool: ") {
			said += line
		}
	}
	if got := cmd.ProcessState.ExitCode(); got != code || (said == "") != (message == "") || !strings.Contains(said, message) {
		t.Errorf("exit code %d, %q, want %d and %q\n%s", got, said, code, message, &tr.err)
	}
	tr.nothingLeft(t)
	return took
}

// start starts the job, with the command behind words.
func (tr *rankTrial) start(t *testing.T, stdout io.Writer, words ...string) *exec.Cmd {
	t.Helper()
	words = append(append(append(append(words, tr.wasmpool, "launch"), tr.flags...), "--"), tr.job...)
	cmd := exec.CommandContext(t.Context(), words[0], words[1:]...)
	cmd.Stdout, cmd.Stderr, cmd.Env = stdout, &tr.err, tr.env
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	bound := time.AfterFunc(80*time.Second, func() { cmd.Process.Kill() }) //nolint:errcheck // it may have ended
	t.Cleanup(func() { bound.Stop() })
	return cmd
}

// lines is start for tests that follow what the job prints.
func (tr *rankTrial) lines(t *testing.T, words ...string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { read.Close() })
	cmd := tr.start(t, write, words...)
	if err := write.Close(); err != nil {
		t.Fatal(err)
	}
	return cmd, bufio.NewScanner(read)
}

func (r ranks) run(t *testing.T, n int, flags string, code int, message, out string) {
	t.Helper()
	tr := r.trial(t, n, flags)
	took := tr.expect(t, code, message)
	if tr.out.String() != out {
		t.Errorf("standard output %q, want %q\n%s", &tr.out, out, &tr.err)
	}
	if end := "exit status 137 (signal: killed)"; flags == "-kill worker" && !strings.Contains(tr.err.String(), end) {
		t.Errorf("nothing says %q:\n%s", end, &tr.err)
	}
	for _, word := range []string{"PMIX ERROR", "mpirun noticed", "Killed"} {
		if strings.Contains(tr.err.String(), word) {
			t.Errorf("standard error has the launcher's noise:\n%s", &tr.err)
		}
	}
	t.Logf("took %v", took.Round(time.Millisecond))
}

// memory lists the files through which the job under way shares memory: others
// may have theirs beside them.
func (tr *rankTrial) memory(t *testing.T) []string {
	t.Helper()
	dirs, err := filepath.Glob(filepath.Join(tr.temp, "wasmpool-*"))
	if err != nil || len(dirs) != 1 {
		t.Fatalf("folders of the job: %v, %v", dirs, err)
	}
	list := (&run{dir: jobdir.Dir(dirs[0])}).sharedMemory()
	if len(list) == 0 {
		t.Error("the job has no shared memory: does Open MPI give it another name?")
	}
	return list
}

func (r ranks) testHang(t *testing.T) {
	tr := r.trial(t, 3, "-hang")
	tr.flags = append(tr.flags, "--timeout-start", "1s")
	if took := tr.expect(t, ExitSetup, "had not found each other after 1s"); took > soon {
		t.Errorf("it took %v", took)
	}
}

// A signal to the command reaches the root, which ends in order.
func (r ranks) testSignals(t *testing.T) {
	for s, code := range map[syscall.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 143, syscall.SIGUSR1: 138, syscall.SIGHUP: 129} {
		t.Run(s.String(), func(t *testing.T) {
			t.Parallel()
			tr := r.trial(t, 3, "-wait")
			cmd, lines := tr.lines(t)
			if !lines.Scan() || lines.Text() != "waiting" {
				t.Fatalf("the job says %q\n%s", lines.Text(), &tr.err)
			}
			memory := tr.memory(t)
			cmd.Process.Signal(s) //nolint:errcheck // what follows would show it
			if !lines.Scan() || lines.Text() != "told" {
				t.Errorf("the root says %q after the signal", lines.Text())
			}
			for lines.Scan() { // until the end
			}
			cmd.Wait() //nolint:errcheck // the code tells
			if got := cmd.ProcessState.ExitCode(); got != code {
				t.Errorf("exit code %d, want %d\n%s", got, code, &tr.err)
			}
			tr.nothingLeft(t)
			for _, name := range memory {
				if _, err := os.Stat(name); !os.IsNotExist(err) {
					t.Errorf("%s is left: %v", name, err)
				}
			}
		})
	}
}

// A signal reaches a root on another host, too: launch is on one host of a Slurm
// cluster, the ranks are on two others.
func (r ranks) testFarRoot(t *testing.T) {
	hangups(t)
	dir := t.TempDir() // where the jobs' folders are
	scripts := filepath.Join(r.source, "scripts")
	cmd := exec.CommandContext(t.Context(), filepath.Join(scripts, "netns"), filepath.Join(scripts, "slurm"), "-n", "4",
		filepath.Join(r.source, "internal/launch/testdata/signals"), r.wasmpool, r.program, r.guest)
	cmd.Dir = dir
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "OMPI_MCA_") }) // on this host only
	var log strings.Builder
	cmd.Stderr = &log
	out, err := cmd.Output()
	want := "openmpi INT 130 1\nopenmpi HUP 129 1\nsrun INT 130 1\nsrun HUP 129 1\n"
	if err != nil || string(out) != want {
		t.Errorf("%v\n%swant\n%s\n%s", err, out, want, &log)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("files %v are left, %v", left, err)
	}
}

// A signal in the first moments ends the job before it begins, or in order.
func (r ranks) testEarlySignals(t *testing.T) {
	for delay := 100 * time.Millisecond; delay <= 450*time.Millisecond; delay += 50 * time.Millisecond {
		tr := r.trial(t, 3, "-wait")
		cmd, lines := tr.lines(t)
		time.Sleep(delay)
		cmd.Process.Signal(syscall.SIGINT) //nolint:errcheck // what follows would show it
		said := ""
		for lines.Scan() {
			said += lines.Text() + " "
		}
		cmd.Wait() //nolint:errcheck // the code tells
		got := cmd.ProcessState.ExitCode()
		if s, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && s.Signaled() { // it came before the command listened
			got = 128 + int(s.Signal())
		}
		if got != 130 || said != "" && said != "waiting told " {
			t.Errorf("after %v: exit code %d, output %q, want 130, and no beginning or an end\n%s", delay, got, said, &tr.err)
		}
		tr.nothingLeft(t)
	}
}

// Under nohup a dropped terminal is nothing to the job.
func (r ranks) testNohup(t *testing.T) {
	tr := r.trial(t, 3, "-wait")
	cmd, lines := tr.lines(t, "nohup")
	if !lines.Scan() || lines.Text() != "waiting" {
		t.Fatalf("the job says %q\n%s", lines.Text(), &tr.err)
	}
	for _, s := range []syscall.Signal{syscall.SIGHUP, syscall.SIGTERM} {
		cmd.Process.Signal(s) //nolint:errcheck // what follows would show it
		time.Sleep(300 * time.Millisecond)
	}
	for lines.Scan() { // until the end
	}
	cmd.Wait() //nolint:errcheck // the code tells
	if got := cmd.ProcessState.ExitCode(); got != 143 {
		t.Errorf("exit code %d, want that of the second signal, 143\n%s", got, &tr.err)
	}
	tr.nothingLeft(t)
}

// When the command itself is killed, its ranks end too, and the next one removes what
// is left.
func (r ranks) testCommandKilled(t *testing.T) {
	tr := r.trial(t, 3, "-wait")
	cmd, lines := tr.lines(t)
	if !lines.Scan() || lines.Text() != "waiting" {
		t.Fatalf("the job says %q\n%s", lines.Text(), &tr.err)
	}
	memory := tr.memory(t)
	cmd.Process.Kill() //nolint:errcheck // what follows would show it
	for lines.Scan() { // until the last has let go of standard output
	}
	cmd.Wait() //nolint:errcheck // it was killed
	start := time.Now()
	for len(marked(t, tr.mark)) > 0 && time.Since(start) < 15*time.Second {
		time.Sleep(50 * time.Millisecond)
	}
	t.Logf("the last process ended %v after the command", time.Since(start).Round(time.Millisecond))
	if left := marked(t, tr.mark); len(left) > 0 {
		t.Errorf("processes %v are left", left)
	}
	tr.job = tr.job[:3] // without -wait
	tr.expect(t, 0, "") // it finds nothing of the first either
	for _, name := range memory {
		if _, err := os.Stat(name); !os.IsNotExist(err) {
			t.Errorf("%s is left by the next job, too: %v", name, err)
		}
	}
}
