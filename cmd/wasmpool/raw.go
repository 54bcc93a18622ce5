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
}

// appendRaw appends a result as it is, with a newline at its end.
func appendRaw(dst, out []byte) []byte {
	dst = append(dst, out...)
	if !bytes.HasSuffix(out, []byte("\n")) {
		dst = append(dst, '\n')
	}
	return dst
}

// failure says that an input failed.
func (w *rawWriter) failure(r *record, kind, message string) {
	of := fmt.Sprintf("input %d", r.i)
	if r.file != "" {
		of += ", " + r.file + ","
	}
	fmt.Fprintf(w.say, "wasmpool: %s failed (%s): %s\n", of, kind, oneLine(errors.New(message)))
}
