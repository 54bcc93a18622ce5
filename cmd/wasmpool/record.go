package main

import (
	"bytes"
	"encoding/base64"
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

// A recordWriter appends the lines that map writes to a block of them. It does without
// encoding/json where it can: there may be a hundred million.
type recordWriter struct {
	of      string // the member that names task and module, as it stands in each line
	verbose bool   // failures say where
	staged  bool   // failures say in which task

	number  counter
	where   []byte // the members that say on which rank, and in which attempt, the last one ran
	rank    int
	attempt int
}

// newRecordWriter returns a writer of lines for results of a task.
func newRecordWriter(of string, verbose bool) recordWriter {
	member := appendJSONString([]byte(`,"of":`), strings.ToValidUTF8(of, "\uFFFD"))
	return recordWriter{of: string(plain.AppendJSON(nil, member)), verbose: verbose}
}

// success appends the line of a call with a result.
func (w *recordWriter) success(dst []byte, r *record, out []byte) []byte {
	dst, foreign := w.begin(dst, r, true)
	if foreign == len(dst) && isInteger(out) {
		dst = append(append(dst, `,"out":`...), out...)
		return append(dst, "}\n"...)
	}
	return endLine(appendOut(dst, out), foreign, "}\n")
}

// inFile appends the line of a call whose result is in a file.
func (w *recordWriter) inFile(dst []byte, r *record, f storedFile) []byte {
	dst, foreign := w.begin(dst, r, true)
	dst = appendText(append(dst, `,"out_file":`...), f.name)
	dst = appendDigest(append(dst, `,"out_digest":"`...), f.sum)
	return endLine(dst, foreign, "\"}\n")
}

// failure appends the line of a call that failed.
func (w *recordWriter) failure(dst []byte, r *record, e *executor.TaskError) []byte {
	dst, foreign := w.begin(dst, r, false)
	dst = appendJSONString(append(dst, `,"error":{"kind":`...), e.Kind.String())
	if e.Kind == host.KindExit || e.Kind == host.KindApplication && e.Code != 1 { // which is any error
		dst = strconv.AppendInt(append(dst, `,"code":`...), int64(e.Code), 10)
	}
	dst = appendText(append(dst, `,"message":`...), e.Message)
	if w.staged {
		dst = appendText(append(dst, `,"task":`...), e.Task)
	}
	if w.verbose {
		dst = appendLeft(dst, e)
	}
	return endLine(dst, foreign, "}}\n")
}

// badInput is the kind of failure of an input that makes no argument.
const badInput = "input"

// bad appends the line of an input that makes no argument.
func (w *recordWriter) bad(dst []byte, r *record, why error) []byte {
	dst, foreign := w.begin(dst, r, false)
	dst = appendText(append(dst, `,"error":{"kind":"`+badInput+`","message":`...), why.Error())
	return endLine(dst, foreign, "}}\n")
}

// appendLeft appends what the guest of a failed call left behind.
func appendLeft(dst []byte, e *executor.TaskError) []byte {
	for _, part := range []struct{ name, text string }{
		{"stack", e.Stack}, {"stderr", e.Stderr}, {"log", strings.Join(e.Log, "\n")},
	} {
		if part.text != "" {
			dst = appendText(append(dst, `,"`+part.name+`":`...), bounded(part.text))
		}
	}
	return dst
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

// appendText appends text of others as a JSON string.
func appendText(dst []byte, s string) []byte {
	return appendJSONString(dst, strings.ToValidUTF8(s, "\uFFFD"))
}

// begin appends the beginning of a line. From foreign on stands text that others have written.
func (w *recordWriter) begin(dst []byte, r *record, ok bool) (line []byte, foreign int) {
	dst = w.number.append(append(dst, `{"i":`...), r.i)
	dst = append(dst, w.of...)
	if r.arg != 0 {
		dst = append(appendDigest(append(dst, `,"arg":"`...), r.arg), '"')
	}
	foreign = -1
	if r.file != "" {
		foreign = len(dst)
		dst = appendText(append(dst, `,"file":`...), r.file)
	}
	if r.run.attempt > 0 {
		dst = append(appendSeconds(append(dst, `,"s":`...), r.run.took), w.whereRan(r.run)...)
	}
	dst = strconv.AppendBool(append(dst, `,"ok":`...), ok)
	if foreign < 0 {
		foreign = len(dst)
	}
	return dst, foreign
}

// A counter appends numbers as text. Those that follow the one before, as most do, cost little.
type counter struct {
	n    int64 // the last one
	text []byte
}

func (c *counter) append(dst []byte, n int64) []byte {
	if last := len(c.text) - 1; last >= 0 && n > 0 && n == c.n+1 && c.text[last] != '9' {
		c.text[last]++
	} else {
		c.text = strconv.AppendInt(c.text[:0], n, 10)
	}
	c.n = n
	return append(dst, c.text...)
}

// whereRan returns the members that say on which rank, and in which attempt, a call ran. They are mostly the same.
func (w *recordWriter) whereRan(r run) []byte {
	if w.where == nil || r.rank != w.rank || r.attempt != w.attempt {
		w.rank, w.attempt = r.rank, r.attempt
		w.where = strconv.AppendInt(append(w.where[:0], `,"rank":`...), int64(r.rank), 10)
		w.where = strconv.AppendInt(append(w.where, `,"attempt":`...), int64(r.attempt), 10)
	}
	return w.where
}

// appendSeconds appends a duration as a number of seconds, to the microsecond.
func appendSeconds(dst []byte, d time.Duration) []byte {
	const places = 6
	micros := (uint64(max(d, 0)) + 500) / 1000
	dst = strconv.AppendUint(dst, micros/1e6, 10)
	micros %= 1e6
	if micros == 0 {
		return dst
	}
	var text [1 + places]byte
	text[0] = '.'
	end := 0 // of what is not a zero at the end
	for i := places; i > 0; i-- {
		digit := micros % 10
		micros /= 10
		text[i] = '0' + byte(digit)
		if digit != 0 {
			end = max(end, i)
		}
	}
	return append(dst, text[:1+end]...)
}

// endLine closes a line. It may be shown on a terminal, so what a terminal would obey
// stands in it as an escape, which means the same.
func endLine(dst []byte, foreign int, text string) []byte {
	dst = append(dst, text...)
	if !needsEscapes(dst[foreign:]) {
		return dst
	}
	return append(dst[:foreign], plain.AppendJSON(nil, dst[foreign:])...)
}

// needsEscapes reports whether JSON may have what a terminal would obey.
func needsEscapes(json []byte) bool {
	return slices.ContainsFunc(json, func(c byte) bool { return c >= 0x7f })
}

// appendOut appends the member of a result: as JSON if it is that, else as text, else in base64.
func appendOut(dst, out []byte) []byte {
	dst = slices.Grow(dst, len(out)+len(`,"out":""}`)+1) // at once: a long one makes garbage of each size in between
	if utf8.Valid(out) {
		return appendResult(append(dst, `,"out":`...), out)
	}
	dst = base64.StdEncoding.AppendEncode(append(dst, `,"out_b64":"`...), out)
	return append(dst, '"')
}

// appendResult appends a result that is UTF-8, as JSON.
func appendResult(dst, out []byte) []byte {
	if isInteger(out) {
		return append(dst, out...)
	}
	if mayBeJSON(out) {
		if buf := bytes.NewBuffer(dst); json.Compact(buf, out) == nil {
			return buf.Bytes()
		}
	}
	return appendJSONString(dst, out)
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
