//go:build unix

package executor

import (
	"os"
	"os/signal"
	"syscall"
)

// reportSignals ask for a report.
var reportSignals = []os.Signal{syscall.SIGUSR2}

// stopSignals are those that end a job in order: from the keyboard, from a launcher
// or an administrator, from a batch system before its time is up, and from a
// terminal that is gone, but not under nohup.
func stopSignals() []os.Signal {
	list := []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGUSR1}
	if !signal.Ignored(syscall.SIGHUP) {
		list = append(list, syscall.SIGHUP)
	}
	return list
}

// isHangup reports whether a signal says that the terminal is gone. Several may say
// it for one reason, so that none ends all at once.
func isHangup(s os.Signal) bool { return s == syscall.SIGHUP }

// inMyGroup reports whether a process is in this one's process group.
func inMyGroup(pid int) bool {
	group, err := syscall.Getpgid(pid)
	return err == nil && group == syscall.Getpgrp()
}

func isReport(s os.Signal) bool { return s == syscall.SIGUSR2 }
