//go:build unix

package launch

import (
	"os"
	"os/signal"
	"syscall"
)

// Signals returns those that a job's root may want to have. SIGHUP is none of them
// in a process that ignores it, as under nohup.
func Signals() []os.Signal {
	list := []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGUSR1, syscall.SIGUSR2}
	if !signal.Ignored(syscall.SIGHUP) {
		list = append(list, syscall.SIGHUP)
	}
	return list
}

// ReportSignals returns those that only ask the root for a report.
func ReportSignals() []os.Signal { return []os.Signal{syscall.SIGUSR2} }

// isReport reports whether a signal only asks the root for a report.
func isReport(s os.Signal) bool { return s == syscall.SIGUSR2 }

// forwarded is the signal to end that launchers hand on to all ranks as it is.
const forwarded = syscall.SIGUSR1
