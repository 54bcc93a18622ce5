package main

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
)

// An outDir is the folder of --out-dir, with a file for each result. A file has the name of its
// input's, or the number of its input. It is there whole or not at all.
//
// The line of a result says which file has it, and its digest: so --resume sees a file that the
// line is not of, and one that a crash of the machine has left empty.
type outDir struct {
	name string // as the user has it
	root *os.Root
	lock *outLock
}

// A storedFile is the file of a result: its name in the folder, and the result's digest.
type storedFile struct {
	name string
	sum  digest
}

// nextResult is the file that becomes the next result's.
const nextResult = ".wasmpool.next"

// openOutDir opens the folder of --out-dir, where that was given. Nobody else writes to it.
func (a *app) openOutDir(ctx context.Context, f *mapFlags, in input) (*outDir, error) {
	if f.outDir == "" {
		return nil, nil
	}
	if err := f.checkNames(in); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(f.outDir, 0o777); err != nil {
		return nil, fmt.Errorf("--out-dir: %w", err)
	}
	lock, err := a.lockOut(ctx, "--out-dir", f.outDir)
	if err != nil {
		return nil, err
	}
	d := &outDir{name: f.outDir, lock: lock}
	if !f.resume {
		err = d.checkEmpty()
	}
	if err == nil {
		d.root, err = os.OpenRoot(f.outDir)
	}
	if err == nil {
		d.root.Remove(nextResult) //nolint:errcheck // one that was killed may have left it
	}
	if err != nil {
		lock.release()
		return nil, fmt.Errorf("--out-dir %s: %w", f.outDir, err)
	}
	return d, nil
}

// checkEmpty returns an error if there is something in the folder: nothing says what.
func (d *outDir) checkEmpty() error {
	folder, err := os.Open(d.name)
	if err != nil {
		return err
	}
	defer folder.Close()
	if _, err := folder.Readdirnames(1); !errors.Is(err, io.EOF) {
		return errors.New("it holds something already: give an empty folder (--out F and --resume go on with one)")
	}
	return nil
}

// checkNames returns an error if two results would have the same file, or one that is used otherwise.
func (f *mapFlags) checkNames(in input) error {
	used := map[string]string{nextResult: "what is being written"}
	if rel, err := filepath.Rel(realName(f.outDir), realName(f.out)); err == nil && !f.toStdout() {
		for _, suffix := range []string{"", lockSuffix, nextSuffix, goneSuffix} {
			used[filepath.ToSlash(rel)+suffix] = "--out"
		}
	}
	files, ok := in.(*fileInput)
	if !ok {
		return nil // numbers differ
	}
	for i, file := range files.names {
		if files.list != nil && isBelow(file, realName(f.outDir)) {
			return fmt.Errorf("--out-dir %s: the input %s is in it: give another folder", f.outDir, file)
		}
		name := resultName(int64(i), file)
		if other, ok := used[name]; ok {
			return fmt.Errorf("--out-dir %s: the file %s would be of %s and of %s: give them to two maps", f.outDir, name, other, file)
		}
		used[name] = file
	}
	return nil
}

// resultName is the name of a result's file in the folder. That of a file leaves out what would
// lead out of the folder, as tar does.
func resultName(i int64, file string) string {
	if file == "" {
		return strconv.FormatInt(i, 10)
	}
	file = file[len(filepath.VolumeName(file)):]
	return path.Clean("/" + filepath.ToSlash(file))[1:]
}

// write writes a result to its file.
func (d *outDir) write(r record, out []byte) (storedFile, error) {
	name := resultName(r.i, r.file)
	err := d.root.WriteFile(nextResult, out, 0o666)
	if err == nil {
		err = d.root.Rename(nextResult, name)
	}
	if errors.Is(err, fs.ErrNotExist) {
		if err = d.root.MkdirAll(path.Dir(name), 0o777); err == nil {
			err = d.root.Rename(nextResult, name)
		}
	}
	if err != nil {
		d.root.Remove(nextResult) //nolint:errcheck // the first error tells more
		return storedFile{}, fmt.Errorf("in %s: %w", d.name, err)
	}
	return storedFile{name, digestOf(out)}, nil
}

// holds reports whether the file of a result is there, and is of that result.
func (d *outDir) holds(f storedFile) bool {
	file, err := d.root.Open(f.name)
	if err != nil {
		return false
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return false
	}
	hash := sha256.New()
	_, err = io.Copy(hash, file)
	return err == nil && digest(binary.BigEndian.Uint64(hash.Sum(nil))) == f.sum
}

// settle makes the folder of a map that goes on have the files of results that count, and no
// others that would be taken for them: those of inputs that are to run are removed, and those of
// inputs that are gone, of which some are named, are moved to a folder beside.
func (d *outDir) settle(s *survey, p *plan, gone map[string]struct{}) error {
	if d == nil {
		return nil
	}
	name := func(i int64) string { return resultName(i, s.in.file(i)) }
	var err error
	if !s.files {
		err = d.beyond(s.n, gone)
	}
	for i := int64(0); i < s.n && len(gone) > 0; i++ {
		if s.taken.has(i) {
			delete(gone, name(i))
		}
	}
	for file := range gone {
		err = errors.Join(err, d.setAside(file))
	}
	for i := p.next(0); i >= 0; i = p.next(i + 1) {
		if failed := d.root.Remove(name(i)); failed != nil && !errors.Is(failed, fs.ErrNotExist) {
			err = errors.Join(err, failed)
			break
		}
	}
	if err != nil {
		return fmt.Errorf("--resume: in %s: %w", d.name, err)
	}
	return nil
}

// beyond adds the files with numbers that no input has: a line may be lost, too.
func (d *outDir) beyond(inputs int64, gone map[string]struct{}) error {
	folder, err := os.Open(d.name)
	if err != nil {
		return err
	}
	defer folder.Close()
	for {
		names, err := folder.Readdirnames(4096)
		for _, name := range names {
			if i, failed := strconv.ParseInt(name, 10, 64); failed == nil && i >= inputs && name == resultName(i, "") {
				gone[name] = struct{}{}
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// setAside moves a file to the folder beside.
func (d *outDir) setAside(name string) error {
	if !filepath.IsLocal(filepath.FromSlash(name)) {
		return nil // no map has written that
	}
	from, to := filepath.Join(d.name, filepath.FromSlash(name)), filepath.Join(realName(d.name)+goneSuffix, filepath.FromSlash(name))
	if _, err := os.Lstat(from); err != nil {
		return nil //nolint:nilerr // it is gone already
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o777); err != nil {
		return err
	}
	return os.Rename(from, to)
}

// beat shows others that somebody writes.
func (d *outDir) beat() error {
	if d == nil {
		return nil
	}
	return d.lock.beat()
}

// sync has what was written be on the disk.
func (d *outDir) sync() error {
	if d == nil {
		return nil
	}
	return syncFiles(d.name)
}

// close lets others write to the folder.
func (d *outDir) close() error {
	if d == nil {
		return nil
	}
	d.lock.release()
	return d.root.Close()
}
