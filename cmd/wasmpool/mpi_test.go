//go:build mpi

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wasmpool/wasmpool/internal/mpitest"
)

// A result is what a program left behind.
type result struct {
	code           int
	stdout, stderr string
}

func runCmd(t *testing.T, cmd *exec.Cmd) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		t.Fatalf("%v: %v\n%s", cmd, err, &stderr)
	}
	return result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// said returns the lines on standard error that are the command's, not mpirun's.
func (r result) said() []string {
	var lines []string
	for line := range strings.Lines(r.stderr) {
		if strings.HasPrefix(line, "wasmpool: ") && !progressLine.MatchString(line) {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

// ranks is the command built with MPI.
type ranks struct{ program string }

func (r ranks) run(t *testing.T, n int, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	return runCmd(t, mpitest.Command(ctx, t, n, r.program, args...))
}

// userCommand returns a command as its user starts it, without a launcher. The ranks that it starts are to find
// each other over loopback.
func userCommand(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "OMPI_MCA_btl_tcp_if_include=lo", "OMPI_MCA_oob_tcp_if_include=lo")
	return cmd
}

func TestOnRanks(t *testing.T) {
	t.Parallel()
	r := ranks{mpitest.Build(t, ".")}
	for _, tt := range []struct {
		name string
		test func(*testing.T)
	}{
		{"map", r.testMap},
		{"run", r.testRun},
		{"failures", r.testFailures},
		{"setup errors", r.testSetupErrors},
		{"launch", r.testLaunch},
		{"output lost", r.testOutputLost},
		{"input of a script", r.testScriptInput},
		{"progress", r.testProgress},
		{"interpreters", r.testInterpreters},
		{"interpreter killed", r.testInterpreterKilled},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.test(t)
		})
	}
}

// The command starts its own ranks, and passes on input, result and exit code.
func (r ranks) testLaunch(t *testing.T) {
	for _, tt := range []struct {
		args, stdin, stdout string
		code                int
	}{
		{"run testdata/tasks square --ranks 3 --arg 12", "", "144", 0},
		{"run testdata/tasks echo --arg --ranks=5 --ranks 2", "", "--ranks=5", 0},
		{"run testdata/tasks square --ranks=3", "5", "25", 0},
		{"run testdata/tasks temper --ranks 2 --arg error", "", "", exitCallFailed},
		{"run testdata/tasks nosuch --ranks 2", "", "", exitSetup},
		{"launch -n 2 -- " + r.program + " run testdata/tasks square --ranks 2 --arg 3", "", "", exitSetup},
		{"launch -n 3 -- " + r.program + " map testdata/tasks square --lines -", "3\n4\n", `{"i":0,"ok":true,"out":9}` + "\n" + `{"i":1,"ok":true,"out":16}` + "\n", 0},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		cmd := userCommand(ctx, r.program, strings.Fields(tt.args)...)
		cmd.Stdin = strings.NewReader(tt.stdin)
		got := runCmd(t, cmd)
		cancel()
		got.stdout = whose.ReplaceAllString(got.stdout, "")
		if got.code != tt.code || got.stdout != tt.stdout {
			t.Errorf("%s: %+v, want exit code %d and %q", tt.args, got, tt.code, tt.stdout)
		}
		if want := min(tt.code, 1); tt.code != 0 && len(got.said()) != want {
			t.Errorf("%s says %q, want one line", tt.args, got.said())
		}
	}
}

// Ranks leave a script's standard input alone when they do not read it.
func (r ranks) testScriptInput(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := userCommand(ctx, "sh", "-c", `while read n; do "$0" run --ranks 2 testdata/tasks square --arg $n; echo; done`, r.program)
	cmd.Stdin = strings.NewReader("1\n2\n3\n")
	if got := runCmd(t, cmd); got.code != 0 || got.stdout != "1\n4\n9\n" {
		t.Errorf("a loop over three lines: %+v, want three squares", got)
	}
}

