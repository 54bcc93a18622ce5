//go:build !unix

package launch

import (
	"os"
	"syscall"
)

// Signals are those that a job's root may want to have.
var Signals = []os.Signal{os.Interrupt, syscall.SIGTERM}

func isReport(os.Signal) bool { return false }
