package monitor

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/wasmpool/wasmpool/internal/plain"
)

// How many bytes are kept of texts.
const (
	mostLine  = 300  // of names and tags
	mostText  = 2000 // of messages
	mostStack = 8000 // of stacks, and of what was printed
	mostTags  = 10
	mostLog   = 8 // lines
)

// line returns a plain text of one line.
func line(s string) string { return plain.Line(cut(s, mostLine)) }

// text returns a plain text that may have several lines.
func text(s string, most int) string { return plain.Text(cut(s, most)) }

// cut returns the begin of a text that is too long, with a mark.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return fmt.Sprintf("%s… (%d bytes)", whole(s[:most]), len(s))
}

// end returns the end of a text that is too long, with a mark.
func end(s string, most int) string {
	if len(s) <= most {
		return s
	}
	kept := s[len(s)-most:]
	for i := 0; i < utf8.UTFMax && len(kept) > 0 && !utf8.RuneStart(kept[0]); i++ {
		kept = kept[1:]
	}
	return fmt.Sprintf("(%d bytes) …%s", len(s), kept)
}

// whole returns a text without a character that was cut at its end.
func whole(s string) string {
	for i := 1; i <= utf8.UTFMax && i <= len(s); i++ {
		if last := s[len(s)-i:]; utf8.RuneStart(last[0]) {
			if !utf8.FullRuneInString(last) {
				return s[:len(s)-i]
			}
			break
		}
	}
	return s
}

// lines returns the last of several lines.
func lines(list []string, most int) []string {
	var kept []string
	for _, s := range list[max(0, len(list)-most):] {
		kept = append(kept, line(s))
	}
	return kept
}

// tags returns the first of many tags.
func tags(list []string) []string {
	var kept []string
	for _, s := range list[:min(len(list), mostTags)] {
		kept = append(kept, line(s))
	}
	if len(list) > mostTags {
		kept = append(kept, fmt.Sprintf("… (%d tags)", len(list)))
	}
	return kept
}

// pattern returns a message with its numbers left out: messages that differ in these only are of one group.
func pattern(message string) string {
	var b strings.Builder
	digits := false
	for i := range len(message) {
		c := message[i]
		digit := '0' <= c && c <= '9'
		if digit && !digits {
			b.WriteByte('0')
		}
		if !digit {
			b.WriteByte(c)
		}
		digits = digit
	}
	return b.String()
}

// programName returns the name of this program.
func programName() string { return filepath.Base(os.Args[0]) }
