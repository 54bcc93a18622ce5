//go:build !linux

package launch

import (
	"errors"
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

// claim, sweep and reserve do nothing either.
func (r *run) claim() (*os.File, error) { return nil, errors.ErrUnsupported }

func sweep() {}

func reserve(string, int64) error { return nil }

func isStopped(int) bool { return false }

func (r *run) marked(int) bool { return false }
