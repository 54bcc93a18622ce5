package executor

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"

	"github.com/wasmpool/wasmpool/internal/transport/mpi"
)

// A launcher is what the environment says about how this process was started.
type launcher struct {
	present bool
	name    string
	rank    int
	size    int // 0 when unknown
}

// launcherVars are the variables by which launchers tell a process its place,
// the most specific first. FACTS: Open MPI's mpirun sets the first, MPICH's and
// Slurm's pmi2 the second, srun the third (for every step, of one task too; the
// size is the step's, as a batch script is rank 0 of SLURM_NTASKS too).
var launcherVars = []struct{ name, rank, size string }{
	{"mpirun (Open MPI)", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"},
	{"mpiexec (PMI)", "PMI_RANK", "PMI_SIZE"},
	{"srun", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS"},
	{"a PMIx launcher", "PMIX_RANK", ""},
}

// detectLauncher reads the environment. A program that was started as several
// ranks but has no MPI is an error.
func detectLauncher() (launcher, error) {
	l := readLauncher(os.Getenv)
	if l.present && !mpi.Built {
		if l.size == 1 {
			return launcher{}, nil
		}
		count := "several processes"
		if l.size > 1 {
			count = fmt.Sprintf("%d processes", l.size)
		}
		return l, fmt.Errorf("%w: %s started %s of a program that was built without MPI: rebuild it with -tags mpi, or start it alone", ErrLaunch, l.name, count)
	}
	return l, nil
}

// LaunchRank returns the rank that a launcher gave this process, if one did. It
// is known before MPI starts, and to a program without MPI, so that of many ranks
// with the same complaint one can speak.
func LaunchRank() (rank int, launched bool) {
	l := readLauncher(os.Getenv)
	return l.rank, l.present
}

func readLauncher(getenv func(string) string) launcher {
	for _, v := range launcherVars {
		rank, err := strconv.Atoi(getenv(v.rank))
		if err != nil {
			continue
		}
		size, err := strconv.Atoi(getenv(v.size))
		if err != nil {
			size = 0
		}
		if v.name == "srun" && (size <= 1 || inShell(getenv)) {
			break // a batch script, a step of one task or a shell, not a parallel start
		}
		return launcher{present: true, name: v.name, rank: rank, size: size}
	}
	return launcher{}
}

// inShell reports whether this process was started by hand, in a shell that is the first task of
// srun --pty: what it starts has the task's environment, but a process group of its own.
func inShell(getenv func(string) string) bool {
	task, err := strconv.Atoi(getenv("SLURM_TASK_PID"))
	return err == nil && getenv("SLURM_PTY_PORT") != "" && !inMyGroup(task)
}

// mayUse is how many CPUs this process may use by the time: those that it may run on, or what its
// control group's quota, or the variable GOMAXPROCS, makes of them. It is read before a pool raises
// GOMAXPROCS.
var mayUse = runtime.GOMAXPROCS(0)

// ownCPUs returns how many CPUs a worker rank has for itself: what GOMAXPROCS in its environment
// says, those that it was bound to, or, when it may use all of the node's, its share of them.
func ownCPUs(workersOnNode int) int {
	own, err := strconv.Atoi(os.Getenv("GOMAXPROCS"))
	if err == nil && own > 0 || runtime.NumCPU() < onlineCPUs() {
		return mayUse
	}
	return max(1, mayUse/max(workersOnNode, 1))
}

// onlineCPUs returns the node's CPUs, or what this process may use where that
// cannot be told.
func onlineCPUs() int {
	text, err := os.ReadFile("/sys/devices/system/cpu/online")
	if err != nil {
		return runtime.NumCPU()
	}
	n := 0
	for part := range strings.SplitSeq(strings.TrimSpace(string(text)), ",") {
		first, last, isRange := strings.Cut(part, "-")
		a, errA := strconv.Atoi(first)
		b := a
		var errB error
		if isRange {
			b, errB = strconv.Atoi(last)
		}
		if errA != nil || errB != nil || b < a {
			return runtime.NumCPU()
		}
		n += b - a + 1
	}
	return n
}
