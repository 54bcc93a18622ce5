//go:build unix

package launch

import (
	"os"
	"syscall"
)

// Signals are those that a job's root may want to have.
var Signals = []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGUSR1, syscall.SIGUSR2}

// isReport reports whether a signal only asks the root for a report.
func isReport(s os.Signal) bool { return s == syscall.SIGUSR2 }
