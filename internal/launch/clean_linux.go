package launch

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// attributes give the launcher a process group of its own, so that signals from
// the keyboard come here first, and end it with this process.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}

func signalGroup(pid int, s syscall.Signal) {
	syscall.Kill(-pid, s) //nolint:errcheck // it has ended
}

// clean ends the processes of the job that are left on this host, and removes what
// they shared.
func (r *run) clean() {
	for end := time.Now().Add(afterTerm); time.Now().Before(end); time.Sleep(look) {
		left := r.processes()
		for _, pid := range left {
			syscall.Kill(pid, syscall.SIGKILL) //nolint:errcheck // it has ended
		}
		if len(left) == 0 {
			break
		}
	}
	// A process that was killed holds its memory for a moment longer.
	for end := time.Now().Add(afterKill); !r.removeMemory() && time.Now().Before(end); {
		time.Sleep(look)
	}
}

// afterKill is how long memory may still be in use after the last process was
// killed. Another job may use its own for longer.
const afterKill = time.Second

// removeMemory removes the shared memory that was made since the job began and
// that nobody uses. It reports whether that is all.
func (r *run) removeMemory() bool {
	all := true
	for name := range sharedMemory() {
		switch {
		case r.before[name]:
		case inUse(name):
			all = false
		default:
			os.Remove(name) //nolint:errcheck // it may be somebody else's
		}
	}
	return all
}

// processes lists those of this host that have the job's mark.
func (r *run) processes() []int {
	mark := []byte("WASMPOOL_JOB=" + r.id + "\x00")
	files, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		return nil
	}
	var list []int
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil || !bytes.Contains(text, mark) {
			continue
		}
		pid, err := strconv.Atoi(strings.Split(name, "/")[2])
		if err == nil && pid != os.Getpid() && !isZombie(pid) {
			list = append(list, pid)
		}
	}
	return list
}

func isZombie(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	_, rest, _ := bytes.Cut(text, []byte(") "))
	return bytes.HasPrefix(rest, []byte("Z"))
}

// sharedMemory lists the files through which Open MPI's ranks share memory.
func sharedMemory() map[string]bool {
	found := map[string]bool{}
	list, err := filepath.Glob("/dev/shm/vader_segment.*")
	if err != nil {
		return found
	}
	for _, name := range list {
		found[name] = true
	}
	return found
}

// inUse reports whether a process has the file mapped.
func inUse(name string) bool {
	maps, err := filepath.Glob("/proc/[0-9]*/maps")
	if err != nil {
		return true
	}
	for _, m := range maps {
		if text, err := os.ReadFile(m); err == nil && bytes.Contains(text, []byte(name)) {
			return true
		}
	}
	return false
}
