//go:build !unix

package executor

import (
	"os"
	"syscall"
)

var (
	stopSignals   = []os.Signal{os.Interrupt, syscall.SIGTERM}
	reportSignals []os.Signal
)

func isReport(os.Signal) bool { return false }
