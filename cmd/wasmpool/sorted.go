package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// A resultPlace is where the line of a result begins in a file.
type resultPlace struct{ input, at int64 }

// placesOf returns where a file of results has those of a part of the inputs, in the order of the inputs.
func placesOf(ctx context.Context, file *os.File, p part) ([]resultPlace, error) {
	var places []resultPlace
	var result stored
	lines := lineCutter{r: bufio.NewReaderSize(file, 256<<10)}
	for number := 1; ; number++ {
		at := lines.at
		line, err := lines.next()
		switch {
		case errors.Is(err, io.EOF):
			slices.SortFunc(places, func(a, b resultPlace) int { return cmp.Compare(a.input, b.input) })
			return places, nil
		case err == nil:
			err = errors.Join(result.parse(line), ctx.Err())
		}
		if err != nil {
			return nil, fmt.Errorf("reading the results: line %d of %s: %w", number, file.Name(), err)
		}
		if result.ok && result.whole && p.has(result.i) {
			places = append(places, resultPlace{result.i, at})
		}
	}
}

// resultsAt passes the results at some places of a file on, as JSON. Those of --out-dir are in dir; nameOf
// returns the name of an input's file.
func resultsAt(file *os.File, places []resultPlace, dir *outDir, nameOf func(i int64) string, pass func(value []byte) error) error {
	lines := lineCutter{r: bufio.NewReaderSize(file, 16<<10), at: -1}
	var value bytes.Buffer
	for _, p := range places {
		if p.at != lines.at {
			if _, err := file.Seek(p.at, io.SeekStart); err != nil {
				return fmt.Errorf("reading the results: %w", err)
			}
			lines.r.Reset(file)
			lines.at = p.at
		}
		line, err := lines.next()
		var row *resultRow
		if err == nil {
			row, err = parseRow(line)
		}
		if err == nil && *row.I != p.input {
			err = errors.New("the file has changed")
		}
		if err == nil {
			value.Reset()
			err = row.writeJSON(&value, dir, resultName(p.input, nameOf(p.input)))
		}
		switch {
		case errors.Is(err, errNotUTF8):
			return unfit(p.input, err)
		case err != nil:
			return fmt.Errorf("reading the results: that of input %d: %w", p.input, err)
		}
		if err := pass(value.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

// writeJSON writes the result of a row as JSON: with --out-dir, of the file with that name.
func (r *resultRow) writeJSON(to *bytes.Buffer, dir *outDir, name string) error {
	switch {
	case r.Base64 != nil:
		return errNotUTF8
	case r.Out != nil:
		return json.Compact(to, r.Out)
	}
	out, err := dir.root.ReadFile(name)
	if err != nil {
		return err
	}
	if fmt.Sprintf("%016x", digestOf(out)) != r.Digest {
		return fmt.Errorf("%s has changed", name)
	}
	return writeResultJSON(to, out)
}

// A lineCutter reads lines, and knows where each begins.
type lineCutter struct {
	r    *bufio.Reader
	at   int64 // where the next line begins
	long []byte
}

// next returns the next line, without its newline. It is valid until the next one.
func (c *lineCutter) next() ([]byte, error) {
	line, err := c.r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		c.long = c.long[:0]
		for errors.Is(err, bufio.ErrBufferFull) {
			c.long = append(c.long, line...)
			line, err = c.r.ReadSlice('\n')
		}
		c.long = append(c.long, line...)
		line = c.long
	}
	if err != nil && (err != io.EOF || len(line) == 0) {
		return nil, err
	}
	c.at += int64(len(line))
	return bytes.TrimSuffix(line, []byte("\n")), nil
}
