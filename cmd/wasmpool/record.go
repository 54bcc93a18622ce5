package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/internal/plain"
)

// A record says to which input a line of map's output belongs.
type record struct {
	i    int64
	file string // with --files
	sum  string // of the argument, with --resume
}

// A recordWriter makes the lines that map writes, in a buffer of its own. It
// does without encoding/json where it can: there may be a hundred million.
type recordWriter struct {
	buf     bytes.Buffer
	verbose bool // failures say where
}

// success returns the line of a call with a result. It is valid until the next
// one.
func (w *recordWriter) success(r record, out []byte) []byte {
	w.begin(r, true)
	w.value(out)
	return w.end("}\n")
}

// failure returns the line of a call that failed. It is valid until the next
// one.
func (w *recordWriter) failure(r record, e *executor.TaskError) []byte {
	w.begin(r, false)
	w.buf.WriteString(`,"error":{"kind":`)
	w.buf.Write(appendJSONString(w.buf.AvailableBuffer(), e.Kind.String()))
	if e.Kind == host.KindExit || e.Kind == host.KindApplication && e.Code != 1 { // which is any error
		w.buf.WriteString(`,"code":`)
		w.buf.Write(strconv.AppendInt(w.buf.AvailableBuffer(), int64(e.Code), 10))
	}
	w.buf.WriteString(`,"message":`)
	w.text(e.Message)
	if w.verbose {
		w.where(e)
	}
	return w.end("}}\n")
}

// where adds on which rank a call failed, and what the guest left behind.
func (w *recordWriter) where(e *executor.TaskError) {
	w.buf.WriteString(`,"rank":`)
	w.buf.Write(strconv.AppendInt(w.buf.AvailableBuffer(), int64(e.Rank), 10))
	for _, part := range []struct{ name, text string }{
		{"stack", e.Stack}, {"stderr", e.Stderr}, {"log", strings.Join(e.Log, "\n")},
	} {
		if part.text != "" {
			w.buf.WriteString(`,"` + part.name + `":`)
			w.text(bounded(part.text))
		}
	}
}

// mostWhere bounds each part of what a guest left behind, of which the end of
// what it printed tells most, and the beginning of a stack.
const mostWhere = 8 << 10

// bounded leaves out the middle of a long text.
func bounded(text string) string {
	if len(text) <= mostWhere {
		return text
	}
	return text[:mostWhere/2] + "\n…\n" + text[len(text)-mostWhere/2:]
}

// text adds a JSON string.
func (w *recordWriter) text(s string) {
	w.buf.Write(appendJSONString(w.buf.AvailableBuffer(), strings.ToValidUTF8(s, "\uFFFD")))
}

func (w *recordWriter) begin(r record, ok bool) {
	w.buf.Reset()
	w.buf.WriteString(`{"i":`)
	w.buf.Write(strconv.AppendInt(w.buf.AvailableBuffer(), r.i, 10))
	if r.file != "" {
		w.buf.WriteString(`,"file":`)
		w.text(r.file)
	}
	if r.sum != "" {
		w.buf.WriteString(`,"arg_crc":`)
		w.buf.Write(appendJSONString(w.buf.AvailableBuffer(), r.sum))
	}
	w.buf.WriteString(`,"ok":`)
	w.buf.Write(strconv.AppendBool(w.buf.AvailableBuffer(), ok))
}

// end closes the line. It may be shown on a terminal, so what a terminal would obey
// stands in it as an escape, which means the same.
func (w *recordWriter) end(text string) []byte {
	w.buf.WriteString(text)
	line := w.buf.Bytes()
	if !slices.ContainsFunc(line, func(c byte) bool { return c >= 0x7f }) {
		return line
	}
	return plain.AppendJSON(nil, line)
}

// value adds a result: as JSON if it is that, else as text, else in base64.
func (w *recordWriter) value(out []byte) {
	if !utf8.Valid(out) {
		w.buf.WriteString(`,"out_b64":"`)
		w.buf.Write(base64.StdEncoding.AppendEncode(w.buf.AvailableBuffer(), out))
		w.buf.WriteByte('"')
		return
	}
	w.buf.WriteString(`,"out":`)
	if mayBeJSON(out) && json.Compact(&w.buf, out) == nil {
		return // Compact leaves the buffer alone when it fails
	}
	w.buf.Write(appendJSONString(w.buf.AvailableBuffer(), out))
}

// mayBeJSON rules out most text at a glance.
func mayBeJSON(out []byte) bool {
	if len(out) == 0 {
		return false
	}
	switch c := out[0]; c {
	case '{', '[', '"', '-', ' ', '\t', '\r', '\n':
		return true
	case 't', 'f', 'n':
		return len(bytes.TrimSpace(out)) <= len("false")
	default:
		return c >= '0' && c <= '9'
	}
}

// appendJSONString appends text, which must be UTF-8, as a JSON string.
func appendJSONString[T string | []byte](dst []byte, text T) []byte {
	dst = append(dst, '"')
	plain := 0 // where the text that needs no escape begins
	for i := range len(text) {
		c := text[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, text[plain:i]...)
		dst = appendEscape(dst, c)
		plain = i + 1
	}
	dst = append(dst, text[plain:]...)
	return append(dst, '"')
}

func appendEscape(dst []byte, c byte) []byte {
	const hex = "0123456789abcdef"
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\n':
		return append(dst, `\n`...)
	case '\r':
		return append(dst, `\r`...)
	case '\t':
		return append(dst, `\t`...)
	}
	return append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
}
