//go:build unix

package executor

import (
	"os"
	"syscall"
)

var (
	// stopSignals are those that end a job in order: from the keyboard, from a
	// launcher or an administrator, and from a batch system before its time is up.
	stopSignals = []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGUSR1}

	// reportSignals ask for a report.
	reportSignals = []os.Signal{syscall.SIGUSR2}
)

func isReport(s os.Signal) bool { return s == syscall.SIGUSR2 }