// The terminal of --ranks shows how far the root has come, below whole lines, and nothing of it
// is left at the end. SIGUSR2 asks for a line.
func (r ranks) testProgress(t *testing.T) {
	lines := filepath.Join(t.TempDir(), "lines")
	if err := os.WriteFile(lines, []byte("40\n41\nnone\n100000000\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tty, written := openTerminal(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out := filepath.Join(t.TempDir(), "out")
	cmd := userCommand(ctx, r.program, "map", "testdata/tasks", "spin", "--lines", lines, "--out", out, "--unordered", "--ranks", "2", "--slots", "2", "--timeout", "5s")
	cmd.Stderr = tty
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if text, _ := os.ReadFile(out); bytes.Count(text, []byte("\n")) >= 3 {
			break
		}
		if time.Now().After(end) {
			t.Error("three results have not come in half a minute")
			break
		}
	}
	if err := cmd.Process.Signal(syscall.SIGUSR2); err != nil {
		t.Error(err)
	}
	cmd.Wait() //nolint:errcheck // the exit code says it
	text := written()
	if got := cmd.ProcessState.ExitCode(); got != exitCallFailed {
		t.Errorf("exit code %d, want %d", got, exitCallFailed)
	}
	for _, want := range []string{"\r\x1b[K[===============>    ] 3 of 4 done, 1 failed, ", "\r\x1b[Kwasmpool: after "} {
		if !strings.Contains(text, want) {
			t.Errorf("the terminal shows %q, want %q", text, want)
		}
	}
	if _, last, found := strings.Cut(text, "\r\x1b[Kwasmpool: 4 calls, 2 ok, 2 failed"); !found || strings.Contains(last, "\x1b") || strings.Contains(text, "footer") {
		t.Errorf("the terminal shows %q, want the summary in place of what was there", text)
	}
}

// Results that cannot be written to standard output are no success on ranks either: mpirun would
// say nothing.
func (r ranks) testOutputLost(t *testing.T) {
	lines := filepath.Join(t.TempDir(), "lines")
	if err := os.WriteFile(lines, bytes.Repeat([]byte("12\n"), 20_000), 0o600); err != nil {
		t.Fatal(err)
	}
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	unread, closed, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	unread.Close()
	defer closed.Close()
	for _, tt := range []struct {
		name string
		to   *os.File
		code int
		says string
	}{
		{"full", full, exitSetup, "handing on what the ranks print: write /dev/stdout: no space left on device"},
		{"closed", closed, 128 + int(syscall.SIGPIPE), ""},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		cmd := userCommand(ctx, r.program, "map", "testdata/tasks", "square", "--lines", lines, "--ranks", "2")
		var stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = tt.to, &stderr
		cmd.Run() //nolint:errcheck // the exit code says it
		cancel()
		if got := cmd.ProcessState.ExitCode(); got != tt.code || !strings.Contains(stderr.String(), tt.says) {
			t.Errorf("%s: exit code %d, want %d and %q\n%s", tt.name, got, tt.code, tt.says, &stderr)
		}
	}
	got := r.run(t, 2, "map", "testdata/tasks", "square", "--lines", lines)
	if got.code != 0 || !slices.ContainsFunc(got.said(), func(line string) bool { return strings.Contains(line, "pass through the launcher") }) {
		t.Errorf("under mpirun alone: exit code %d, and it says %q", got.code, got.said())
	}
}

// local runs the command in this process.
func local(t *testing.T, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	a := &app{in: strings.NewReader(""), out: &stdout, err: &stderr}
	code := a.execute(t.Context(), args)
	return result{code, stdout.String(), stderr.String()}
}

// The results are the same on ranks as in one process, and all ranks work.
func (r ranks) testMap(t *testing.T) {
	dir := t.TempDir()
	for i := range 40 {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%03d.txt", i)), fmt.Appendf(nil, "%d", 40+i%7), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	files := filepath.Join(dir, "*.txt")
	mpiOut, localOut := filepath.Join(dir, "a.jsonl"), filepath.Join(dir, "b.jsonl")
	onRanks := r.run(t, 4, "map", "testdata/tasks", "spin", "--files", files, "--out", mpiOut, "--slots", "1", "--reduce", "echo")
	alone := local(t, "map", "testdata/tasks", "spin", "--files", files, "--out", localOut, "--reduce", "echo")
	if onRanks.code != 0 || alone.code != 0 {
		t.Fatalf("exit codes %d and %d, want 0:\n%s\n%s", onRanks.code, alone.code, onRanks.stderr, alone.stderr)
	}
	if diff := cmp.Diff(whose.ReplaceAllString(readFile(t, localOut), ""), whose.ReplaceAllString(readFile(t, mpiOut), "")); diff != "" {
		t.Errorf("results of ranks (-local +ranks):\n%s", diff)
	}
	if onRanks.stdout != alone.stdout || !strings.HasPrefix(alone.stdout, "[40,41,42,") {
		t.Errorf("reduced on ranks %q, alone %q", onRanks.stdout, alone.stdout)
	}
	said := onRanks.said()
	if len(said) != 1 {
		t.Fatalf("%d lines by the command, want its summary:\n%s", len(said), onRanks.stderr)
	}
	_, shares, _ := strings.Cut(strings.TrimSuffix(said[0], "; reduced 40 results"), "; ")
	total := 0
	for i, share := range strings.Split(shares, ", ") {
		var rank, calls int
		if _, err := fmt.Sscanf(share, "rank %d: %d", &rank, &calls); err != nil || rank != i+1 || calls == 0 {
			t.Errorf("share %d of the summary is %q, want calls of rank %d", i, share, i+1)
		}
		total += calls
	}
	if total != 41 { // with that of --reduce
		t.Errorf("the ranks ran %d calls, want 41: %s", total, said[0])
	}
}

// The result is printed once, and it is the workers who work.
func (r ranks) testRun(t *testing.T) {
	for _, n := range []int{1, 2, 3} {
		if got := r.run(t, n, "run", "testdata/tasks", "square", "--arg", "12"); got.code != 0 || got.stdout != "144" || len(got.said()) > 0 {
			t.Errorf("%d ranks: %+v, want 144 once", n, got)
		}
	}
	for _, n := range []int{2, 3} {
		if got := r.run(t, n, "run", "testdata/tasks", "where"); got.code != 0 || got.stdout == "0" {
			t.Errorf("%d ranks: %+v, want that a worker rank ran it", n, got)
		}
	}
	if got := r.run(t, 2, "version"); got.code != 0 || strings.Count(got.stdout, "MPI") < 1 || strings.Count(got.stdout, "wasmpool ") != 1 {
		t.Errorf("version on 2 ranks: %+v, want it once", got)
	}
}

// A call that fails fails alone, at whatever stage, and the exit code tells.
func (r ranks) testFailures(t *testing.T) {
	tempers := filepath.Join(t.TempDir(), "tempers.txt")
	if err := os.WriteFile(tempers, []byte("calm\nerror\npanic\ntrap\n12\n-3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"map", "testdata/tasks", "temper", "--then", "square", "--lines", tempers}
	onRanks, alone := r.run(t, 3, args...), local(t, args...)
	if onRanks.code != exitCallFailed || alone.code != exitCallFailed {
		t.Errorf("exit codes %d and %d, want %d", onRanks.code, alone.code, exitCallFailed)
	}
	if diff := cmp.Diff(whose.ReplaceAllString(alone.stdout, ""), whose.ReplaceAllString(onRanks.stdout, "")); diff != "" || strings.Count(alone.stdout, `"ok":true`) != 2 {
		t.Errorf("results of ranks (-local +ranks):\n%s", diff)
	}
}

// Errors are told once, whether all ranks see them or only the root does, and
// nothing hangs.
func (r ranks) testSetupErrors(t *testing.T) {
	tests := []struct {
		ranks      int
		args, want string
	}{
		{3, "map testdata/tasks square --nonsense", "unknown flag: --nonsense"},
		{3, "run testdata/tasks nosuch", `unknown task "nosuch"`},
		{3, "run nosuch.wasm square", "no such file"},
		{3, "map testdata/tasks square --lines nosuch", "open nosuch"},
		{3, "map testdata/tasks square --files main.go --out nosuch/out", "open nosuch/out"},
		{1, "run testdata/tasks square --arg 3 --confine", "--confine is for worker ranks, and this job has one rank"},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			t.Parallel()
			got := r.run(t, tt.ranks, strings.Fields(tt.args)...)
			if said := got.said(); got.code != exitSetup || len(said) != 1 || !strings.Contains(said[0], tt.want) {
				t.Errorf("exit code %d, stderr:\n%s\nwant %d and one line with %q", got.code, got.stderr, exitSetup, tt.want)
			}
		})
	}
}

// The build without MPI refuses to be several copies.
func TestBuildWithoutMPIOnRanks(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "wasmpool")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	got := runCmd(t, mpitest.Command(t.Context(), t, 3, program, "run", "testdata/tasks", "square", "--arg", "12"))
	if said := got.said(); got.code != exitSetup || got.stdout != "" || len(said) != 1 || !strings.Contains(said[0], "rebuild it with -tags mpi") {
		t.Errorf("%+v, want exit code %d and one line that says what to do", got, exitSetup)
	}
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
