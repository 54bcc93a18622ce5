package executor

import (
	"log/slog"
	"os"
	"syscall"
	"time"

	"github.com/wasmpool/wasmpool/internal/jobdir"
)

// begin tells wasmpool launch that the ranks have found each other, and returns an error
// if the job was interrupted before. rank is this process's rank of the launcher, and
// patience for how long its workers bear its silence, where 0 is for ever.
func begin(log *slog.Logger, rank int, patience time.Duration) error {
	dir, launched := jobdir.Current()
	if !launched {
		return nil
	}
	host, err := os.Hostname()
	if err == nil {
		err = dir.WriteStart(jobdir.Start{PID: os.Getpid(), Rank: rank, Host: host, Patience: patience})
	}
	if err != nil {
		log.Warn("wasmpool launch cannot be told that the job has begun", "error", err)
	}
	if s, ok := dir.ReadStop(); ok {
		return &SignalError{s}
	}
	return nil
}

// toldToStop returns the signal that wasmpool launch got, which it notes before it
// hands it on.
func toldToStop() (syscall.Signal, bool) {
	dir, launched := jobdir.Current()
	if !launched {
		return 0, false
	}
	return dir.ReadStop()
}
