package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/wasmpool/wasmpool/internal/filelock"
)

// failedInputs writes the inputs that failed, as a file that can be an input: a line each, which is
// JSON where inputs are rows or combinations of values, or, of files, their names, each of which ends
// in a NUL byte. The file is there when the map has ended, and whole.
type failedInputs struct {
	name  string // as the user has it
	files bool
	nul   bool // each input ends in a NUL byte
	lock  *filelock.Lock
	next  *outFile
	say   io.Writer // for messages
	wrote bool      // something
	lost  int64     // inputs that could not be read
	err   error     // the first
}

// openFailed begins the file of --failed, where that was given.
func (a *app) openFailed(ctx context.Context, f *mapFlags, in input) (*failedInputs, error) {
	if f.failed == "" {
		return nil, nil
	}
	info, err := os.Stat(f.failed)
	switch {
	case f.failed == "-":
		return nil, errors.New("--failed needs a file of its own: give its name")
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("--failed: %w", err)
	case err == nil && !info.Mode().IsRegular():
		return nil, fmt.Errorf("--failed %s is no regular file", f.failed)
	case err == nil && in.reads(info):
		return nil, fmt.Errorf("--failed %s would overwrite the input: give another file", f.failed)
	}
	lock, err := a.lockOut(ctx, "--failed", f.failed)
	if err != nil {
		return nil, err
	}
	next, err := openOutFile(realName(f.failed)+nextSuffix, os.O_TRUNC)
	if err != nil {
		lock.Release()
		return nil, fmt.Errorf("--failed: %w", err)
	}
	_, isFiles := in.(*fileInput)
	return &failedInputs{name: f.failed, files: isFiles, nul: isFiles || f.in.kind == "args-from", lock: lock, next: next, say: a.err}, nil
}

// wantsText reports whether add needs the text of inputs.
func (w *failedInputs) wantsText() bool { return w != nil && !w.files }

// add notes an input: its text, or the name of its file.
func (w *failedInputs) add(text []byte, file string) {
	switch {
	case w == nil:
	case w.files:
		w.write([]byte(file), "\x00")
	case text == nil:
		w.lost++
	case w.nul:
		w.write(text, "\x00")
	case len(text) > 0 && text[len(text)-1] == '\r': // one would count as a part of the line's end
		w.write(text, "\r\n")
	default:
		w.write(text, "\n")
	}
}

// write writes an input and its end. An error sticks.
func (w *failedInputs) write(text []byte, end string) {
	if !w.wrote && end != "\x00" && bytes.HasPrefix(text, []byte(byteOrderMark)) { // who reads the file skips one
		text = append([]byte(byteOrderMark), text...)
	}
	w.wrote = true
	if err := errors.Join(w.next.write(text), w.next.write([]byte(end))); err != nil && w.err == nil {
		w.err = err
	}
}

// abandon gives up what openFailed has begun.
func (w *failedInputs) abandon() {
	if w == nil {
		return
	}
	w.next.file.Close()                      //nolint:errcheck // nobody wants it
	os.Remove(realName(w.name) + nextSuffix) //nolint:errcheck // likewise
	w.lock.Release()
}

// finish puts the file in its place.
func (w *failedInputs) finish() error {
	if w == nil {
		return nil
	}
	defer w.lock.Release()
	name := realName(w.name)
	err := errors.Join(w.err, w.next.flush(), w.next.file.Close())
	if err == nil {
		err = os.Rename(name+nextSuffix, name)
		syncFolder(filepath.Dir(name))
	}
	if err != nil {
		os.Remove(name + nextSuffix) //nolint:errcheck // it is not whole
		return fmt.Errorf("writing the inputs that failed to %s: %w", w.name, err)
	}
	if w.lost > 0 {
		fmt.Fprintf(w.say, "wasmpool: %s lacks %d of the inputs that failed: they could not be read\n", w.name, w.lost)
	}
	return nil
}
