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
	text, err := os.ReadFile(filepath.Join(os.Getenv(jobDirVar), "stop"))
	if os.Getenv(jobDirVar) == "" || err != nil {
		return nil //nolint:nilerr // nobody wants it to stop
	}
	number, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return fmt.Errorf("executor: what wasmpool launch says: %w", err)
	}
	return &SignalError{syscall.Signal(number)}
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
