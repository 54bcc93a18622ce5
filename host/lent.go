package host

import "io/fs"

// direntCost is what each entry of a folder costs that is read: the system is asked
// about it.
const direntCost = 1024

// Read implements [io.Reader].
func (l *lent) Read(p []byte) (int, error) { return l.in.inPieces(p, l.File.Read) }

// ReadAt implements [io.ReaderAt].
func (l *lent) ReadAt(p []byte, at int64) (int, error) {
	return l.in.inPieces(p, func(part []byte) (int, error) {
		n, err := l.File.ReadAt(part, at)
		at += int64(n)
		return n, err
	})
}

// Readdir reads the next n entries of a folder, as [os.File.Readdir] does.
func (l *lent) Readdir(n int) ([]fs.FileInfo, error) {
	list, err := l.File.Readdir(n)
	l.in.charge(direntCost * uint64(len(list)))
	return list, err
}
