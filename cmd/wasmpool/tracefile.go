package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/monitor"
)

// A traceFile is the file of --trace while it is written. It can be opened at any time, also after a kill.
type traceFile struct {
	file *os.File
	end  func() error
}

// openTrace makes the file, and begins to write what happens in the pool.
func openTrace(ctx context.Context, ex *executor.Executor, name string, log *slog.Logger) (*traceFile, error) {
	file, err := os.Create(name)
	if err != nil {
		return nil, fmt.Errorf("--trace: %w", err)
	}
	end, err := monitor.NewTrace(file, 0, log).Start(context.WithoutCancel(ctx), ex) // until the pool has ended
	if err != nil {
		file.Close() //nolint:errcheck // the first error tells more
		return nil, fmt.Errorf("--trace: %w", err)
	}
	return &traceFile{file, end}, nil
}

// close waits until all was written; the pool has ended.
func (t *traceFile) close() error {
	if t == nil {
		return nil
	}
	err := t.end()
	if failed := t.file.Close(); err == nil {
		err = failed
	}
	if err != nil {
		return fmt.Errorf("writing the trace: %w", err)
	}
	return nil
}
