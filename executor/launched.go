package executor

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// jobDirVar names the folder in which wasmpool launch follows the job.
const jobDirVar = "WASMPOOL_JOB_DIR"

// begin tells wasmpool launch that the job begins, and returns an error if it was
// interrupted before. Of the two each writes before it reads, so that one of them
// knows of the other.
func begin(log *slog.Logger, rank int, patience time.Duration) error {
	sayStarted(log, rank, patience)
	if s, ok := toldToStop(); ok {
		return &SignalError{s}
	}
	return nil
}

// toldToStop returns the signal that wasmpool launch got, which it notes before it
// hands it on.
func toldToStop() (syscall.Signal, bool) {
	dir := os.Getenv(jobDirVar)
	if dir == "" {
		return 0, false
	}
	text, err := os.ReadFile(filepath.Join(dir, "stop"))
	if err != nil {
		return 0, false
	}
	number, err := strconv.Atoi(strings.TrimSpace(string(text)))
	return syscall.Signal(number), err == nil
}

// sayStarted tells wasmpool launch that the ranks have found each other, and who
// the root is: its process, the launcher's rank and its host; and for how long its
// workers bear its silence, where 0 is for ever.
func sayStarted(log *slog.Logger, rank int, patience time.Duration) {
	dir := os.Getenv(jobDirVar)
	if dir == "" {
		return
	}
	host, err := os.Hostname()
	if err == nil {
		part := filepath.Join(dir, "started.part")
		err = os.WriteFile(part, fmt.Appendf(nil, "%d %d %s %d\n", os.Getpid(), rank, host, patience.Milliseconds()), 0o600)
		if err == nil {
			err = os.Rename(part, filepath.Join(dir, "started"))
		}
	}
	if err != nil {
		log.Warn("wasmpool launch cannot be told that the job has begun", "error", err)
	}
}
