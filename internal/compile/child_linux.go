package compile

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// dieWithParent makes the child end when its parent does, and not before: a keyboard or a
// launcher sends its signals to a whole process group, and only the parent answers them.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}

// ownGroup keeps signals for this process's group from a child that outlasts one call.
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// apply bounds what this process may use from now on. When its time is over the
// process says so; should it not come to that, the system kills it a second later.
func (l childLimit) apply() error {
	over := make(chan os.Signal, 1)
	signal.Notify(over, unix.SIGXCPU)
	go func() {
		<-over
		os.Exit(childTooSlow)
	}()
	data := dataInUse() + l.memory
	return errors.Join(
		unix.Setrlimit(unix.RLIMIT_DATA, &unix.Rlimit{Cur: data, Max: data}),
		unix.Setrlimit(unix.RLIMIT_CPU, &unix.Rlimit{Cur: l.cpu, Max: l.cpu + 1}),
		unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}),
	)
}

// dataInUse returns the bytes of writable memory that the process has mapped, by
// proc(5): the part of the limit that is used up, however little is touched.
func dataInUse() uint64 {
	const label = "VmData:"
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, label); ok {
			var kib uint64
			fmt.Sscan(value, &kib) //nolint:errcheck // 0 then
			return kib << 10
		}
	}
	return 0
}

// killed reports whether the process was ended by a signal that no program can
// refuse, and whether that was for its CPU time.
func (l childLimit) killed(end *os.ProcessState) (killed, outOfTime bool) {
	status, ok := end.Sys().(syscall.WaitStatus)
	if !ok || !status.Signaled() || status.Signal() != syscall.SIGXCPU && status.Signal() != syscall.SIGKILL {
		return false, false
	}
	// The system looks at the clock now and then only, and counts otherwise than in
	// what it says at the end.
	limit := time.Duration(l.cpu) * time.Second
	used := end.UserTime() + end.SystemTime()
	return true, used+limit/10 >= limit
}
