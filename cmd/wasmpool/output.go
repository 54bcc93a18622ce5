package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/wasmpool/wasmpool/internal/filelock"
)

// An output is where the results of a map go.
type output struct {
	w      io.Writer
	file   *os.File       // what is to be on the disk; nil for what is no regular file
	opened *os.File       // what close closes
	lock   *filelock.Lock // on the file, or nil
}

// openOut opens the file for the results, where there is one, and says what is to
// run. of is what runs.
func (a *app) openOut(ctx context.Context, f *mapFlags, in input, dir *outDir, of string) (*output, *plan, error) {
	if f.streams() {
		return &output{w: io.Discard}, f.plan(), nil
	}
	if f.toStdout() {
		if file := regular(a.out); file != nil {
			return &output{w: file, file: file}, f.plan(), nil
		}
		return &output{w: newStream(ctx, a.out)}, f.plan(), nil
	}
	info, err := os.Stat(f.out)
	exists := err == nil && !info.IsDir()
	isFile := !exists || info.Mode().IsRegular()
	switch {
	case exists && in.reads(info):
		return nil, nil, fmt.Errorf("--out %s would overwrite the input: give another file", f.out)
	case f.resume && !isFile:
		return nil, nil, fmt.Errorf("--resume: %s is no regular file", f.out)
	case f.reduce != "" && !isFile:
		return nil, nil, fmt.Errorf("--reduce reads the results in --out again, and %s is no regular file", f.out)
	case !isFile || err != nil && !errors.Is(err, fs.ErrNotExist) || info != nil && info.IsDir():
		file, err := await(ctx, func() (*os.File, error) { return os.OpenFile(f.out, os.O_WRONLY|os.O_CREATE, 0o666) })
		if err != nil {
			return nil, nil, fmt.Errorf("writing the results: %w", err)
		}
		return &output{w: newStream(ctx, file), opened: file}, f.plan(), nil
	}
	lock, err := a.lockOut(ctx, "--out", f.out)
	if err != nil {
		return nil, nil, err
	}
	o, p, err := a.openLocked(ctx, f, in, dir, of, lock)
	if err != nil {
		lock.Release()
		return nil, nil, err
	}
	return o, p, nil
}

// openLocked opens a regular file for the results, to which nobody else writes.
func (a *app) openLocked(ctx context.Context, f *mapFlags, in input, dir *outDir, of string, lock *filelock.Lock) (*output, *plan, error) {
	if err := lock.LockFile(); err != nil {
		return nil, nil, err
	}
	info, err := os.Stat(f.out)
	if err == nil && info.Size() > 0 && !f.resume && !f.force {
		return nil, nil, fmt.Errorf("--out %s holds something already: --resume goes on with it, --force overwrites it", f.out)
	}
	if err := clearNext(f.out); err != nil {
		return nil, nil, err
	}
	p := f.plan()
	if f.resume {
		if p, err = a.resume(ctx, f, in, dir, of, lock); err != nil {
			return nil, nil, err
		}
	}
	file, err := os.OpenFile(f.out, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o666)
	if err != nil {
		return nil, nil, fmt.Errorf("writing the results: %w", err)
	}
	err = lock.LockFile() // the file is new, or another
	if err == nil && !f.resume {
		err = file.Truncate(0)
	}
	if err != nil {
		file.Close() //nolint:errcheck // nothing was written
		return nil, nil, err
	}
	return &output{heldFile{file, lock}, file, file, lock}, p, nil
}

// A heldFile is written only while its lock is held. A process may be stopped for long, and
// have lost it.
type heldFile struct {
	file *os.File
	lock *filelock.Lock
}

func (h heldFile) Write(b []byte) (int, error) {
	if err := h.lock.Hold(); err != nil {
		return 0, err
	}
	return h.file.Write(b)
}

// clearNext removes the new file that a map has left which was killed.
func clearNext(out string) error {
	next := realName(out) + nextSuffix
	info, err := os.Lstat(next)
	if err != nil {
		return nil //nolint:nilerr // there is none, as ever
	}
	if !info.Mode().IsRegular() || !looksTorn(startOf(next)) && !holdsResults(next, info) {
		return fmt.Errorf("--out %s needs %s when its results change, and that holds something else: give another --out", out, next)
	}
	return os.Remove(next)
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
		if err := errors.Join(o.lock.Beat(), o.inPlace()); err != nil {
			return err
		}
	}
	if o.file == nil {
		return nil
	}
	return o.file.Sync()
}

// inPlace returns an error if the file has not its name any more: editors, and sed -i, replace a
// file, and what is written to the old one is lost.
func (o *output) inPlace() error {
	info, err := o.file.Stat()
	if err == nil && !isFile(o.lock.File(), info) {
		err = fmt.Errorf("%s was removed, renamed or replaced while the map wrote to it", o.lock.File())
	}
	return err
}

