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
	// args yields the arguments. The caller owns them.
	args() iter.Seq[[]byte]

	// only is args for some of them: it skips the others. which is in order.
	only(which []uint32) iter.Seq[[]byte]

	// err says why args ended before its time. It may be asked once args has
	// ended.
	err() error

	// count returns about how many arguments there are, or -1 when that cannot
	// be known. It is called before args.
	count() int64

	// file returns the name of the file that argument i came from, "" when all came
	// from one.
	file(i int64) string

	// reads reports whether the file is a part of the input.
	reads(file os.FileInfo) bool

	close() error
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

func (in *lineInput) args() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		lines := lineReader{r: bufio.NewReaderSize(in.from, 64<<10)}
		for {
			arg, err := lines.next()
			if err == io.EOF { //nolint:errorlint // readers return it as it is
				return
			}
			in.number++
			if err != nil {
				in.failed = fmt.Errorf("reading line %d of %s: %w", in.number, in.name, err)
				return
			}
			if in.check != nil {
				if arg, err = in.check(arg); err != nil {
					in.failed = fmt.Errorf("line %d of %s: %w", in.number, in.name, err)
					return
				}
			}
			if arg != nil && !yield(arg) {
				return
			}
		}
	}
}

func (in *lineInput) only(which []uint32) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		i := uint32(0)
		for arg := range in.args() {
			if len(which) == 0 {
				return
			}
			if which[0] == i {
				which = which[1:]
				if !yield(arg) {
					return
				}
			}
			i++
		}
	}
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
}

const lineBlock = 64 << 10

// next returns the next line, without "\n" or "\r\n" at its end.
func (l *lineReader) next() ([]byte, error) {
	part, err := l.r.ReadSlice('\n')
	line := l.keep(part)
	for errors.Is(err, bufio.ErrBufferFull) {
		part, err = l.r.ReadSlice('\n')
		line = append(line, part...)
	}
	if err != nil && (err != io.EOF || len(line) == 0) {
		return nil, err
	}
	line, _ = bytes.CutSuffix(line, []byte("\n"))
	line, _ = bytes.CutSuffix(line, []byte("\r"))
	return line, nil
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
type fileInput struct {
	names  []string
	failed error
}

func openFiles(pattern string) (input, error) {
	names, err := glob(pattern)
	if err != nil {
		return nil, fmt.Errorf("reading the input: %w", err)
	}
	switch {
	case len(names) == 0 && isFolder(pattern):
		return nil, fmt.Errorf("%s is a folder: --files '%s' takes the files in it", pattern, path.Join(filepath.ToSlash(pattern), "*"))
	case len(names) == 0:
		return nil, fmt.Errorf("no file matches --files '%s'", pattern)
	}
	return &fileInput{names: names}, nil
}

func (in *fileInput) args() iter.Seq[[]byte] { return in.read(slices.Values(in.names)) }

func (in *fileInput) only(which []uint32) iter.Seq[[]byte] {
	return in.read(func(yield func(string) bool) {
		for _, i := range which {
			if !yield(in.names[i]) {
				return
			}
		}
	})
}

// read yields the content of files.
func (in *fileInput) read(names iter.Seq[string]) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for name := range names {
			content, err := os.ReadFile(name)
			if err != nil {
				in.failed = fmt.Errorf("reading the input: %w", err)
				return
			}
			if !yield(content) {
				return
			}
		}
	}
}

func (in *fileInput) err() error          { return in.failed }
func (in *fileInput) count() int64        { return int64(len(in.names)) }
func (in *fileInput) file(i int64) string { return in.names[i] }
func (in *fileInput) close() error        { return nil }

func (in *fileInput) reads(file os.FileInfo) bool {
	return slices.ContainsFunc(in.names, func(name string) bool {
		info, err := os.Stat(name)
		return err == nil && os.SameFile(info, file)
	})
}
