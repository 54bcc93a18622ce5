package dispatcher

import (
	"context"
	"log/slog"
)

// A lateLog is the loop's log. While a caller runs the loop it keeps the lines: to write one
// may take time, or a lock that the caller holds. It belongs to the loop.
type lateLog struct {
	slog.Handler
	hold  bool          // a caller runs the loop
	lines []slog.Record // those that were kept
}

// Handle implements [slog.Handler].
func (h *lateLog) Handle(ctx context.Context, line slog.Record) error {
	if h.hold {
		h.lines = append(h.lines, line.Clone())
		return nil
	}
	return h.Handler.Handle(ctx, line)
}

// has reports whether lines were kept.
func (h *lateLog) has() bool { return len(h.lines) > 0 }

// write writes what was kept.
func (h *lateLog) write() {
	for _, line := range h.lines {
		h.Handler.Handle(context.Background(), line) //nolint:errcheck // as in package slog
	}
	h.lines = nil
}
