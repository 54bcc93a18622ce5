package compile

import (
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"
)

// forgetPeak makes the peak of this process's resident memory what it has now, see
// proc_pid_clear_refs(5). A child starts with its parent's peak, so that of each
// child is then at most too high by what the test itself holds.
func forgetPeak(t *testing.T) {
	t.Helper()
	debug.FreeOSMemory()
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		t.Fatal(err)
	}
}

// peakMemory returns the most bytes that this process had resident since
// forgetPeak.
func peakMemory(t *testing.T) int64 {
	t.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	var kib int64
	_, after, _ := strings.Cut(string(text), "VmHWM:")
	if _, err := fmt.Sscan(after, &kib); err != nil {
		t.Fatal(err)
	}
	return kib << 10
}

// peakOf returns the most bytes that a process had resident that has ended.
func peakOf(end *os.ProcessState) int64 {
	return end.SysUsage().(*syscall.Rusage).Maxrss << 10
}
