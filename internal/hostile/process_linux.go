package hostile

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"
)

// tick is the unit of times in proc_pid_stat(5).
const tick = time.Second / 100

// cpuTime returns what a process has used.
func cpuTime(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	const userTime = 11 // of the fields behind the name
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	var user, system int64
	if len(fields) < userTime+2 {
		return 0, fmt.Errorf("/proc/%d/stat says %q", pid, text)
	}
	if _, err := fmt.Sscan(string(fields[userTime])+" "+string(fields[userTime+1]), &user, &system); err != nil {
		return 0, fmt.Errorf("/proc/%d/stat says %q: %w", pid, text, err)
	}
	return time.Duration(user+system) * tick, nil
}

// beginPeak makes the peak of a process's memory what it has now, in bytes, and returns
// that.
func beginPeak(pid int) (int64, error) {
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0); err != nil {
		return 0, err
	}
	return status(pid, "VmRSS:")
}

// peakMemory returns the most bytes that a process had since beginPeak.
func peakMemory(pid int) (int64, error) { return status(pid, "VmHWM:") }

// status returns a number of bytes of proc_pid_status(5).
func status(pid int, name string) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	_, after, _ := strings.Cut(string(text), name)
	var kib int64
	if _, err := fmt.Sscan(after, &kib); err != nil {
		return 0, fmt.Errorf("/proc/%d/status has no %s: %w", pid, name, err)
	}
	return kib << 10, nil
}

func makeFIFO(path string) error { return syscall.Mkfifo(path, 0o600) }
