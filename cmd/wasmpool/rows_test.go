package main

import (
	"bufio"
	"errors"
	"io"
	"strings"
	"testing"
)

// Of a line that cannot be a result no more than its beginning is kept, and the next one is read.
func TestReadRow(t *testing.T) {
	t.Parallel()
	const size = 64 << 20
	lines := bufio.NewReader(io.MultiReader(io.LimitReader(zeros{}, size), strings.NewReader("\n{\"i\":0}\n{\"i\":1}")))
	torn, err := readRow(lines)
	if err != nil || cap(torn) > size/8 {
		t.Errorf("a line of zeros takes %d bytes, %v", cap(torn), err)
	}
	whole, err := readRow(lines)
	last, end := readRow(lines)
	if string(whole) != "{\"i\":0}\n" || err != nil || string(last) != `{"i":1}` || !errors.Is(end, io.EOF) {
		t.Errorf("then %q, %v and %q, %v", whole, err, last, end)
	}
}
