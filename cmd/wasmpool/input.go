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
	"path"
	"path/filepath"
	"slices"
	"unicode/utf8"
)

// An input yields the arguments of a map. It is read once, from one goroutine,
// as far ahead as calls are made.
type input interface {
	// items yields the inputs with their numbers: all, or those that the plan has left.
	// The caller owns the arguments.
	items(p *plan) iter.Seq2[int64, item]

	// err says why items ended before its time. It may be asked once items has
	// ended.
	err() error

	// count returns about how many inputs there are, or -1 when that cannot
	// be known. It is called before items.
	count() int64

	// file returns the name of the file that argument i came from, "" when all came
	// from one.
	file(i int64) string

	// reads reports whether the file is a part of the input.
	reads(file os.FileInfo) bool

	close() error
}

// An item is one input: the argument of a call, or, when bad is not nil, what cannot be
// one, and why. Of a bad item arg is what was read of it, nil for nothing.
type item struct {
	arg []byte
	bad error
}

// A lineInput yields the lines of a file.
type lineInput struct {
	name   string
	from   io.Reader
	check  func(line []byte) (arg []byte, err error) // nil takes every line as it is; a nil arg is skipped
	number int64                                     // of the line read last
	failed error
}

// openLines opens a file of lines; the name - is stdin.
func openLines(name string, stdin io.Reader, check func([]byte) ([]byte, error)) (input, error) {
	if name == "-" {
		return &lineInput{name: "standard input", from: stdin, check: check}, nil
	}
	if isFolder(name) {
		return nil, fmt.Errorf("reading the input: %s is a folder: use --files '%s/*' for a call per file", name, name)
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("reading the input: %w", err)
	}
	return &lineInput{name: name, from: file, check: check}, nil
}

// checkJSON accepts lines that are JSON values and skips blank ones.
func checkJSON(line []byte) ([]byte, error) {
	line = bytes.TrimSpace(line)
	switch {
	case len(line) == 0:
		return nil, nil
	case !json.Valid(line):
		return nil, fmt.Errorf("it is not JSON: %w (--lines takes any text)", json.Unmarshal(line, new(any)))
	case !utf8.Valid(line):
		return nil, errors.New("it is not JSON, as it is not UTF-8 (--lines takes any bytes)")
	}
	return line, nil
}

func (in *lineInput) items(p *plan) iter.Seq2[int64, item] {
	return func(yield func(int64, item) bool) {
		i, left := int64(0), p.left
		for it := range in.all() {
			switch {
			case !p.resumed:
			case len(left) == 0:
				return
			case int64(left[0]) != i:
				i++
				continue
			default:
				left = left[1:]
			}
			if !yield(i, it) {
				return
			}
			i++
		}
	}
}

// all yields every input.
func (in *lineInput) all() iter.Seq[item] {
	return func(yield func(item) bool) {
		lines := newLineReader(in.from)
		for {
			line, err := lines.next()
			if err == io.EOF { //nolint:errorlint // readers return it as it is
				return
			}
			in.number++
			if err != nil && !errors.Is(err, errLongLine) {
				in.failed = fmt.Errorf("reading line %d of %s: %w", in.number, in.name, err)
				return
			}
			if it, ok := in.item(line, err); ok && !yield(it) {
				return
			}
		}
	}
}

// item makes an input of a line, or of the error with which it was read. It reports false
// for a line that is none.
func (in *lineInput) item(line []byte, err error) (item, bool) {
	it := item{arg: line}
	if err == nil && in.check != nil {
		it.arg, err = in.check(line)
	}
	if err != nil {
		it = item{line, fmt.Errorf("line %d of %s: %w", in.number, in.name, err)}
	}
	return it, it.arg != nil || it.bad != nil
}

func (in *lineInput) err() error { return in.failed }

func (in *lineInput) count() int64 {
	file, ok := in.from.(*os.File)
	if !ok {
		return -1
	}
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return -1
	}
	start, err := file.Seek(0, io.SeekCurrent)
	if err != nil {
		return -1
	}
	lines := countLines(file)
	if _, err := file.Seek(start, io.SeekStart); err != nil {
		return -1
	}
	return lines
}

func countLines(r io.Reader) int64 {
	var lines int64
	last := byte('\n')
	for block := make([]byte, 256<<10); ; {
		n, err := r.Read(block)
		if n > 0 {
			lines += int64(bytes.Count(block[:n], []byte("\n")))
			last = block[n-1]
		}
		if err != nil {
			break
		}
	}
	if last != '\n' {
		lines++
	}
	return lines
}

func (in *lineInput) file(int64) string { return "" }

