//go:build !unix

package executor

import (
	"os"
	"syscall"
)

var reportSignals []os.Signal

func stopSignals() []os.Signal { return []os.Signal{os.Interrupt, syscall.SIGTERM} }

func isHangup(os.Signal) bool { return false }

func inMyGroup(int) bool { return true }

func isReport(os.Signal) bool { return false }
