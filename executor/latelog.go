package executor

import (
	"context"
	"log/slog"
)

// A lateLog keeps what the loop says while a caller is at the helm: to write it may take
// time, or a lock that the caller holds.
type lateLog struct {
	slog.Handler
	loop *loop
}

// Handle implements [slog.Handler].
func (h lateLog) Handle(ctx context.Context, line slog.Record) error {
	if h.loop.visited {
		h.loop.lines = append(h.loop.lines, line.Clone())
		return nil
	}
	return h.Handler.Handle(ctx, line)
}

// write writes what was kept. The loop's goroutine calls it.
func (l *loop) write() {
	for _, line := range l.lines {
		l.log.Handler().Handle(context.Background(), line) //nolint:errcheck // as in package slog
	}
	l.lines = nil
}
