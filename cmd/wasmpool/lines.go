package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
	"unicode/utf8"
)

// A source is the file that inputs are read from, or standard input.
type source struct {
	name   string
	from   io.Reader
	failed error // why it could not be read to its end
}

// openSource opens a file; the name - is stdin.
func openSource(name string, stdin io.Reader) (source, error) {
	if name == "-" {
		return source{name: "standard input", from: stdin}, nil
	}
	if isFolder(name) {
		return source{}, fmt.Errorf("reading the input: %s is a folder: use --files '%s/*' for a call per file", name, name)
	}
	file, err := os.Open(name)
	if err != nil {
		return source{}, fmt.Errorf("reading the input: %w", err)
	}
	return source{name: name, from: file}, nil
}

func (s *source) err() error        { return s.failed }
func (s *source) file(int64) string { return "" }

func (s *source) reads(file os.FileInfo) bool {
	f, ok := s.from.(*os.File)
	if !ok || !file.Mode().IsRegular() {
		return false
	}
	info, err := f.Stat()
	return err == nil && os.SameFile(info, file)
}

func (s *source) close() error {
	if file, ok := s.from.(*os.File); ok && s.name != "standard input" {
		return file.Close()
	}
	return nil
}

// ahead lets look read from the beginning of a regular file, and puts it back. Otherwise it
// reports false.
func (s *source) ahead(look func(io.Reader) error) (bool, error) {
	file, ok := s.from.(*os.File)
	if !ok || regular(file) == nil {
		return false, nil
	}
	start, err := file.Seek(0, io.SeekCurrent)
	if err != nil {
		return false, err
	}
	err = look(file)
	_, seekErr := file.Seek(start, io.SeekStart)
	return true, errors.Join(err, seekErr)
}

// countEnds returns how many pieces the source has, each of which ends in a byte, or -1.
func (s *source) countEnds(end byte) int64 {
	n := int64(-1)
	if ok, err := s.ahead(func(r io.Reader) error { n = countEnds(r, end); return nil }); !ok || err != nil {
		return -1
	}
	return n
}

func countEnds(r io.Reader, end byte) int64 {
	var n int64
	last := end
	for block := make([]byte, 256<<10); ; {
		got, err := r.Read(block)
		if got > 0 {
			n += int64(bytes.Count(block[:got], []byte{end}))
			last = block[got-1]
		}
		if err != nil {
			break
		}
	}
	if last != end {
		n++
	}
	return n
}

// A lineInput yields the lines of a source, or what ends in another byte there.
type lineInput struct {
	source
	end    byte
	check  func(line []byte) (arg []byte, err error) // nil takes every line as it is; a nil arg is skipped
	number int64                                     // of the line read last
	start  int64                                     // where reading began in the file
	at     int64                                     // where the line read last begins there
}

// openLines opens a file of lines; the name - is stdin.
func openLines(name string, stdin io.Reader, check func([]byte) ([]byte, error)) (input, error) {
	s, err := openSource(name, stdin)
	return &lineInput{source: s, end: '\n', check: check}, err
}

// openArgs opens a file of arguments that end in NUL bytes; the name - is stdin.
func openArgs(name string, stdin io.Reader) (input, error) {
	s, err := openSource(name, stdin)
	return &lineInput{source: s, end: 0}, err
}

// checkJSON accepts lines that are JSON values and skips blank ones.
func checkJSON(line []byte) ([]byte, error) {
	line = bytes.TrimSpace(line)
	switch {
	case len(line) == 0:
		return nil, nil
	case isInteger(line):
	case !json.Valid(line):
		return nil, fmt.Errorf("it is not JSON: %w (--lines takes any text)", json.Unmarshal(line, new(any)))
	case !utf8.Valid(line):
		return nil, errors.New("it is not JSON, as it is not UTF-8 (--lines takes any bytes)")
	}
	return line, nil
}

func (in *lineInput) items(p *plan) iter.Seq2[int64, item] { return inTurn(in.all(), p) }

// all yields every input.
func (in *lineInput) all() iter.Seq[item] {
	return func(yield func(item) bool) {
		lines := newLineReader(in.from, in.end)
		for {
			in.at = in.start + lines.read
			line, err := lines.next()
			if err == io.EOF { //nolint:errorlint // readers return it as it is
				return
			}
			in.number++
			if err != nil && !errors.Is(err, errLongLine) {
				in.failed = fmt.Errorf("reading %s: %w", in.place(), err)
				return
			}
			if it, ok := in.item(line, err); ok && !yield(it) {
				return
			}
		}
	}
}

