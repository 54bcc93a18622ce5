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
	"strings"
)

// An output is where the results of a map go.
type output struct {
	w      io.Writer
	file   *os.File // what is to be on the disk; nil for what is no regular file
	opened *os.File // what close closes
	lock   *outLock // on the file, or nil
}

// openOut opens the file for the results, where there is one, and says what is to
// run. of is what runs.
func (a *app) openOut(ctx context.Context, f *mapFlags, in input, of string) (*output, *plan, error) {
	if f.toStdout() {
		return &output{w: a.out, file: regular(a.out)}, new(plan), nil
	}
	info, err := os.Stat(f.out)
	exists := err == nil && !info.IsDir()
	isFile := !exists || info.Mode().IsRegular()
	switch {
	case exists && in.reads(info):
		return nil, nil, fmt.Errorf("--out %s would overwrite the input: give another file", f.out)
	case f.resume && !isFile:
		return nil, nil, fmt.Errorf("--resume: %s is no regular file", f.out)
	case !isFile || err != nil && !errors.Is(err, fs.ErrNotExist) || info != nil && info.IsDir():
		file, err := openStream(ctx, f.out)
		if err != nil {
			return nil, nil, err
		}
		return &output{w: file, opened: file}, new(plan), nil
	}
	lock, err := a.lockOut(ctx, f.out)
	if err != nil {
		return nil, nil, err
	}
	o, p, err := a.openLocked(f, of, lock)
	if err != nil {
		lock.release()
		return nil, nil, err
	}
	return o, p, nil
}

// openLocked opens a regular file for the results, to which nobody else writes.
func (a *app) openLocked(f *mapFlags, of string, lock *outLock) (*output, *plan, error) {
	info, err := os.Stat(f.out)
	if err == nil && info.Size() > 0 && !f.resume && !f.force {
		return nil, nil, fmt.Errorf("--out %s holds something already: --resume goes on with it, --force overwrites it", f.out)
	}
	os.Remove(realName(f.out) + nextSuffix) //nolint:errcheck // one that was killed may have left it
	p := new(plan)
	if f.resume {
		if p, err = a.resume(f, of); err != nil {
			return nil, nil, err
		}
	}
	file, err := os.OpenFile(f.out, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o666)
	if err != nil {
		return nil, nil, fmt.Errorf("writing the results: %w", err)
	}
	err = lock.lockData()
	if err == nil && !f.resume {
		err = file.Truncate(0)
	}
	if err != nil {
		file.Close() //nolint:errcheck // nothing was written
		return nil, nil, err
	}
	return &output{file, file, file, lock}, p, nil
}

// openStream opens what is no regular file, for writing. A pipe may wait for its reader for
// ever, and ctx ends that.
func openStream(ctx context.Context, name string) (*os.File, error) {
	type opened struct {
		file *os.File
		err  error
	}
	done := make(chan opened, 1)
	go func() { // it may never end, but with the process
		file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE, 0o666)
		done <- opened{file, err}
	}()
	select {
	case o := <-done:
		if o.err != nil {
			return nil, fmt.Errorf("writing the results: %w", o.err)
		}
		return o.file, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// regular returns the file behind a stream, if it is a regular one.
func regular(w io.Writer) *os.File {
	file, ok := w.(*os.File)
	if !ok {
		return nil
	}
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil
	}
	return file
}

// sync has what was written be on the disk, and shows others that somebody writes.
func (o *output) sync() error {
	if o.lock != nil {
		if err := o.lock.beat(); err != nil {
			return err
		}
	}
	if o.file == nil {
		return nil
	}
	return o.file.Sync()
}

// close closes what was opened, and lets others write to it.
func (o *output) close() error {
	var err error
	if o.opened != nil {
		err = o.opened.Close()
	}
	if o.lock != nil {
		o.lock.release()
	}
	return err
}

// toStdout reports whether the results go to standard output.
func (f *mapFlags) toStdout() bool { return f.out == "" || f.out == "-" }

// Files beside that of the results, by what follows its name.
const (
	lockSuffix = ".lock" // says who writes
	nextSuffix = ".next" // takes the file's place when it is complete
	goneSuffix = ".gone" // has results whose inputs are gone
)

// owns returns what tells files that belong to the results from inputs.
func (f *mapFlags) owns(a *app) func(name string) bool {
	if f.toStdout() {
		stdout := regular(a.out)
		if stdout == nil {
			return func(string) bool { return false }
		}
		info, err := stdout.Stat()
		return func(name string) bool { return err == nil && isFile(name, info) }
	}
	out := realName(f.out)
	info, err := os.Stat(out)
	hasResults := err == nil && holdsResults(out, info)
	return func(name string) bool {
		if hasResults && isFile(name, info) {
			return true
		}
		switch filepath.Ext(name) {
		case lockSuffix, nextSuffix, goneSuffix:
			return strings.HasPrefix(realName(name), out+".")
		}
		return false
	}
}

func isFile(name string, info os.FileInfo) bool {
	other, err := os.Stat(name)
	return err == nil && os.SameFile(other, info)
}

// realName is the name of a file without symbolic links, as far as there is one.
func realName(name string) string {
	if target, err := filepath.EvalSymlinks(name); err == nil {
		name = target
	}
	if abs, err := filepath.Abs(name); err == nil {
		name = abs
	}
	return name
}

// holdsResults reports whether a file is empty, or begins with a result.
func holdsResults(name string, info os.FileInfo) bool {
	if !info.Mode().IsRegular() || info.Size() == 0 {
		return info.Mode().IsRegular()
	}
	file, err := os.Open(name)
	if err != nil {
		return false
	}
	defer file.Close()
	start := make([]byte, 4<<10)
	n, _ := io.ReadFull(file, start) // fewer are as good
	start = start[:n]
	return bytes.HasPrefix(start, []byte("{")) && bytes.Contains(start, []byte(`"of":`)) && bytes.Contains(start, []byte(`"ok":`))
}
