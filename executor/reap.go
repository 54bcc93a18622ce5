package executor

import (
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/wasmpool/wasmpool/internal/dispatcher"
)

// jobVars are the variables by which the processes of one job know each other.
var jobVars = []string{"PMIX_NAMESPACE", "PMI_JOBID", "SLURM_JOB_ID", "SLURM_STEP_ID"}

// lost does with the process of a lost worker what can be done. It runs on the loop.
func (p *pool) lost(l *dispatcher.Loop, w dispatcher.Lost) {
	if !reap(w, l.Log()) {
		p.ends.watch(w)
	}
}

// reap ends the process of a lost worker of this node, if it is still there: one
// that hangs would keep the launcher from ending, and one that was cut off holds
// memory and CPUs. A process that is not surely of this job is left alone; on
// other nodes a worker that still runs finds its lifeline cut and leaves. It reports
// whether it ended one.
func reap(w dispatcher.Lost, log *slog.Logger) bool {
	if w.PID <= 0 || w.PID == os.Getpid() || !sameJob(w.PID) {
		return false
	}
	if !nodeIsMine(w) {
		return false
	}
	p, err := os.FindProcess(w.PID)
	if err == nil {
		err = p.Kill()
	}
	if err != nil {
		log.Debug("ending a lost worker", "rank", w.Rank, "pid", w.PID, "error", err)
	}
	return err == nil
}

// nodeIsMine reports whether the worker was on this node.
func nodeIsMine(w dispatcher.Lost) bool {
	name, err := os.Hostname()
	return err == nil && name == w.Host
}

// sameJob reports whether a process of this node is another rank of this job.
func sameJob(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		return false
	}
	theirs := map[string]string{}
	for v := range strings.SplitSeq(string(text), "\x00") {
		name, value, _ := strings.Cut(v, "=")
		theirs[name] = value
	}
	known := false
	for _, name := range jobVars {
		if mine := os.Getenv(name); mine != "" {
			if theirs[name] != mine {
				return false
			}
			known = true
		}
	}
	me, them := readLauncher(os.Getenv), readLauncher(func(name string) string { return theirs[name] })
	return known && them.present && them.name == me.name && them.rank != me.rank
}
