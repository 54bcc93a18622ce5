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

// brief returns how a map stands. docs/map.md has its members.
func (s standing) brief() monitor.Brief {
	l := monitor.Brief{
		Seconds: thousandths(s.took.Seconds()), Done: s.done, Failed: s.failed, Kept: s.kept, Rate: thousandths(s.rate),
		Found: s.tally.found, Duplicated: s.tally.duplicated, Checked: s.tally.checked, Differed: s.tally.differed,
		Compiling: s.load.compiling, Fetching: s.load.fetching,
	}
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

// writeBrief writes a line of --progress json.
func writeBrief(to io.Writer, b monitor.Brief) {
	text, err := json.Marshal(b)
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

// brief returns it as the job's socket gives it out.
func (l *lastStanding) brief() monitor.Brief { return l.get().brief() }

// progress returns it as the page wants it.
func (l *lastStanding) progress() monitor.Progress {
	s := l.get()
	return monitor.Progress{Total: s.total, Done: uint64(max(s.done-s.failed-s.kept, 0)), Failed: uint64(s.failed), Kept: uint64(s.kept)}
}
