package launch

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/wasmpool/wasmpool/internal/jobdir"
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
	for _, name := range r.sharedMemory() {
		os.Remove(name) //nolint:errcheck // nobody else has a use for it
	}
}

// sharedMemory lists the files through which the job's ranks shared memory on this
// host. FACTS: Open MPI 4 calls them vader_segment.HOST.UID.JOB.RANK, with the job
// in hexadecimal, and tells the ranks its number as their PMIx namespace.
func (r *run) sharedMemory() []string {
	var list []string
	for _, space := range r.dir.ReadSpaces() {
		job, err := strconv.ParseUint(space, 10, 32)
		if err != nil {
			continue // no Open MPI
		}
		found, err := filepath.Glob(fmt.Sprintf("/dev/shm/vader_segment.*.%d.%x.*", os.Getuid(), job))
		if err == nil {
			list = append(list, found...)
		}
	}
	return list
}

// processes lists those of this host that have the job's mark.
func (r *run) processes() []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var list []int
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil && pid != os.Getpid() && r.marked(pid) {
			list = append(list, pid)
		}
	}
	return list
}

// isStopped reports whether a process was stopped, by SIGSTOP or a debugger.
func isStopped(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	state := text[bytes.LastIndexByte(text, ')')+1:] // a name may have blanks
	return bytes.HasPrefix(state, []byte(" T ")) || bytes.HasPrefix(state, []byte(" t "))
}

// marked reports whether a process is there and has the job's mark. One that has
// ended and was not waited for has no environment any more.
func (r *run) marked(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	return err == nil && bytes.Contains(append([]byte{0}, text...), []byte("\x00"+jobdir.JobVar+"="+r.id+"\x00"))
}
