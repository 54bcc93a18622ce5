// Package plain makes text fit for a terminal. What modules, guests, inputs and other
// ranks say may hold escape sequences that clear the screen, write what nobody said, or
// hide or turn around what stands beside them. Here they become visible:
//
//	plain.Line("all ok\x1b[2J\n") // `all ok\x1b[2J\n`
//
// All other text stays as it is.
package plain

import (
	"io"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Line returns text that stays on its line and in its column of a table.
func Line(text string) string { return escape(text, func(rune) bool { return false }) }

// Text returns text that may have lines and tabulators.
func Text(text string) string {
	return escape(text, func(r rune) bool { return r == '\n' || r == '\t' })
}

// escape replaces characters that are not plain, but for those that allowed accepts, by
// escapes.
func escape(text string, allowed func(rune) bool) string {
	var b strings.Builder
	kept := 0
	for i := 0; i < len(text); {
		r, n := rune(text[i]), 1
		if r >= utf8.RuneSelf {
			r, n = utf8.DecodeRuneInString(text[i:])
		}
		bad := r == utf8.RuneError && n == 1
		if bad || !isPlain(r) && !allowed(r) {
			b.WriteString(text[kept:i])
			b.WriteString(visible(text[i:i+n], bad))
			kept = i + n
		}
		i += n
	}
	if kept == 0 {
		return text
	}
	b.WriteString(text[kept:])
	return b.String()
}

// visible returns one character as Go writes it.
func visible(char string, bad bool) string {
	if bad {
		return `\x` + strconv.FormatUint(0x100|uint64(char[0]), 16)[1:]
	}
	quoted := strconv.QuoteToASCII(char)
	return quoted[1 : len(quoted)-1]
}

// isPlain reports whether a terminal shows a character and does nothing else. Joiners
// are plain, since words and emoji have them.
func isPlain(r rune) bool {
	switch {
	case r < 0x7f:
		return r >= ' '
	case r < 0xa0:
		return false // DEL, and the controls that are one character for ESC and another
	case r == '\u200c', r == '\u200d':
		return true
	case r == '\u2028', r == '\u2029': // lines and paragraphs end here
		return false
	}
	return !unicode.Is(unicode.Cf, r) // such as those that turn the direction of text
}

// AppendJSON appends JSON with what is not plain as \u escapes, which mean the same: it
// can stand in strings only.
func AppendJSON(dst, json []byte) []byte {
	kept := 0
	for i := 0; i < len(json); {
		if json[i] < 0x7f { // and JSON has no others that are not plain
			i++
			continue
		}
		r, n := utf8.DecodeRune(json[i:])
		if !isPlain(r) {
			dst = append(dst, json[kept:i]...)
			dst = appendEscapes(dst, r)
			kept = i + n
		}
		i += n
	}
	return append(dst, json[kept:]...)
}

// appendEscapes appends a character as JSON escapes, of which those beyond 16 bits are
// two.
func appendEscapes(dst []byte, r rune) []byte {
	units := []rune{r}
	if hi, lo := utf16.EncodeRune(r); hi != utf8.RuneError {
		units = []rune{hi, lo}
	}
	for _, u := range units {
		dst = append(dst, '\\', 'u')
		dst = append(dst, strconv.FormatUint(0x10000|uint64(u), 16)[1:]...)
	}
	return dst
}

// NewWriter returns a writer that passes text on to w as [Text] has it. Characters must
// not be cut by the end of a write.
func NewWriter(w io.Writer) *Writer { return &Writer{w: w} }

// A Writer makes what is written through it fit for a terminal. It is safe for
// concurrent use: the writer behind it is given one write after the other.
type Writer struct {
	mu sync.Mutex
	w  io.Writer
}

// Write implements [io.Writer].
func (w *Writer) Write(p []byte) (int, error) {
	text := Text(string(p))
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, err := io.WriteString(w.w, text); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Unwrap returns the writer behind.
func (w *Writer) Unwrap() io.Writer { return w.w }
