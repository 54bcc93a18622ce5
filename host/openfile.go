package host

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
	"time"
)

const (
	// direntCost is what each entry of a folder costs that is read: the system is
	// asked about it.
	direntCost = 1024

	// mostListed is how many entries of a folder a guest may ask for at once: a list
	// of them is made before the guest gets the first. Those of Go and C ask for some
	// hundred.
	mostListed = 1 << 16

	// listedPiece is how many of them are read without a look whether the call is to
	// end.
	listedPiece = 256

	// readPatience is how long a read waits without such a look.
	readPatience = 10 * time.Millisecond
)

// An openFile counts until it is closed. However much a guest reads of it, and
// however long it waits, its call can be ended.
type openFile struct {
	*os.File
	in    *instance
	waits bool // a read may, as of a log of the system
	root  bool // it is a folder that the guest was granted
}

// Close implements [io.Closer].
func (f *openFile) Close() error {
	err := f.File.Close()
	if err == nil {
		f.in.files--
		f.in.slot.host.files.Add(-1)
		if f.root {
			f.in.roots--
		}
	}
	return err
}

// Read implements [io.Reader].
func (f *openFile) Read(p []byte) (int, error) { return f.in.inPieces(p, f.read) }

// read reads once.
func (f *openFile) read(part []byte) (int, error) {
	for f.waits {
		f.SetReadDeadline(time.Now().Add(readPatience)) //nolint:errcheck // it has been set before
		n, err := f.File.Read(part)
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		f.in.check()
	}
	return f.File.Read(part)
}

// ReadAt implements [io.ReaderAt].
func (f *openFile) ReadAt(p []byte, at int64) (int, error) {
	return f.in.inPieces(p, func(part []byte) (int, error) {
		n, err := f.File.ReadAt(part, at)
		at += int64(n)
		return n, err
	})
}

// Readdir reads the next n entries of a folder, as [os.File.Readdir] does for a
// positive n.
func (f *openFile) Readdir(n int) (list []fs.FileInfo, err error) {
	if n > mostListed {
		return nil, &fs.PathError{Op: "readdir", Path: f.Name(), Err: syscall.EINVAL}
	}
	for len(list) < n {
		part, err := f.File.Readdir(min(n-len(list), listedPiece))
		f.in.charge(direntCost * uint64(len(part)))
		list = append(list, part...)
		if len(part) == 0 || err != nil {
			return list, err
		}
		f.in.check()
	}
	return list, nil
}
