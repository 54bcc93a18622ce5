package main

import (
	"io"
	"iter"
	"sync/atomic"
	"time"
)

// waits tells for how long somebody waits for something. One goroutine at a time waits, and pays a nanosecond or two for it;
// another looks now and then, and measures.
type waits struct {
	turns atomic.Uint64 // odd while somebody waits

	// Of who looks.
	seen  uint64
	since time.Time
}

// begin and end stand around what takes long.
func (w *waits) begin() { w.turns.Add(1) }
func (w *waits) end()   { w.turns.Add(1) }

// look returns for how long somebody waits: 0 when it was not the same wait at the look before.
func (w *waits) look(now time.Time) time.Duration {
	if n := w.turns.Load(); n != w.seen || n%2 == 0 {
		w.seen, w.since = n, now
		return 0
	}
	return now.Sub(w.since)
}

// input returns an input whose next item is what is waited for.
func (w *waits) input(items iter.Seq2[int64, item]) iter.Seq2[int64, item] {
	return func(yield func(int64, item) bool) {
		w.begin()
		for i, it := range items {
			w.end()
			if !yield(i, it) {
				return
			}
			w.begin()
		}
		w.end()
	}
}

// output returns a writer whose end of a write is what is waited for.
func (w *waits) output(to io.Writer) io.Writer { return waitedWriter{w, to} }

type waitedWriter struct {
	*waits
	to io.Writer
}

// Write implements [io.Writer].
func (w waitedWriter) Write(b []byte) (int, error) {
	w.begin()
	defer w.end()
	return w.to.Write(b)
}