// place names the line that was read last.
func (in *lineInput) place() string {
	if in.end == '\n' {
		return fmt.Sprintf("line %d of %s", in.number, in.name)
	}
	return fmt.Sprintf("argument %d of %s", in.number, in.name)
}

// item makes an input of a line, or of the error with which it was read. It reports false
// for a line that is none.
func (in *lineInput) item(line []byte, err error) (item, bool) {
	it := item{arg: line}
	if err == nil && in.check != nil {
		it.arg, err = in.check(line)
	}
	if err != nil {
		it = item{line, fmt.Errorf("%s: %w", in.place(), err)}
	}
	return it, it.arg != nil || it.bad != nil
}

func (in *lineInput) count() int64 { return in.countEnds(in.end) }

// A lineReader cuts a stream into lines that stay valid. Short lines share
// blocks of memory, so that a line costs no allocation.
type lineReader struct {
	r    *bufio.Reader
	end  byte // of each line
	kept blocks
	most int   // bytes that a line may have
	read int64 // bytes, up to the next line
}

// mostLine bounds a line, so that one without an end does not take all memory.
const mostLine = 256 << 20

// errLongLine is the error of a line that was skipped, as it is longer than it may be.
var errLongLine = fmt.Errorf("it is longer than %s (--files takes long arguments)", formatBytes(mostLine))

func newLineReader(r io.Reader, end byte) *lineReader {
	buffered := bufio.NewReaderSize(r, 64<<10)
	l := &lineReader{r: buffered, end: end, most: mostLine}
	if end == '\n' {
		l.read = skipMark(buffered)
	}
	return l
}

// byteOrderMark is what a text may begin with that says how it is encoded.
const byteOrderMark = "\uFEFF"

// skipMark skips the byte-order mark that a text may begin with. It does not wait for more than
// the first byte of a text without one. It returns how many bytes were skipped.
func skipMark(r *bufio.Reader) int64 {
	if first, err := r.Peek(1); err != nil || first[0] != byteOrderMark[0] {
		return 0
	}
	if start, err := r.Peek(len(byteOrderMark)); err != nil || string(start) != byteOrderMark {
		return 0
	}
	r.Discard(len(byteOrderMark)) //nolint:errcheck // it is in the buffer
	return int64(len(byteOrderMark))
}

// next returns the next line, without its end. That of "\n" may be "\r\n".
func (l *lineReader) next() ([]byte, error) {
	part, err := l.cut()
	line := l.kept.keep(part)
	for errors.Is(err, bufio.ErrBufferFull) {
		if part, err = l.cut(); len(line)+len(part) > l.most {
			return nil, l.skip(err)
		}
		line = append(line, part...)
	}
	if err != nil && (!errors.Is(err, io.EOF) || len(line) == 0) {
		return nil, err
	}
	line = cutEnd(line, l.end)
	if l.end == '\n' {
		line = cutEnd(line, '\r')
	}
	return line, nil
}

// cutEnd returns a line without a byte that it may end in.
func cutEnd(line []byte, end byte) []byte {
	if n := len(line); n > 0 && line[n-1] == end {
		return line[:n-1]
	}
	return line
}

// skip reads on to the end of a line that is too long, of which the last part came with err.
func (l *lineReader) skip(err error) error {
	for errors.Is(err, bufio.ErrBufferFull) {
		_, err = l.cut()
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return errLongLine
}

// cut reads on to the end of a line, or as far as the buffer goes.
func (l *lineReader) cut() ([]byte, error) {
	part, err := l.r.ReadSlice(l.end)
	l.read += int64(len(part))
	return part, err
}

// blocks keep bytes, many pieces in one block of memory.
type blocks struct{ last []byte }

const blockSize = 64 << 10

// keep copies part to where it may stay. The copy has no room to grow.
func (b *blocks) keep(part []byte) []byte {
	if len(part) > blockSize/8 {
		return slices.Clone(part)
	}
	if len(part) > cap(b.last)-len(b.last) {
		b.last = make([]byte, 0, blockSize)
	}
	at := len(b.last)
	b.last = append(b.last, part...)
	return b.last[at:len(b.last):len(b.last)]
}

// room returns an empty slice to append a piece to, which took then keeps.
func (b *blocks) room() []byte {
	if cap(b.last)-len(b.last) < blockSize/64 {
		b.last = make([]byte, 0, blockSize)
	}
	return b.last[len(b.last):]
}

// took keeps a piece that was appended to what room returned. It has no room to grow.
func (b *blocks) took(piece []byte) []byte {
	if end := len(b.last) + len(piece); end <= cap(b.last) { // else it has memory of its own
		b.last = b.last[:end]
	}
	return slices.Clip(piece)
}
