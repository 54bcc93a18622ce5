//go:build unix

package mpitest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/internal/unittest"
)

// Build compiles the main package at pkg (an import path or a relative folder)
// with the build tag mpi and returns the program's path.
func Build(t testing.TB, pkg string) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "prog")
	run(t, "go", "build", "-tags", "mpi", "-o", bin, pkg)
	return bin
}

// Tests returns the path of the program that runs this test, for ranks that do something
// else: its TestMain looks at the environment.
func Tests(t testing.TB) string {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return program
}

// BuildTest compiles the tests of the package in the working folder anew, with the
// build tag mpi and further flags, and returns the program's path.
func BuildTest(t testing.TB, flags ...string) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "tests")
	words := append([]string{"test", "-c", "-tags", "mpi", "-o", bin}, flags...)
	run(t, "go", append(words, ".")...)
	return bin
}

// Again runs tests of the package in the working folder again, in their short form, as
// the programs of each of so many ranks: those that call one of the functions, which
// gives them the ranks' pool. The package's TestMain does the rest when InnerRun is set:
// the tests run on the root.
func Again(t *testing.T, ranks []int, functions ...string) {
	t.Helper()
	tests := unittest.Callers(t, functions...)
	bin := Tests(t)
	for _, n := range ranks {
		t.Run(fmt.Sprintf("ranks=%d", n), func(t *testing.T) {
			cmd := Command(t.Context(), t, n, bin, "-test.short", "-test.timeout=120s", "-test.run="+tests)
			cmd.Env = append(cmd.Environ(), InnerRun+"=1")
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			t.Logf("%s", out)
		})
	}
}

func run(t testing.TB, name string, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

// Command returns a command that runs a program on so many ranks of this
// machine. It is given a process group of its own, which is killed when ctx or
// the test ends. Its temporary files go where the test's do.
func Command(ctx context.Context, t testing.TB, ranks int, program string, args ...string) *exec.Cmd {
	t.Helper()
	return CommandFlags(ctx, t, ranks, nil, program, args...)
}

// CommandFlags is Command with further flags for mpirun.
func CommandFlags(ctx context.Context, t testing.TB, ranks int, flags []string, program string, args ...string) *exec.Cmd {
	t.Helper()
	mpirun, err := exec.LookPath("mpirun")
	if err != nil {
		t.Fatalf("mpirun is missing: run make deps: %v", err)
	}
	list := append([]string{"-n", fmt.Sprint(ranks)}, flags...)
	list = append(append(list, program), args...)
	cmd := exec.CommandContext(ctx, mpirun, list...)
	cmd.Env = append(os.Environ(), environment...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 10 * time.Second
	before := segments(t)
	t.Cleanup(func() {
		if cmd.Process != nil {
			syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) //nolint:errcheck // it has ended, as a rule
		}
		removeNew(before, segments(t))
	})
	return cmd
}

// environment makes Open MPI run as root, with more ranks than cores, unbound,
// over loopback.
var environment = []string{
	"OMPI_ALLOW_RUN_AS_ROOT=1",
	"OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1",
	"OMPI_MCA_rmaps_base_oversubscribe=1",
	"OMPI_MCA_hwloc_base_binding_policy=none",
	"OMPI_MCA_btl_tcp_if_include=lo",
	"OMPI_MCA_oob_tcp_if_include=lo",
}

// segments lists the shared-memory files that killed ranks leave behind.
func segments(t testing.TB) map[string]bool {
	t.Helper()
	list, err := filepath.Glob("/dev/shm/vader_segment.*")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, name := range list {
		found[name] = true
	}
	return found
}

// removeNew removes the segments of processes that have ended.
func removeNew(before, after map[string]bool) {
	for name := range after {
		if !before[name] && !inUse(name) {
			os.Remove(name) //nolint:errcheck // another test may have been faster
		}
	}
}

// inUse reports whether a process has the file mapped.
func inUse(name string) bool {
	maps, err := filepath.Glob("/proc/[0-9]*/maps")
	if err != nil {
		return true
	}
	for _, m := range maps {
		if text, err := os.ReadFile(m); err == nil && strings.Contains(string(text), name) {
			return true
		}
	}
	return false
}
