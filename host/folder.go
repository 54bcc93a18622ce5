package host

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// mostFiles is how many files a guest may have open. All guests of a process may have
// half as many as the process may, which has other uses for the rest.
const mostFiles = 256

var errManyFiles = fmt.Errorf("the guest has %d files open, or all guests half of what the process may have", mostFiles)

// A folderFS is a granted folder, as one instance sees it: regular files and folders, to
// be read.
type folderFS struct {
	root *os.Root
	in   *instance
	used bool // the folder itself was opened
}

// Open implements [fs.FS]. It does not wait: to open a pipe would, until somebody
// writes to it.
func (d *folderFS) Open(name string) (fs.File, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	if h := d.in.slot.host; d.in.files >= mostFiles || h.files.Load() >= h.mostFiles {
		return nil, &fs.PathError{Op: "open", Path: name, Err: errManyFiles}
	}
	info, err := d.root.Stat(name)
	if err != nil {
		return nil, err
	}
	if !plainFile(info) { // to open a device may already do something
		return nil, errNotPlain(name)
	}
	file, err := d.root.OpenFile(name, os.O_RDONLY|openAtOnce, 0)
	if err != nil {
		return nil, err
	}
	if info, err := file.Stat(); err != nil || !plainFile(info) { // it was replaced meanwhile
		file.Close() //nolint:errcheck // nothing was read
		return nil, errNotPlain(name)
	}
	d.in.files++
	d.in.slot.host.files.Add(1)
	root := name == "." && !d.used // wazero does this before the guest can
	if root {
		d.used = true
		d.in.roots++
	}
	return &openFile{File: file, in: d.in, root: root, waits: file.SetReadDeadline(time.Time{}) == nil}, nil
}

// errNotPlain is what a guest knows as "permission denied".
func errNotPlain(name string) error {
	return &fs.PathError{Op: "open", Path: name, Err: syscall.EACCES}
}

func plainFile(info fs.FileInfo) bool { return info.Mode().IsRegular() || info.IsDir() }
