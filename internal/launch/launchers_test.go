//go:build linux

package launch

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLaunchers(t *testing.T) {
	for _, tt := range []struct {
		name       string
		launchers  []string // in PATH
		slurm      string
		interfaces string
		job        Job
		want       []string // of these the command line consists, among others
		not        string
		message    string
	}{
		{
			name: "Open MPI", launchers: []string{"mpirun", "mpiexec", "srun"}, job: Job{Ranks: 100},
			want: []string{"--enable-recovery", "--bind-to none", "-n 100", "--oversubscribe", "--mca orte_tmpdir_base ", "-x WASMPOOL_JOB ", "-x WASMPOOL_JOB_DIR"},
			not:  interfacesVar,
		},
		{name: "an interface", launchers: []string{"mpirun"}, job: Job{Ranks: 1}, interfaces: "ib0", want: []string{"-x " + interfacesVar}},
		{name: "variables", launchers: []string{"mpirun"}, job: Job{Env: []string{"A=1", "B="}}, want: []string{"-x A ", "-x B "}},
		{name: "few ranks", launchers: []string{"mpirun"}, job: Job{Ranks: 1}, want: []string{"-n 1 "}, not: "--oversubscribe"},
		{name: "hosts", launchers: []string{"mpirun"}, job: Job{Ranks: 4, Hosts: []string{"a", "b:3"}}, want: []string{"--host a,b:3", "oob_tcp_keepalive_time 5"}},
		{name: "a flag", launchers: []string{"mpirun"}, job: Job{Flags: []string{"--nice"}}, want: []string{" --nice /bin/sh"}, not: " -n "},
		{
			name: "Slurm", launchers: []string{"mpirun", "srun"}, slurm: "7", job: Job{Ranks: 100},
			want: []string{"--enable-recovery", "-n 100", "oob_tcp_keepalive_time 5"}, not: "--oversubscribe",
		},
		{
			name: "Slurm with an Open MPI that does not know it", launchers: []string{"mpirun", "ompi_info", "srun"}, slurm: "7", job: Job{Ranks: 2},
			want: []string{"--kill-on-bad-exit=0", "--mpi=pmix", "--input=0", "-n 2"},
		},
		{name: "Slurm alone", launchers: []string{"srun"}, slurm: "7", want: []string{"--mpi=pmix"}},
		{name: "no allocation", launchers: []string{"srun"}, message: "install Open MPI"},
		{name: "hosts in Slurm", launchers: []string{"mpirun", "srun"}, job: Job{Launcher: "srun", Hosts: []string{"a:2", "b"}}, want: []string{"-w a,b "}},
		{name: "Slurm without srun", launchers: []string{"mpirun"}, slurm: "7", want: []string{"--enable-recovery"}},
		{name: "MPICH", launchers: []string{"mpiexec"}, job: Job{Ranks: 2, Hosts: []string{"a"}}, want: []string{"-n 2", "-hosts a", "-genvall"}},
		{name: "MPICH beside Open MPI", launchers: []string{"mpirun", "mpiexec"}, job: Job{Launcher: "mpich"}, want: []string{"-genvall"}},
		{name: "no host", launchers: []string{"mpirun"}, job: Job{Hosts: []string{"a", ":3"}}, message: `":3" is no host`},
		{name: "ranks that are none", launchers: []string{"mpirun"}, job: Job{Hosts: []string{"a:x"}}, message: `"a:x" is no host`},
		{name: "no ranks", launchers: []string{"mpirun"}, job: Job{Hosts: []string{"a:0"}}, message: `"a:0" is no host`},
		{name: "none", message: "install Open MPI"},
		{name: "not there", launchers: []string{"mpirun"}, job: Job{Launcher: "srun"}, message: "there is no srun here"},
		{name: "unknown", launchers: []string{"mpirun"}, job: Job{Launcher: "ssh"}, message: "openmpi, srun, mpich"},
		{name: "no program", launchers: []string{"mpirun"}, job: Job{Program: "nosuch"}, message: "nosuch"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			said := filepath.Join(t.TempDir(), "args")
			t.Setenv("FAKE_ARGS", said)
			tr := newTrial(t, begin+"exit 0", tt.launchers...)
			t.Chdir(tr.temp) // where a folder under Slurm is made
			t.Setenv("SLURM_JOB_ID", tt.slurm)
			t.Setenv(interfacesVar, tt.interfaces)
			tr.Ranks, tr.Hosts, tr.Launcher, tr.Flags, tr.Env = tt.job.Ranks, tt.job.Hosts, tt.job.Launcher, tt.job.Flags, tt.job.Env
			if tt.job.Program != "" {
				tr.Program = tt.job.Program
			}
			if tt.message != "" {
				tr.expect(t, ExitSetup, tt.message)
				return
			}
			tr.expect(t, 0, "")
			text, err := os.ReadFile(said)
			if err != nil {
				t.Fatal(err)
			}
			flags, _, _ := strings.Cut(string(text), "rank=")
			for _, want := range tt.want {
				if !strings.Contains(flags, want) {
					t.Errorf("flags %q, want %q", flags, want)
				}
			}
			if tt.not != "" && strings.Contains(flags, tt.not) {
				t.Errorf("flags %q, want no %q", flags, tt.not)
			}
		})
	}
}
