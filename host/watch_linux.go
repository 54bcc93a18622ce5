package host

import (
	"encoding/binary"
	"os"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/wasmpool/wasmpool/internal/memory"
)

// Memory that is put back again and again becomes a private mapping of a file in memory, which holds it as it was. Then the
// system tells which pages were written: those that are not the file's any more. Only they are copied back.

const (
	// leastWatched is the size from which that is done: less is copied as fast.
	leastWatched = 256 << 10

	// Once one in dropShare pages was ever written all are dropped, so that the next read finds the file's. That costs more than
	// copying, so dropAfter restores must lie between.
	dropShare = 8
	dropAfter = 64
)

// A watch knows which pages of memory were written.
type watch struct {
	pages    []byte // what the system says of each, in 8 bytes
	restores int    // since all were dropped
}

// watchMemory makes memory that begins with a page the private mapping of a copy, which it returns, a mapping, too. Where the
// system cannot do it there is no copy, and the memory is as it was.
func watchMemory(view []byte) (same []byte, w *watch) {
	if len(view) < leastWatched || len(view)%os.Getpagesize() != 0 || pagemap() == nil {
		return nil, nil
	}
	same, err := mapPrivate(view)
	if err != nil {
		return nil, nil
	}
	return same, newWatch(view)
}

func newWatch(view []byte) *watch { return &watch{pages: make([]byte, len(view)/os.Getpagesize()*8)} }

func mapPrivate(view []byte) (same []byte, err error) {
	fd, err := unix.MemfdCreate("wasmpool", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)                                               //nolint:errcheck // it is in memory
	if err := unix.Fallocate(fd, 0, 0, int64(len(view))); err != nil { // else a write to it might find no memory
		return nil, err
	}
	if same, err = unix.Mmap(fd, 0, len(view), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return nil, err
	}
	memory.Copy(same, view)
	if _, err = unix.MmapPtr(fd, 0, unsafe.Pointer(&view[0]), uintptr(len(view)), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_FIXED); err != nil {
		releaseSpace(same)
		return nil, err
	}
	return same, nil
}

// restore puts the memory back to what the file has.
func (w *watch) restore(view, same []byte) {
	if w == nil || !w.look(view) {
		memory.Copy(view, same)
		return
	}
	size, written := os.Getpagesize(), 0
	for i := 0; i < len(w.pages)/8; i++ {
		from := i
		for i < len(w.pages)/8 && w.written(i) {
			i++
		}
		if from < i {
			written += i - from
			memory.Copy(view[from*size:i*size], same[from*size:i*size])
		}
	}
	if w.restores++; w.restores >= dropAfter && written > len(w.pages)/8/dropShare {
		w.restores = 0
		unix.Madvise(view, unix.MADV_DONTNEED) //nolint:errcheck // where that fails, they are copied
	}
}

// look asks the system about the pages.
func (w *watch) look(view []byte) bool {
	at := uintptr(unsafe.Pointer(&view[0])) / uintptr(os.Getpagesize()) * 8
	n, err := pagemap().ReadAt(w.pages, int64(at))
	return err == nil && n == len(w.pages)
}

// written reports whether the page is not the file's any more: it is in memory, or swapped out of it, and nobody else's.
func (w *watch) written(page int) bool {
	const present, swapped, file = 1 << 63, 1 << 62, 1 << 61
	says := binary.NativeEndian.Uint64(w.pages[8*page:])
	return says&(present|swapped) != 0 && says&file == 0
}

// pagemap returns the file in which the system says what the pages of this process are, or nil where it does not, or not as
// is known.
var pagemap = sync.OnceValue(func() *os.File {
	f, err := os.Open("/proc/self/pagemap")
	if err != nil {
		return nil
	}
	if !tells(f) {
		f.Close() //nolint:errcheck // it was only read
		return nil
	}
	return f
})

// tells reports whether pages that were read, written and left alone can be told apart.
func tells(f *os.File) bool {
	size := os.Getpagesize()
	view, err := mapSpace(uint64(4 * size))
	if err != nil {
		return false
	}
	defer releaseSpace(view)
	for i := range view {
		view[i] = 1
	}
	same, err := mapPrivate(view)
	if err != nil {
		return false
	}
	defer releaseSpace(same)
	w := newWatch(view)
	view[2*size] = view[0] + 1
	at := uintptr(unsafe.Pointer(&view[0])) / uintptr(size) * 8
	if n, err := f.ReadAt(w.pages, int64(at)); err != nil || n != len(w.pages) {
		return false
	}
	return !w.written(0) && !w.written(1) && w.written(2) && !w.written(3) && same[2*size] == 1
}
