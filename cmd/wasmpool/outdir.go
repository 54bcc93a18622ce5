package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"strconv"

	"github.com/wasmpool/wasmpool/internal/filelock"
)

// An outDir is the folder of --out-dir, with a file for each result. A file has the name of its
// input's, or the number of its input. It is there whole or not at all.
//
// The line of a result says which file has it, and its digest: so --resume sees a file that the
// line is not of, and one that a crash of the machine has left empty.
type outDir struct {
	name string            // as the user has it
	own  map[string]string // files in it that are no results, and what they are
	root *os.Root
	lock *filelock.Lock
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
	own, err := f.checkNames(in)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(f.outDir, 0o777); err != nil {
		return nil, fmt.Errorf("--out-dir: %w", err)
	}
	lock, err := a.lockOut(ctx, "--out-dir", f.outDir)
	if err != nil {
		return nil, err
	}
	d := &outDir{name: f.outDir, own: own, lock: lock}
	if _, failed := os.Stat(f.out); !f.resume || failed != nil {
		err = d.checkEmpty(own)
	}
	if err == nil {
		d.root, err = os.OpenRoot(f.outDir)
	}
	if err == nil {
		d.root.Remove(nextResult) //nolint:errcheck // one that was killed may have left it
	}
	if err != nil {
		lock.Release()
		return nil, fmt.Errorf("--out-dir %s: %w", f.outDir, err)
	}
	return d, nil
}

// checkEmpty returns an error if there is something in the folder but files of the map's own: nothing
// says what.
func (d *outDir) checkEmpty(own map[string]string) error {
	folder, err := os.Open(d.name)
	if err != nil {
		return err
	}
	defer folder.Close()
	for {
		names, err := folder.Readdirnames(1)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		if _, ok := own[names[0]]; !ok {
			return errors.New("it holds something already, and no --out F says what: give an empty folder (--resume goes on with one, with the --out that it had)")
		}
	}
}

// checkNames returns an error if two results would have the same file, or one that is used otherwise.
// It returns the names of files in the folder that are used otherwise, and for what.
func (f *mapFlags) checkNames(in input) (own map[string]string, err error) {
	used := map[string]string{nextResult: "what is being written"}
	if rel, err := filepath.Rel(realName(f.outDir), realName(f.out)); err == nil && !f.toStdout() {
		for _, suffix := range []string{"", lockSuffix, nextSuffix, goneSuffix} {
			used[filepath.ToSlash(rel)+suffix] = "--out"
		}
	}
	own = maps.Clone(used)
	if f.in.read && f.in.name != "-" && realName(f.in.name) != realName(f.outDir) && isBelow(f.in.name, realName(f.outDir)) {
		return nil, fmt.Errorf("--out-dir %s: the input %s is in it: give another folder", f.outDir, f.in.name)
	}
	files, ok := in.(*fileInput)
	if !ok {
		return own, nil // numbers differ
	}
	for i, file := range files.names {
		if files.list != nil && isBelow(file, realName(f.outDir)) {
			return nil, fmt.Errorf("--out-dir %s: the input %s is in it: give another folder", f.outDir, file)
		}
		name := resultName(int64(i), file)
		if other, ok := used[name]; ok {
			return nil, fmt.Errorf("--out-dir %s: the file %s would be of %s and of %s: give them to two maps", f.outDir, name, other, file)
		}
		used[name] = file
	}
	return own, f.checkFolders(used)
}

// checkFolders returns an error if the file of a result would be a folder of others, too.
func (f *mapFlags) checkFolders(used map[string]string) error {
	for name, file := range used {
		for folder := path.Dir(name); folder != "." && folder != "/"; folder = path.Dir(folder) {
			other, ok := used[folder]
			if ok && !isFolder(other) { // which has no result
				return fmt.Errorf("--out-dir %s: %s would be the file of %s and a folder of %s: give them to two maps", f.outDir, folder, other, file)
			}
		}
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
func (d *outDir) settle(ctx context.Context, s *survey, p *plan, gone map[string]struct{}) error {
	if d == nil {
		return nil
	}
	settle := d.settleNumbers
	if s.files {
		settle = d.settleFiles
	}
	if err := settle(ctx, s, p, gone); err != nil {
		return fmt.Errorf("--resume: in %s: %w", d.name, err)
	}
	return nil
}

// settleFiles is settle for results that are named by files. What is there and of no input is of one that is
// gone, whose line may be lost, too.
func (d *outDir) settleFiles(ctx context.Context, s *survey, p *plan, gone map[string]struct{}) error {
	stays := make(map[string]bool, s.n) // by the name of the result of an input
	for i := range s.n {
		stays[resultName(i, s.in.file(i))] = s.taken.has(i) || !p.part.has(i)
	}
	folder := realName(d.name)
	return filepath.WalkDir(folder, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || ctx.Err() != nil {
			return cmp.Or(err, context.Cause(ctx))
		}
		name, err := filepath.Rel(folder, file)
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		name = filepath.ToSlash(name)
		_, isOwn := d.own[name]
		_, isGone := gone[name]
		if stay, known := stays[name]; isOwn || stay {
			return nil
		} else if known && !isGone {
			return d.root.Remove(name)
		}
		return d.setAside(name)
	})
}

// settleNumbers is settle for results that are named by numbers. It goes through what is there: there
// may be very many numbers.
func (d *outDir) settleNumbers(ctx context.Context, s *survey, p *plan, gone map[string]struct{}) error {
	folder, err := os.Open(d.name)
	if err != nil {
		return err
	}
	defer folder.Close()
	for ctx.Err() == nil {
		names, err := folder.Readdirnames(4096)
		for _, name := range names {
			i, failed := strconv.ParseInt(name, 10, 64)
			_, isGone := gone[name]
			switch {
			case failed != nil || name != resultName(i, "") || i < 0 || i < s.n && s.taken.has(i):
			case isGone || i >= s.n: // the line of such a one may be lost, too
				err = cmp.Or(d.setAside(name), err)
			case p.part.has(i):
				err = cmp.Or(d.root.Remove(name), err)
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return context.Cause(ctx)
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
	free := to
	for n := 2; ; n++ {
		if _, err := os.Lstat(free); err != nil {
			break
		}
		free = to + "." + strconv.Itoa(n) // that of an input which had the name before
	}
	return os.Rename(from, free)
}

// beat shows others that somebody writes.
func (d *outDir) beat() error {
	if d == nil {
		return nil
	}
	return d.lock.Beat()
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
	d.lock.Release()
	return d.root.Close()
}
