package main

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
)

// A resultRow is what a line of a results file says.
type resultRow struct {
	line []byte // without its newline

	I       *int64          `json:"i"`
	Arg     string          `json:"arg"`
	File    string          `json:"file"`
	Seconds json.Number     `json:"s"`
	Rank    json.Number     `json:"rank"`
	Attempt json.Number     `json:"attempt"`
	OK      *bool           `json:"ok"`
	Out     json.RawMessage `json:"out"`
	Base64  *string         `json:"out_b64"`
	OutFile string          `json:"out_file"`
	Digest  string          `json:"out_digest"`
	Error   *struct {
		Kind    string `json:"kind"`
		Message string `json:"message"`
	} `json:"error"`
}

// errNoResult is the error of a line that says of which input it is, and no more.
var errNoResult = errors.New("has neither a result nor an error")

// parseRow reads a line.
func parseRow(line []byte) (*resultRow, error) {
	r := &resultRow{line: line}
	switch err := json.Unmarshal(line, r); {
	case !json.Valid(line):
		return nil, errTorn
	case err != nil || r.I == nil || *r.I < 0:
		return nil, errForeign
	case r.OK == nil, *r.OK && r.Out == nil && r.Base64 == nil && r.OutFile == "", !*r.OK && r.Error == nil:
		return nil, errNoResult
	}
	return r, nil
}

// result returns the bytes that the call gave. Of JSON they are compact, of a string they are
// its text.
func (r *resultRow) result() ([]byte, error) {
	var text string
	switch {
	case r.Base64 != nil:
		out, err := base64.StdEncoding.DecodeString(*r.Base64)
		if err != nil {
			return nil, fmt.Errorf("the result of input %d is no base64: %w", *r.I, err)
		}
		return out, nil
	case r.Out[0] == '"':
		if err := json.Unmarshal(r.Out, &text); err != nil {
			return nil, err
		}
		return []byte(text), nil
	}
	return r.Out, nil
}

// A rowReader reads the lines of a results file, and says which of them are none.
type rowReader struct {
	name  string // as the user has it
	from  io.Reader
	wants func(*resultRow) bool
	say   io.Writer // for messages; nil keeps quiet
	bad   int       // lines that are no results
}

// all yields the rows that are wanted, and last the error that ended the reading, if one did.
func (s *rowReader) all() iter.Seq2[*resultRow, error] {
	return func(yield func(*resultRow, error) bool) {
		s.bad = 0
		lines := bufio.NewReaderSize(s.from, 256<<10)
		for number := 1; ; number++ {
			line, err := readRow(lines)
			if err == nil {
				line = line[:len(line)-1]
			}
			if err != nil && !errors.Is(err, io.EOF) {
				yield(nil, fmt.Errorf("reading the results: %w", err))
				return
			}
			if r := s.parse(line, number); r != nil && s.wants(r) && !yield(r, nil) || err != nil {
				return
			}
		}
	}
}

// readRow reads a line. Of a long one that cannot be a result it keeps no more than the beginning.
func readRow(lines *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := lines.ReadSlice('\n')
		if err == nil || len(line) < mostTorn || mayBeResult(line) {
			line = append(line, part...)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
	}
}

// mostNamed is how many lines that are no results are named one by one.
const mostNamed = 10

// parse reads a line. It returns nil for one that is no result.
func (s *rowReader) parse(line []byte, number int) *resultRow {
	if isBlank(line) {
		return nil
	}
	r, err := parseRow(line)
	if err == nil {
		return r
	}
	if s.bad++; s.bad <= mostNamed && s.say != nil {
		fmt.Fprintf(s.say, "wasmpool: line %d of %s %v\n", number, s.title(), err)
	}
	return nil
}

func (s *rowReader) title() string {
	if s.name == "-" {
		return "standard input"
	}
	return s.name
}

// complaint is an error if some lines were no results.
func (s *rowReader) complaint() error {
	if s.bad == 0 {
		return nil
	}
	return &exitError{exitCallFailed, fmt.Errorf("%d %s of %s %s left out", s.bad, plural(s.bad, "line"), s.title(), map[bool]string{true: "is", false: "are"}[s.bad == 1])}
}
