package main

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"unicode/utf8"
)

// A csvInput yields the rows of a CSV file, as JSON objects with the names of its header.
type csvInput struct {
	source
	numbers bool // fields that are numbers stay numbers
}

// openCSV opens a CSV file; the name - is stdin. The header of a file is looked at at once, so
// that nothing is begun with one that makes no sense.
func openCSV(name string, stdin io.Reader, numbers bool) (input, error) {
	s, err := openSource(name, stdin)
	if err != nil {
		return nil, err
	}
	in := &csvInput{source: s, numbers: numbers}
	_, err = s.ahead(func(r io.Reader) error { _, err := in.begin(r); return err })
	if err != nil {
		s.close() //nolint:errcheck // it was read
		return nil, err
	}
	return in, nil
}

func (in *csvInput) items(p *plan) iter.Seq2[int64, item] { return inTurn(in.all(), p) }

// count takes a line for a row: a field may have several.
func (in *csvInput) count() int64 { return max(in.countEnds('\n')-1, -1) }

// all yields every input.
func (in *csvInput) all() iter.Seq[item] {
	return func(yield func(item) bool) {
		rows, err := in.begin(in.from)
		for err == nil {
			var it item
			if it, err = rows.next(); err == nil && !yield(it) {
				return
			}
		}
		if !errors.Is(err, io.EOF) {
			in.failed = err
		}
	}
}

// A csvReader makes inputs of rows.
type csvReader struct {
	in      *csvInput
	bound   *boundedReader
	rows    *csv.Reader
	members [][]byte // what stands before each field, in an object
	buf     []byte
	kept    blocks
}

// begin reads the header.
func (in *csvInput) begin(from io.Reader) (*csvReader, error) {
	bound := &boundedReader{r: from, left: mostLine}
	text := bufio.NewReaderSize(bound, 64<<10)
	skipMark(text)
	r := &csvReader{in: in, bound: bound, rows: csv.NewReader(text)}
	r.rows.FieldsPerRecord, r.rows.ReuseRecord = -1, true
	names, err := r.rows.Read()
	if err == io.EOF {
		return nil, fmt.Errorf("%s has no header: its first line names the fields", in.name)
	}
	if err != nil {
		return nil, in.place(err)
	}
	for i, name := range names {
		switch {
		case !utf8.ValidString(name):
			return nil, fmt.Errorf("the header of %s is not UTF-8", in.name)
		case strings.Contains(name, "\r"):
			return nil, fmt.Errorf("the header of %s has a carriage return in it: lines end in \\n or \\r\\n", in.name)
		case slices.Contains(names[:i], name):
			return nil, fmt.Errorf("the header of %s has %q twice", in.name, name)
		}
		member := append(appendJSONString([]byte(","), name), ':')
		if i == 0 {
			member[0] = '{'
		}
		r.members = append(r.members, member)
	}
	return r, nil
}

// next returns the input of the next row. An error is the end of the file, or that it cannot be
// read on.
func (r *csvReader) next() (item, error) {
	r.bound.left = mostLine
	row, err := r.rows.Read()
	var wrong *csv.ParseError
	switch {
	case errors.As(err, &wrong):
		return item{bad: r.in.place(err)}, nil
	case err == io.EOF:
		return item{}, err
	case err != nil:
		return item{}, fmt.Errorf("reading %s: %w", r.in.name, err)
	}
	if err := r.check(row); err != nil {
		line, _ := r.rows.FieldPos(0)
		return item{bad: fmt.Errorf("line %d of %s: %w", line, r.in.name, err)}, nil
	}
	r.buf = r.buf[:0]
	for i, field := range row {
		r.buf = append(r.buf, r.members[i]...)
		if r.in.numbers {
			r.buf = appendFieldJSON(r.buf, field)
		} else {
			r.buf = appendJSONString(r.buf, field)
		}
	}
	r.buf = append(r.buf, '}')
	return item{arg: r.kept.keep(r.buf)}, nil
}

// check says why a row makes no argument.
func (r *csvReader) check(row []string) error {
	if len(row) != len(r.members) {
		return fmt.Errorf("it has %d fields, and the header has %d", len(row), len(r.members))
	}
	if !slices.ContainsFunc(row, func(field string) bool { return !utf8.ValidString(field) }) {
		return nil
	}
	return errors.New("it is not UTF-8")
}

// place words an error of package csv.
func (in *csvInput) place(err error) error {
	var wrong *csv.ParseError
	if errors.As(err, &wrong) {
		return fmt.Errorf("line %d of %s: it is not CSV: %w", wrong.StartLine, in.name, wrong.Err)
	}
	return fmt.Errorf("reading %s: %w", in.name, err)
}

// A boundedReader ends with an error where a row does not end: encoding/csv would take all memory.
type boundedReader struct {
	r    io.Reader
	left int64
}

func (b *boundedReader) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("a row is longer than %s: is a quote missing?", formatBytes(mostLine))
	}
	n, err := b.r.Read(p)
	b.left -= int64(n)
	return n, err
}
