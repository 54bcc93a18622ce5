package host

import (
	"bytes"
	"fmt"
	"slices"
)

const (
	// lastLines is how many lines of its log an error has, and lastLine how
	// long one is there.
	lastLines = 8
	lastLine  = 256

	// infoLevel is the level of what a guest prints, as log/slog counts.
	infoLevel = 0
)

// addLog counts n bytes that the guest logs or prints, and ends its call when
// they are too many.
func (s *Slot) addLog(n int) {
	s.dirty = true
	s.logged += uint64(n)
	if s.logged > s.limits.Log {
		raise(&abort{kind: KindOutput, message: fmt.Sprintf("it logged and printed more than the limit of %d bytes", s.limits.Log)})
	}
}

// log passes a line on, and keeps the last ones for an error.
func (s *Slot) log(level int, line []byte) {
	words := text(line)
	if len(s.lines) == lastLines {
		s.lines = slices.Delete(s.lines, 0, 1)
	}
	s.lines = append(s.lines, words[:min(len(words), lastLine)])
	if s.call != nil && s.call.Log != nil {
		s.call.Log(level, words)
	}
}

// stream logs what the guest prints, line by line, if that was granted.
func (s *Slot) stream(part []byte) {
	if s.streams == nil {
		return
	}
	for line := range bytes.Lines(part) {
		if line, whole := bytes.CutSuffix(line, []byte("\n")); whole {
			s.log(infoLevel, append(s.streams, line...))
			s.streams = s.streams[:0]
			continue
		}
		s.streams = append(s.streams, line[:min(len(line), mostLogLine-len(s.streams))]...)
	}
}

// lastWords returns the last lines of the call's log.
func (s *Slot) lastWords() []string { return slices.Clone(s.lines) }
