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

// A lent file counts until it is closed. However much a guest reads of it, and
// however long it waits, its call can be ended.
type lent struct {
	*os.File
	in    *instance
	waits bool // a read may, as of a log of the system
	root  bool // it is a folder that the guest was granted
}

// Close implements [io.Closer].
func (l *lent) Close() error {
	err := l.File.Close()
	if err == nil {
		l.in.files--
		l.in.slot.host.files.Add(-1)
		if l.root {
			l.in.roots--
		}
	}
	return err
}

// Read implements [io.Reader].
func (l *lent) Read(p []byte) (int, error) { return l.in.inPieces(p, l.read) }

// read reads once.
func (l *lent) read(part []byte) (int, error) {
	for l.waits {
		l.SetReadDeadline(time.Now().Add(readPatience)) //nolint:errcheck // it has been set before
		n, err := l.File.Read(part)
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		l.in.check()
	}
	return l.File.Read(part)
}

// ReadAt implements [io.ReaderAt].
func (l *lent) ReadAt(p []byte, at int64) (int, error) {
	return l.in.inPieces(p, func(part []byte) (int, error) {
		n, err := l.File.ReadAt(part, at)
		at += int64(n)
		return n, err
	})
}

// Readdir reads the next n entries of a folder, as [os.File.Readdir] does for a
// positive n.
func (l *lent) Readdir(n int) (list []fs.FileInfo, err error) {
	if n > mostListed {
		return nil, &fs.PathError{Op: "readdir", Path: l.Name(), Err: syscall.EINVAL}
	}
	for len(list) < n {
		part, err := l.File.Readdir(min(n-len(list), listedPiece))
		l.in.charge(direntCost * uint64(len(part)))
		list = append(list, part...)
		if len(part) == 0 || err != nil {
			return list, err
		}
		l.in.check()
	}
	return list, nil
}
