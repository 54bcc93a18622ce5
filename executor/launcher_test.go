package executor

import (
	"os"
	"strconv"
	"testing"

	"github.com/wasmpool/wasmpool/host"
)

func TestReadLauncher(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		env  map[string]string
		want launcher
	}{
		{"alone", nil, launcher{}},
		{"Open MPI", map[string]string{"OMPI_COMM_WORLD_RANK": "2", "OMPI_COMM_WORLD_SIZE": "3", "PMIX_RANK": "2"}, launcher{true, "mpirun (Open MPI)", 2, 3}},
		{"MPICH", map[string]string{"PMI_RANK": "1", "PMI_SIZE": "4"}, launcher{true, "mpiexec (PMI)", 1, 4}},
		{"srun", map[string]string{"SLURM_PROCID": "5", "SLURM_NTASKS": "8", "SLURM_STEP_NUM_TASKS": "8", "PMIX_RANK": "5"}, launcher{true, "srun", 5, 8}},
		{"mpirun in a Slurm job", map[string]string{"SLURM_PROCID": "0", "SLURM_NTASKS": "1", "OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "2"}, launcher{true, "mpirun (Open MPI)", 1, 2}},
		{"a batch script", map[string]string{"SLURM_PROCID": "0", "SLURM_NTASKS": "8"}, launcher{}},
		{"a step of one task", map[string]string{"SLURM_PROCID": "0", "SLURM_NTASKS": "8", "SLURM_STEP_NUM_TASKS": "1", "PMIX_RANK": "0"}, launcher{}},
		{"a shell of srun --pty", map[string]string{"SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "8", "PMIX_RANK": "0", "SLURM_PTY_PORT": "1", "SLURM_TASK_PID": "1"}, launcher{}},
		{"srun --pty", map[string]string{"SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "8", "SLURM_PTY_PORT": "1", "SLURM_TASK_PID": strconv.Itoa(os.Getpid())}, launcher{true, "srun", 0, 8}},
		{"mpirun in a shell of srun --pty", map[string]string{"SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "8", "OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "2", "SLURM_PTY_PORT": "1", "SLURM_TASK_PID": "1"}, launcher{true, "mpirun (Open MPI)", 1, 2}},
		{"PMIx", map[string]string{"PMIX_RANK": "3"}, launcher{true, "a PMIx launcher", 3, 0}},
		{"nonsense", map[string]string{"PMI_RANK": "first"}, launcher{}},
	} {
		if got := readLauncher(func(name string) string { return tc.env[name] }); got != tc.want {
			t.Errorf("%s: %+v, want %+v", tc.name, got, tc.want)
		}
	}
}

func TestOwnCPUs(t *testing.T) {
	t.Setenv("GOMAXPROCS", "3") // each rank of a node has it
	defer func(n int) { mayUse = n }(mayUse)
	mayUse = 3
	if n := ownCPUs(100); n != 3 {
		t.Errorf("with GOMAXPROCS=3 one of many workers has %d CPUs", n)
	}
	t.Setenv("GOMAXPROCS", "")
	mayUse = 1 // as a container's quota has it
	if n := ownCPUs(1); n != 1 {
		t.Errorf("where the process may use one CPU it has %d", n)
	}
	if n := ownCPUs(1); n < 1 {
		t.Errorf("a worker alone on its node has %d CPUs", n)
	}
	if n := ownCPUs(1 << 20); n < 1 {
		t.Errorf("one of very many workers has %d CPUs", n)
	}
}

// A root lends its CPUs but one where no worker is on its node and guests may be in its process.
func TestLent(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name         string
		cfg          Config
		workers      int // on the node
		cpus, wanted int
	}{
		{"one rank per node", Config{}, 0, 32, 31},
		{"bound to a CPU", Config{}, 0, 1, 0},
		{"a worker beside", Config{}, 1, 32, 0},
		{"few slots a rank, as each call is large", Config{Slots: 2}, 0, 32, 2},
		{"more slots than CPUs", Config{Slots: 64}, 0, 32, 31},
		{"very many CPUs", Config{}, 0, 5000, MostSlots},
		{"confined", Config{Confine: true}, 0, 32, 0},
		{"guests that cannot be stopped", Config{Sandbox: host.Config{NoMeter: true}}, 0, 32, 0},
	} {
		if got := tt.cfg.lent(tt.workers, tt.cpus); got != tt.wanted {
			t.Errorf("%s: %d slots, want %d", tt.name, got, tt.wanted)
		}
	}
}
