package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/wasmpool/wasmpool/internal/plain"
)

// taskLogs is the folder of --logs: it keeps what tasks print and log, in a file for each input that has the
// input's number, or the call's where that is not known. Lines come from the pool's log, which knows their calls. They are
// written on a goroutine of its own: the pool does not wait for a disk.
type taskLogs struct {
	dir    string
	inputs *callInputs
	say    io.Writer
	lines  chan taskLine
	done   chan struct{} // closed when all was written; nil before open

	mu      sync.Mutex
	closed  bool
	dropped int64 // lines that came faster than they could be written

	// Of the goroutine that writes.
	seen  map[string]bool // files of this run
	bytes int64
	left  int64 // lines for which there was no room
	err   error // why nothing more is written
}

// A taskLine is what a call has printed or logged.
type taskLine struct {
	call uint64
	text string
}

// Bounds of a folder of logs.
const (
	mostLogFiles = 100_000
	mostLogBytes = 1 << 30
	mostLogQueue = 8192 // lines that wait to be written
)

func newTaskLogs(dir string, inputs *callInputs, say io.Writer) *taskLogs {
	return &taskLogs{dir: dir, inputs: inputs, say: say, lines: make(chan taskLine, mostLogQueue), seen: map[string]bool{}}
}

// open makes the folder, and begins to write. On nil it does nothing.
func (l *taskLogs) open() error {
	if l == nil {
		return nil
	}
	err := os.MkdirAll(l.dir, 0o777)
	if err == nil {
		var probe *os.File
		if probe, err = os.CreateTemp(l.dir, ".wasmpool-*"); err == nil {
			probe.Close()           //nolint:errcheck // it is empty
			os.Remove(probe.Name()) //nolint:errcheck // likewise
		}
	}
	if err != nil {
		return fmt.Errorf("--logs: %w", err)
	}
	l.done = make(chan struct{})
	go func() {
		defer close(l.done)
		for line := range l.lines {
			l.write(line)
		}
	}()
	return nil
}

// add takes a line. It does not block.
func (l *taskLogs) add(line taskLine) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	select {
	case l.lines <- line:
	default:
		l.dropped++
	}
}

// write appends a line to the file of its input. A file of an earlier run is overwritten.
func (l *taskLogs) write(line taskLine) {
	if l.err != nil {
		return
	}
	name := "call-" + strconv.FormatUint(line.call, 10) + ".log"
	if input, known := l.inputs.find(line.call); known {
		name = strconv.FormatInt(input, 10) + ".log"
	}
	text := line.text + "\n"
	if l.bytes+int64(len(text)) > mostLogBytes || !l.seen[name] && len(l.seen) == mostLogFiles {
		if l.left++; l.left == 1 {
			fmt.Fprintf(l.say, "wasmpool: --logs %s: %d files and %d MiB is as much as there is room for: further lines are left out\n", plain.Line(l.dir), mostLogFiles, mostLogBytes>>20)
		}
		return
	}
	how := os.O_APPEND
	if !l.seen[name] {
		how = os.O_TRUNC
	}
	l.seen[name] = true
	l.bytes += int64(len(text))
	file, err := os.OpenFile(filepath.Join(l.dir, name), os.O_WRONLY|os.O_CREATE|how, 0o644)
	if err == nil {
		_, err = file.WriteString(text)
		if failed := file.Close(); err == nil {
			err = failed
		}
	}
	l.err = err
}

// close waits until all was written. On nil, or one that was not opened, it does nothing.
func (l *taskLogs) close() error {
	if l == nil || l.done == nil {
		return nil
	}
	l.mu.Lock()
	l.closed = true
	close(l.lines)
	l.mu.Unlock()
	<-l.done
	if n := l.dropped + l.left; n > 0 {
		fmt.Fprintf(l.say, "wasmpool: --logs %s: lines left out: %d\n", plain.Line(l.dir), n)
	}
	if l.err != nil {
		return fmt.Errorf("--logs: %w", l.err)
	}
	return nil
}

// A taskLogHandler hands lines of tasks to taskLogs, and the others on.
type taskLogHandler struct {
	slog.Handler
	logs *taskLogs
	also bool // lines of tasks go on, too
}

// Enabled implements [slog.Handler]: lines of tasks are kept at all levels.
func (h taskLogHandler) Enabled(context.Context, slog.Level) bool { return true }

// Handle implements [slog.Handler].
func (h taskLogHandler) Handle(ctx context.Context, r slog.Record) error {
	if call, ofTask := callOf(r); ofTask {
		h.logs.add(taskLine{call, strings.TrimSuffix(r.Message, "\n")})
		if !h.also {
			return nil
		}
	}
	if !h.Handler.Enabled(ctx, r.Level) {
		return nil
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements [slog.Handler].
func (h taskLogHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	h.Handler = h.Handler.WithAttrs(attrs)
	return h
}

// WithGroup implements [slog.Handler].
func (h taskLogHandler) WithGroup(name string) slog.Handler {
	h.Handler = h.Handler.WithGroup(name)
	return h
}

// callOf returns the number of the call that has printed or logged a line. The pool's own lines about a call say
// which attempt it was.
func callOf(r slog.Record) (call uint64, ofTask bool) {
	rank, attempt := false, false
	r.Attrs(func(a slog.Attr) bool {
		switch {
		case a.Key == "call" && a.Value.Kind() == slog.KindUint64:
			call = a.Value.Uint64()
		case a.Key == "rank":
			rank = true
		case a.Key == "attempt":
			attempt = true
		}
		return true
	})
	return call, call > 0 && rank && !attempt
}
