package executor

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/internal/lines"
	"github.com/wasmpool/wasmpool/internal/transport/mem"
	"github.com/wasmpool/wasmpool/internal/wire"
)

// A floodLog counts the lines of a log by what they say.
type floodLog struct {
	slog.Handler
	mu    sync.Mutex
	said  map[string]int
	words string // of the last note
	long  int    // the longest line
}

func (c *floodLog) Enabled(context.Context, slog.Level) bool { return true }

func (c *floodLog) Handle(_ context.Context, line slog.Record) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	kind := "other"
	if strings.HasPrefix(line.Message, "flood") {
		kind = "flood"
	} else if strings.Contains(line.Message, "left out") {
		kind, c.words = "note", line.Message
	}
	c.said[kind]++
	c.long = max(c.long, len(line.Message))
	return nil
}

// TestLogFlood checks that of a worker which sends more lines than its own limiter would let
// pass the root writes so many and no more, says so, and goes on.
func TestLogFlood(t *testing.T) {
	t.Parallel()
	fabric := mem.New(2)
	log := &floodLog{Handler: slog.DiscardHandler, said: map[string]int{}}
	ex := openRoot(t, fabric, Config{Logger: slog.New(log)})
	ctx, stop := context.WithTimeout(t.Context(), 2*time.Minute)
	defer stop()
	w := &dawdler{t: t, ep: fabric.Endpoint(1)}
	send(t, w.ep, hello(t))
	f := ex.Submit(ctx, "echo", []byte("hello"))
	w.until("a call", func() bool { return len(w.calls) == 1 })
	send(t, w.ep, logLine(t, "flood"+strings.Repeat("!", 5*lines.MostText)))
	line := logLine(t, "flood")
	most := lines.PerRank(2)
	flood, began := 20*most, time.Now()
	for range flood {
		send(t, w.ep, line)
	}
	send(t, w.ep, results(w.calls[0], wire.Result{Data: []byte("hello")}))
	if out, err := f.Result(ctx); err != nil || string(out) != "hello" {
		t.Errorf("the call gave %q, %v", out, err)
	}
	fabric.Kill(1)
	if err := ex.Shutdown(ctx); err != nil {
		t.Log(err) // nobody is left
	}
	allowed := (lines.Patience + 1 + int(time.Since(began)/lines.Every)) * (most + most/100)
	if n := log.said["flood"]; n < lines.Patience*most || n > allowed || n >= flood {
		t.Errorf("%d of %d lines were written, want at most %d", n, flood, allowed)
	}
	if n := log.said["note"]; n == 0 || n > 100 || !strings.Contains(log.words, "the rank logged") {
		t.Errorf("it was said %d times that lines were left out, as %q", n, log.words)
	}
	if log.long > lines.MostText {
		t.Errorf("a line of %d bytes was written, want at most %d", log.long, lines.MostText)
	}
}

func logLine(t *testing.T, text string) []byte {
	t.Helper()
	f, err := wire.Control(wire.TypeLog, wire.LogLine{Text: text})
	if err != nil {
		t.Fatal(err)
	}
	return f
}
