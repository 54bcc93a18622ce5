//go:build !linux

package launch

import (
	"os"
	"syscall"
)

func attributes() *syscall.SysProcAttr { return nil }

func signalGroup(pid int, s syscall.Signal) {
	if p, err := os.FindProcess(pid); err == nil {
		p.Signal(s) //nolint:errcheck // it has ended
	}
}

// clean does nothing: only Linux tells which processes belong to a job.
func (r *run) clean() {}

func isStopped(int) bool { return false }

func (r *run) marked(int) bool { return false }
