//go:build !unix

package launch

import (
	"os"
	"syscall"
)

// Signals returns those that a job's root may want to have.
func Signals() []os.Signal { return []os.Signal{os.Interrupt, syscall.SIGTERM} }

// ReportSignals returns those that only ask the root for a report.
func ReportSignals() []os.Signal { return nil }

func isReport(os.Signal) bool { return false }

const forwarded = syscall.SIGTERM