// close closes what was opened, and lets others write to it.
func (o *output) close() error {
	var err error
	if o.opened != nil {
		err = o.opened.Close()
	}
	if o.lock != nil {
		o.lock.Release()
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

// lockOut takes the lock of a file or folder of results, which a flag names, or says who has it.
func (a *app) lockOut(ctx context.Context, flag, out string) (*filelock.Lock, error) {
	lock, err := filelock.Take(ctx, realName(out)+lockSuffix, filelock.Subject{What: flag, File: out, User: "another map", Say: noteWriter{a}})
	if errors.As(err, new(*fs.PathError)) {
		err = fmt.Errorf("writing the results: %w", err)
	}
	return lock, err
}

// A noteWriter writes lines as messages of the command.
type noteWriter struct{ app *app }

func (w noteWriter) Write(line []byte) (int, error) {
	return fmt.Fprintf(w.app.err, "wasmpool: %s", line)
}

// owns returns what tells files that belong to the results from inputs.
func (f *mapFlags) owns(a *app) func(name string) bool {
	ofResults := f.ownsResults(a)
	failed, dir := realName(f.failed), realName(f.outDir)
	ofView := f.pool.view.owns()
	return func(name string) bool {
		return ofResults(name) || ofView(name) || f.failed != "" && isBeside(name, failed) ||
			f.outDir != "" && (isBelow(name, dir) || isBelow(name, dir+goneSuffix))
	}
}

// An outputFlag is a flag that names a file, or a folder, and what it names; - and nothing are none.
type outputFlag struct{ flag, name string }

// checkOutputs returns an error if two of the files that flags name would be one, or one of them is
// what goes along with another: it would be overwritten.
func (f *mapFlags) checkOutputs() error {
	err := checkApart(append([]outputFlag{{"--out", f.out}, {"--failed", f.failed}, {"--out-dir", f.outDir}}, f.pool.view.outputs()...))
	if err != nil {
		return err
	}
	if f.failed != "" && f.outDir != "" && isBelow(f.failed, realName(f.outDir)) {
		return fmt.Errorf("--failed %s is in the folder of --out-dir, which has results only: give another file", f.failed)
	}
	return nil
}

// checkApart returns an error if two files are one, or one is what goes along with another.
func checkApart(files []outputFlag) error {
	files = slices.DeleteFunc(files, func(f outputFlag) bool { return f.name == "" || f.name == "-" })
	for i, one := range files {
		for k, other := range files {
			switch {
			case i < k && realName(one.name) == realName(other.name):
				return fmt.Errorf("%s and %s name the same file: give another one", one.flag, other.flag)
			case i != k && isBeside(one.name, realName(other.name)):
				return fmt.Errorf("%s %s is a file that %s %s needs for itself: give another one", one.flag, one.name, other.flag, other.name)
			}
		}
	}
	return nil
}

// isBelow reports whether a file is in a folder, or in one of that.
func isBelow(name, folder string) bool {
	rel, err := filepath.Rel(folder, realName(name))
	return err == nil && filepath.IsLocal(rel)
}

// ownsResults returns what tells the file of the results, and those beside it.
func (f *mapFlags) ownsResults(a *app) func(name string) bool {
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
		return hasResults && isFile(name, info) || isBeside(name, out)
	}
}

// isBeside reports whether a file is one of those beside another one.
func isBeside(name, other string) bool {
	switch suffix := filepath.Ext(name); suffix {
	case lockSuffix, nextSuffix, goneSuffix:
		return realName(name) == other+suffix
	}
	return false
}

func isFile(name string, info os.FileInfo) bool {
	other, err := os.Stat(name)
	return err == nil && os.SameFile(other, info)
}

// mostLinks bounds how many symbolic links a name may lead through.
const mostLinks = 40

// realName is the name of a file without symbolic links, also of one that is yet to be made.
func realName(name string) string {
	for range mostLinks {
		if target, err := filepath.EvalSymlinks(name); err == nil {
			name = target
			break
		}
		folder, base := filepath.Split(name)
		if target, err := filepath.EvalSymlinks(cmp.Or(folder, ".")); err == nil {
			folder = target
		}
		name = filepath.Join(folder, base)
		link, err := os.Readlink(name)
		if err != nil {
			break
		}
		if name = link; !filepath.IsAbs(link) {
			name = folder + string(filepath.Separator) + link // not cleaned: .. is of where links lead
		}
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
	start := startOf(name)
	return bytes.HasPrefix(start, []byte("{")) && bytes.Contains(start, []byte(`"of":`)) && bytes.Contains(start, []byte(`"ok":`))
}

// startOf returns the first bytes of a file, as far as they can be read.
func startOf(name string) []byte {
	file, err := os.Open(name)
	if err != nil {
		return nil
	}
	defer file.Close()
	start := make([]byte, 4<<10)
	n, _ := io.ReadFull(file, start) // fewer are as good
	return start[:n]
}
