package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// A rawWriter makes what map writes with --raw: results as they are. What failed it says on
// standard error.
type rawWriter struct {
	say io.Writer
	buf []byte
}

// success returns a result, with a newline at its end. It is valid until the next one.
func (w *rawWriter) success(out []byte) []byte {
	w.buf = append(w.buf[:0], out...)
	if !bytes.HasSuffix(out, []byte("\n")) {
		w.buf = append(w.buf, '\n')
	}
	return w.buf
}

// failure says that an input failed.
func (w *rawWriter) failure(r record, kind, message string) {
	of := fmt.Sprintf("input %d", r.i)
	if r.file != "" {
		of += ", " + r.file + ","
	}
	fmt.Fprintf(w.say, "wasmpool: %s failed (%s): %s\n", of, kind, oneLine(errors.New(message)))
}
