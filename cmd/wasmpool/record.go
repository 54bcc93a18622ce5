package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/internal/plain"
)

// A digest stands for the bytes of an argument: the first 64 bits of their SHA-256. It is 0
// where there are none, as of a file that cannot be read.
type digest uint64

func digestOf(arg []byte) digest {
	sum := sha256.Sum256(arg)
	return digest(binary.BigEndian.Uint64(sum[:]))
}

// A record says to which input a line of map's output belongs, and how its call ran.
type record struct {
	i    int64
	arg  digest
	file string // with --files
	run  run
}

// A run is the last one of a call. The zero run is that of a call which no worker had.
type run struct {
	took    time.Duration
	rank    int
	attempt int // from 1
}

func runOf(info *executor.Info) run {
	if info.Rank < 0 {
		return run{}
	}
	return run{info.Ran, info.Rank, info.Attempt}
}

// A recordWriter makes the lines that map writes, in a buffer of its own. It
// does without encoding/json where it can: there may be a hundred million.
type recordWriter struct {
	buf     bytes.Buffer
	of      string // the member that names task and module, as it stands in each line
	foreign int    // where in buf the text begins that others have written
	verbose bool   // failures say where
	staged  bool   // failures say in which task
}

// newRecordWriter returns a writer of lines for results of a task.
func newRecordWriter(of string, verbose bool) recordWriter {
	member := appendJSONString([]byte(`,"of":`), strings.ToValidUTF8(of, "\uFFFD"))
	return recordWriter{of: string(plain.AppendJSON(nil, member)), verbose: verbose}
}

// success returns the line of a call with a result. It is valid until the next
// one.
func (w *recordWriter) success(r record, out []byte) []byte {
	w.begin(r, true)
	w.value(out)
	return w.end("}\n")
}

// inFile returns the line of a call whose result is in a file. It is valid until the next
// one.
func (w *recordWriter) inFile(r record, f storedFile) []byte {
	w.begin(r, true)
	w.buf.WriteString(`,"out_file":`)
	w.text(f.name)
	w.buf.WriteString(`,"out_digest":"`)
	w.buf.Write(appendDigest(w.buf.AvailableBuffer(), f.sum))
	return w.end("\"}\n")
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
	if w.staged {
		w.buf.WriteString(`,"task":`)
		w.text(e.Task)
	}
	if w.verbose {
		w.left(e)
	}
	return w.end("}}\n")
}

// badInput is the kind of failure of an input that makes no argument.
const badInput = "input"

// bad returns the line of an input that makes no argument. It is valid until the next
// one.
func (w *recordWriter) bad(r record, why error) []byte {
	w.begin(r, false)
	w.buf.WriteString(`,"error":{"kind":"` + badInput + `","message":`)
	w.text(why.Error())
	return w.end("}}\n")
}

// left adds what the guest of a failed call left behind.
func (w *recordWriter) left(e *executor.TaskError) {
	for _, part := range []struct{ name, text string }{
		{"stack", e.Stack}, {"stderr", e.Stderr}, {"log", strings.Join(e.Log, "\n")},
	} {
		if part.text != "" {
			w.buf.WriteString(`,"` + part.name + `":`)
			w.text(bounded(part.text))
		}
	}
}

// mostLeft bounds each part of what a guest left behind, of which the end of
// what it printed tells most, and the beginning of a stack.
const mostLeft = 8 << 10

// bounded leaves out the middle of a long text.
func bounded(text string) string {
	if len(text) <= mostLeft {
		return text
	}
	return text[:mostLeft/2] + "\n…\n" + text[len(text)-mostLeft/2:]
}

// text adds a JSON string.
func (w *recordWriter) text(s string) {
	w.buf.Write(appendJSONString(w.buf.AvailableBuffer(), strings.ToValidUTF8(s, "\uFFFD")))
}

func (w *recordWriter) begin(r record, ok bool) {
	w.buf.Reset()
	line := append(w.buf.AvailableBuffer(), `{"i":`...)
	line = strconv.AppendInt(line, r.i, 10)
	line = append(line, w.of...)
	if r.arg != 0 {
		line = append(appendDigest(append(line, `,"arg":"`...), r.arg), '"')
	}
	w.foreign = 0
	if r.file != "" {
		w.foreign = len(line)
		line = appendJSONString(append(line, `,"file":`...), strings.ToValidUTF8(r.file, "\uFFFD"))
	}
	if r.run.attempt > 0 {
		line = r.run.append(line)
	}
	line = strconv.AppendBool(append(line, `,"ok":`...), ok)
	if w.foreign == 0 {
		w.foreign = len(line)
	}
	w.buf.Write(line)
}

// append appends the members of a run.
func (r run) append(dst []byte) []byte {
	dst = appendSeconds(append(dst, `,"s":`...), r.took)
	dst = strconv.AppendInt(append(dst, `,"rank":`...), int64(r.rank), 10)
	return strconv.AppendInt(append(dst, `,"attempt":`...), int64(r.attempt), 10)
}

// appendSeconds appends a duration as a number of seconds, to the microsecond.
func appendSeconds(dst []byte, d time.Duration) []byte {
	const places = 1_000_000
	micros := int64(max(d, 0).Round(time.Microsecond) / time.Microsecond)
	dst = strconv.AppendInt(dst, micros/places, 10)
	if micros %= places; micros == 0 {
		return dst
	}
	at := len(dst)
	dst = strconv.AppendInt(dst, micros+places, 10) // a 1 before the places keeps their zeros
	dst[at] = '.'
	return bytes.TrimRight(dst, "0")
}

// appendDigest appends a digest as it stands in lines.
func appendDigest(dst []byte, d digest) []byte {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(d))
	return hex.AppendEncode(dst, b[:])
}

// end closes the line. It may be shown on a terminal, so what a terminal would obey
// stands in it as an escape, which means the same.
func (w *recordWriter) end(text string) []byte {
	w.buf.WriteString(text)
	line := w.buf.Bytes()
	if !needsEscapes(line[w.foreign:]) {
		return line
	}
	return plain.AppendJSON(nil, line)
}

// needsEscapes reports whether JSON may have what a terminal would obey.
func needsEscapes(json []byte) bool {
	return slices.ContainsFunc(json, func(c byte) bool { return c >= 0x7f })
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
	writeResult(&w.buf, out)
}

// writeResult writes a result that is UTF-8, as JSON.
func writeResult(to *bytes.Buffer, out []byte) {
	if isInteger(out) {
		to.Write(out)
		return
	}
	if mayBeJSON(out) && json.Compact(to, out) == nil {
		return // Compact leaves the buffer alone when it fails
	}
	to.Write(appendJSONString(to.AvailableBuffer(), out))
}

// isInteger reports whether text is a number without a sign, a point or an exponent: it is JSON as it stands.
func isInteger(text []byte) bool {
	for _, c := range text {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(text) > 0 && (text[0] != '0' || len(text) == 1)
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