func (in *lineInput) reads(file os.FileInfo) bool {
	f, ok := in.from.(*os.File)
	if !ok || !file.Mode().IsRegular() {
		return false
	}
	info, err := f.Stat()
	return err == nil && os.SameFile(info, file)
}

func (in *lineInput) close() error {
	if file, ok := in.from.(*os.File); ok && in.name != "standard input" {
		return file.Close()
	}
	return nil
}

// A lineReader cuts a stream into lines that stay valid. Short lines share
// blocks of memory, so that a line costs no allocation.
type lineReader struct {
	r     *bufio.Reader
	block []byte
	most  int // bytes that a line may have
}

const (
	lineBlock = 64 << 10

	// mostLine bounds a line, so that one without an end does not take all memory.
	mostLine = 256 << 20
)

// errLongLine is the error of a line that was skipped, as it is longer than it may be.
var errLongLine = fmt.Errorf("it is longer than %s (--files takes long arguments)", formatBytes(mostLine))

func newLineReader(r io.Reader) *lineReader {
	return &lineReader{r: bufio.NewReaderSize(r, 64<<10), most: mostLine}
}

// next returns the next line, without "\n" or "\r\n" at its end.
func (l *lineReader) next() ([]byte, error) {
	part, err := l.r.ReadSlice('\n')
	line := l.keep(part)
	for errors.Is(err, bufio.ErrBufferFull) {
		if part, err = l.r.ReadSlice('\n'); len(line)+len(part) > l.most {
			return nil, l.skip(err)
		}
		line = append(line, part...)
	}
	if err != nil && (err != io.EOF || len(line) == 0) {
		return nil, err
	}
	line, _ = bytes.CutSuffix(line, []byte("\n"))
	line, _ = bytes.CutSuffix(line, []byte("\r"))
	return line, nil
}

// skip reads on to the end of a line that is too long, of which the last part came with err.
func (l *lineReader) skip(err error) error {
	for errors.Is(err, bufio.ErrBufferFull) {
		_, err = l.r.ReadSlice('\n')
	}
	if err != nil && err != io.EOF {
		return err
	}
	return errLongLine
}

// keep copies part to where it may stay. The copy has no room to grow.
func (l *lineReader) keep(part []byte) []byte {
	if len(part) > lineBlock/8 {
		return slices.Clone(part)
	}
	if len(part) > cap(l.block)-len(l.block) {
		l.block = make([]byte, 0, lineBlock)
	}
	at := len(l.block)
	l.block = append(l.block, part...)
	return l.block[at:len(l.block):len(l.block)]
}

// A fileInput yields the content of files.
type fileInput struct{ names []string }

// openFiles finds the files that match a pattern, but for those that belong to the results.
func openFiles(pattern string, own func(name string) bool) (input, error) {
	names, err := glob(pattern)
	if err != nil {
		return nil, fmt.Errorf("reading the input: %w", err)
	}
	names = slices.DeleteFunc(names, own)
	switch {
	case len(names) == 0 && isFolder(pattern):
		return nil, fmt.Errorf("%s is a folder: --files '%s' takes the files in it", pattern, path.Join(filepath.ToSlash(pattern), "*"))
	case len(names) == 0:
		return nil, fmt.Errorf("no file matches --files '%s'", pattern)
	}
	return &fileInput{names: names}, nil
}

func (in *fileInput) items(p *plan) iter.Seq2[int64, item] {
	return func(yield func(int64, item) bool) {
		if !p.resumed {
			for i, name := range in.names {
				if !yield(int64(i), readItem(name)) {
					return
				}
			}
		}
		for _, i := range p.left {
			if !yield(int64(i), readItem(in.names[i])) {
				return
			}
		}
	}
}

// readItem reads a file. A pipe or a device may have no end, and nobody who writes to it.
func readItem(name string) item {
	info, err := os.Stat(name)
	if err == nil && !info.Mode().IsRegular() {
		return item{bad: fmt.Errorf("%s is no regular file", name)}
	}
	if err == nil && info.Size() > mostMemory {
		return item{bad: fmt.Errorf("%s is longer than %s, which no module can use", name, formatBytes(mostMemory))}
	}
	content, err := os.ReadFile(name)
	if err != nil {
		return item{bad: err}
	}
	return item{arg: content}
}

func (in *fileInput) err() error          { return nil }
func (in *fileInput) count() int64        { return int64(len(in.names)) }
func (in *fileInput) file(i int64) string { return in.names[i] }
func (in *fileInput) close() error        { return nil }

func (in *fileInput) reads(file os.FileInfo) bool {
	return slices.ContainsFunc(in.names, func(name string) bool {
		info, err := os.Stat(name)
		return err == nil && os.SameFile(info, file)
	})
}
