package launch

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/wasmpool/wasmpool/internal/jobdir"
)

// Launchers are the names for Job.Launcher, the first that fits being the default:
// Open MPI's is the one under which a job survives the death of a rank, in a Slurm
// allocation too.
var Launchers = []string{"openmpi", "srun", "mpich"}

// A launcher is a program that starts ranks.
type launcher struct {
	name string
	path string
}

// choose finds the launcher that was asked for, or the one that fits best.
func (j *Job) choose() (launcher, error) {
	switch j.Launcher {
	case "":
		for _, name := range Launchers {
			if l, ok := find(name); ok && l.fits() {
				return l, nil
			}
		}
		return launcher{}, errNoLauncher
	case "openmpi", "mpich", "srun":
		if l, ok := find(j.Launcher); ok {
			return l, nil
		}
		return launcher{}, fmt.Errorf("launch: there is no %s here: is it installed and in PATH?", j.Launcher)
	}
	return launcher{}, fmt.Errorf("launch: no launcher %q, there are: %s", j.Launcher, strings.Join(Launchers, ", "))
}

// inSlurm reports whether this process is in a Slurm allocation.
func inSlurm() bool { return os.Getenv("SLURM_JOB_ID") != "" }

// fits reports whether the launcher can start ranks where this process is: srun only
// in an allocation, and there Open MPI only if it was built to start its daemons so.
func (l launcher) fits() bool {
	switch l.name {
	case "srun":
		return inSlurm()
	case "openmpi":
		if !inSlurm() {
			return true
		}
		parts, err := ask(filepath.Join(filepath.Dir(l.path), "ompi_info"), "--parsable")
		return err != nil || strings.Contains(parts, "mca:plm:slurm:")
	}
	return true
}

// find looks for a launcher in PATH. What mpirun is, its version tells.
func find(name string) (launcher, bool) {
	programs, sign := []string{"srun"}, "slurm"
	switch name {
	case "openmpi":
		programs, sign = []string{"mpirun", "mpirun.openmpi"}, "Open MPI"
	case "mpich":
		programs, sign = []string{"mpiexec.mpich", "mpiexec.hydra", "mpiexec", "mpirun"}, "HYDRA"
	}
	for _, p := range programs {
		path, err := exec.LookPath(p)
		if err != nil {
			continue
		}
		if text, err := ask(path, "--version"); err == nil && strings.Contains(text, sign) {
			return launcher{name, path}, true
		}
	}
	return launcher{}, false
}

// ask returns what a launcher says to a flag.
func ask(path, flag string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, flag)
	runtime.LockOSThread() // as in run
	defer runtime.UnlockOSThread()
	cmd.SysProcAttr = attributes() // a signal from the keyboard is not an answer
	cmd.WaitDelay = drainDelay
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// folderName begins the names of jobs' folders.
const folderName = "wasmpool-"

// spread reports whether the ranks may be on other hosts than this.
func (j *Job) spread() bool { return len(j.Hosts) > 0 || inSlurm() }

// makeDir makes the job's folder where the root can write into it. On another host
// it shares the working folder, as a rule.
func (j *Job) makeDir() (string, error) {
	if j.spread() {
		if wd, err := os.Getwd(); err == nil {
			if dir, err := os.MkdirTemp(wd, "."+folderName); err == nil {
				return dir, nil
			}
		}
	}
	return os.MkdirTemp("", folderName)
}

// command returns the launcher's command line.
func (l launcher) command(j *Job, r *run, program string) *exec.Cmd {
	vars := append([]string{jobdir.JobVar + "=" + r.id, jobdir.DirVar + "=" + string(r.dir)}, j.Env...)
	var args []string
	switch l.name {
	case "openmpi":
		args = openMPI(j, string(r.dir))
		for _, v := range vars {
			name, _, _ := strings.Cut(v, "=")
			args = append(args, "-x", name)
		}
		if os.Getenv(interfacesVar) != "" {
			args = append(args, "-x", interfacesVar)
		}
	case "mpich":
		if j.Ranks > 0 {
			args = append(args, "-n", strconv.Itoa(j.Ranks))
		}
		if len(j.Hosts) > 0 {
			args = append(args, "-hosts", strings.Join(j.Hosts, ","))
		}
		args = append(args, "-genvall")
	case "srun":
		args = slurm(j, l.path)
	}
	args = append(append(args, j.Flags...), jobdir.ShellCommand(program, j.Args)...)
	cmd := exec.Command(l.path, args...) //nolint:noctx // run ends it step by step
	cmd.Env = append(os.Environ(), vars...)
	return cmd
}

// slurm returns srun's flags.
func slurm(j *Job, srun string) []string {
	args := []string{"--kill-on-bad-exit=0", "--export=ALL", "--input=0"} // standard input is rank 0's
	if hasPMIx(srun) {
		args = append(args, "--mpi=pmix")
	}
	if j.Ranks > 0 {
		args = append(args, "-n", strconv.Itoa(j.Ranks))
	}
	if len(j.Hosts) > 0 {
		var names []string // how many ranks each takes, the allocation says
		for _, h := range j.Hosts {
			name, _, _ := strings.Cut(h, ":")
			names = append(names, name)
		}
		args = append(args, "-w", strings.Join(names, ","))
	}
	return args
}

// hasPMIx reports whether srun can start Open MPI's ranks.
func hasPMIx(srun string) bool {
	text, err := ask(srun, "--mpi=list")
	return err == nil && slices.Contains(strings.Fields(text), "pmix")
}

// openMPI returns the flags with which a job survives the death of a rank, on as
// many ranks as are asked for.
func openMPI(j *Job, dir string) []string {
	args := []string{"--enable-recovery", "--bind-to", "none"}
	if os.Geteuid() == 0 {
		args = append(args, "--allow-run-as-root")
	}
	if j.Ranks > 0 {
		args = append(args, "-n", strconv.Itoa(j.Ranks))
	}
	if !j.spread() {
		// Sessions of killed jobs would stay in the system's folder.
		args = append(args, "--mca", "orte_tmpdir_base", dir)
		if j.Ranks > runtime.NumCPU() {
			return append(args, "--oversubscribe")
		}
		return append(args, "--use-hwthread-cpus") // as Go counts CPUs
	}
	if len(j.Hosts) > 0 { // how many CPUs other hosts have is not known here
		args = append(args, "--host", strings.Join(j.Hosts, ","), "--map-by", "node", "--oversubscribe")
	}
	// A link that is cut must be noticed on both sides, for the daemon behind it to
	// end its ranks.
	return append(args, "--mca", "oob_tcp_keepalive_time", "5", "--mca", "oob_tcp_keepalive_intvl", "2", "--mca", "oob_tcp_keepalive_probes", "4")
}
