package main

import (
	"encoding/json"
	"errors"
	"io"
	"slices"
	"sync/atomic"
	"time"

	"github.com/wasmpool/wasmpool/internal/plain"
	"github.com/wasmpool/wasmpool/monitor"
)

// A progressMode says how progress is told. The zero one is auto.
type progressMode string

// The words of --progress.
const (
	progressAuto progressMode = "auto"
	progressJSON progressMode = "json"
	progressNone progressMode = "none"
)

// Set takes a word.
func (m *progressMode) Set(text string) error {
	if !slices.Contains([]progressMode{progressAuto, progressJSON, progressNone}, progressMode(text)) {
		return errors.New("want auto, json or none")
	}
	*m = progressMode(text)
	return nil
}

// String returns the word.
func (m *progressMode) String() string { return string(*m) }

// Type names the value in help.
func (m *progressMode) Type() string { return "word" }

// isAuto reports whether progress is for people.
func (m progressMode) isAuto() bool { return m == "" || m == progressAuto }

// A progressNote is a line of --progress json. docs/monitor.md has its members.
type progressNote struct {
	Seconds   float64  `json:"seconds"` // so far
	Done      int64    `json:"done"`
	Failed    int64    `json:"failed"` // of those
	Kept      int64    `json:"kept"`   // likewise, by an earlier run
	Total     *int64   `json:"total"`  // null where it is not known
	Rate      float64  `json:"rate"`   // a second, of late
	Left      *float64 `json:"left"`   // seconds, null where that is not known
	Compiling string   `json:"compiling,omitempty"`
	Ended     bool     `json:"ended,omitempty"` // it is the last one
}

// progressNote returns how a map stands.
func (s standing) progressNote() progressNote {
	l := progressNote{Seconds: thousandths(s.took.Seconds()), Done: s.done, Failed: s.failed, Kept: s.kept, Rate: thousandths(s.rate), Compiling: s.loading}
	if s.total >= s.done {
		l.Total = &s.total
		if s.rate > 0 || s.total == s.done {
			left := 0.0
			if s.total > s.done {
				left = thousandths(float64(s.total-s.done) / s.rate)
			}
			l.Left = &left
		}
	}
	return l
}

// thousandths rounds to three decimal places.
func thousandths(x float64) float64 { return float64(int64(x*1000+0.5)) / 1000 }

// write writes the line.
func (l progressNote) write(to io.Writer) {
	text, err := json.Marshal(l)
	if err != nil {
		return // there is no such value
	}
	to.Write(append(plain.AppendJSON(nil, text), '\n')) //nolint:errcheck // as for all messages
}

// jsonEvery is the time from one line of JSON to the next.
const jsonEvery = time.Second

// A lastStanding is how a map stood a moment ago. It is safe for concurrent use.
type lastStanding struct{ last atomic.Pointer[standing] }

// note takes in how it stands. On nil it does nothing.
func (l *lastStanding) note(s standing) {
	if l != nil {
		l.last.Store(&s)
	}
}

// get returns it; the total is not known while nobody has noted anything.
func (l *lastStanding) get() standing {
	if s := l.last.Load(); s != nil {
		return *s
	}
	return standing{total: -1}
}

// line returns it as a line of JSON.
func (l *lastStanding) line() progressNote { return l.get().progressNote() }

// progress returns it as the page wants it.
func (l *lastStanding) progress() monitor.Progress {
	s := l.get()
	return monitor.Progress{Total: s.total, Done: uint64(max(s.done-s.failed-s.kept, 0)), Failed: uint64(s.failed), Kept: uint64(s.kept)}
}
