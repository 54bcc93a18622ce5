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

	// lineSize is what a line of the log counts beyond its text: about what a logger
	// writes around it.
	lineSize = 128

	// lineCost is what such a line costs in instructions: about the time that the
	// worker and the root spend on it.
	lineCost = 1 << 14
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

// logLine logs a line that was paid for, unless there are too many, or the call is to
// end.
func (in *instance) logLine(level int, line []byte) {
	in.slot.addLog(lineSize)
	in.check()
	in.slot.log(level, line)
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
func (in *instance) stream(part []byte) {
	s := in.slot
	if s.streams == nil {
		return
	}
	for line := range bytes.Lines(part) {
		if line, whole := bytes.CutSuffix(line, []byte("\n")); whole {
			in.charge(lineCost)
			in.logLine(infoLevel, s.lengthen(line))
			s.streams = s.streams[:0]
			continue
		}
		s.streams = s.lengthen(line)
	}
}

// lengthen returns the line that the guest is printing with part at its end, as far as
// a line may be long.
func (s *Slot) lengthen(part []byte) []byte {
	return append(s.streams, part[:min(len(part), mostLogLine-len(s.streams))]...)
}

// endLine logs the line that the guest has not ended: it prints no more.
func (s *Slot) endLine() {
	if len(s.streams) > 0 {
		s.log(infoLevel, s.streams)
		s.streams = s.streams[:0]
	}
}

// logEnd returns the last lines of the log of a call that has ended.
func (s *Slot) logEnd() []string {
	s.endLine()
	return slices.Clone(s.lines)
}
