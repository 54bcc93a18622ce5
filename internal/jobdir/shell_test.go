//go:build unix

package jobdir_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/wasmpool/wasmpool/internal/jobdir"
)

// TestShell runs programs as ranks and reads the notes of the shells around them.
func TestShell(t *testing.T) {
	t.Parallel()
	dir := jobdir.Dir(t.TempDir())
	for _, tc := range []struct {
		name, program string
		env           []string // how the launcher tells the rank
		rank, code    int
	}{
		{"Open MPI", `exit 0`, []string{"OMPI_COMM_WORLD_RANK=0", "PMIX_RANK=9", "PMIX_NAMESPACE=1234"}, 0, 0},
		{"MPICH", `exit 42`, []string{"PMI_RANK=1"}, 1, 42},
		{"Slurm", `kill -TERM $PPID; exit 7`, []string{"SLURM_PROCID=2"}, 2, 7},
		{"PMIx", `kill -KILL $$`, []string{"PMIX_RANK=3"}, 3, 137},
	} {
		out, pid, code := runRank(t, tc.program, append(tc.env, jobdir.DirVar+"="+string(dir)))
		if out != "" || code != tc.code {
			t.Errorf("%s: the rank says %q and exits with %d, want %d", tc.name, out, code, tc.code)
		}
		if got, found := dir.ReadShell(tc.rank); !found || got != pid {
			t.Errorf("%s: the shell is process %d, %t, want %d", tc.name, got, found, pid)
		}
		if got, found := dir.ReadExit(tc.rank); !found || got.Code != tc.code || got.Rank != tc.rank {
			t.Errorf("%s: the exit is %+v, %t, want code %d of rank %d", tc.name, got, found, tc.code, tc.rank)
		}
	}
	if got := len(dir.ReadExits()); got != 4 {
		t.Errorf("%d ranks have ended, want 4", got)
	}
	if got := dir.ReadSpaces(); !slices.Equal(got, []string{"1234", "", "", ""}) {
		t.Errorf("the names in Open MPI are %q", got)
	}
}

// TestShellElsewhere runs a rank on a host where the folder is not.
func TestShellElsewhere(t *testing.T) {
	t.Parallel()
	dir := jobdir.Dir(filepath.Join(t.TempDir(), "elsewhere"))
	out, _, code := runRank(t, `echo "$1"; exit 3`, []string{jobdir.DirVar + "=" + string(dir)}, "an argument")
	if out != "an argument\n" || code != 3 {
		t.Errorf("the rank says %q and exits with %d", out, code)
	}
}

// runRank runs a shell script within [jobdir.Shell] and returns what it says, the process of
// the shell around it, and its exit code.
func runRank(t *testing.T, script string, env []string, args ...string) (out string, pid, code int) {
	t.Helper()
	line := jobdir.ShellCommand("/bin/sh", append([]string{"-c", script, "sh"}, args...))
	cmd := exec.CommandContext(t.Context(), line[0], line[1:]...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH")}, env...)
	var text bytes.Buffer
	cmd.Stdout, cmd.Stderr = &text, &text
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait() //nolint:errcheck // its state says it
	return text.String(), cmd.Process.Pid, cmd.ProcessState.ExitCode()
}

// TestShellNames checks that the script, which cannot use the constants, has their names.
func TestShellNames(t *testing.T) {
	t.Parallel()
	if n := strings.Count(jobdir.Shell, "$"+jobdir.DirVar+"/"); n != 3 {
		t.Errorf("the script names the folder %s times, want 3", strconv.Itoa(n))
	}
}
