package host

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/sys"
)

// SharedFolder is where a guest that opens files finds its call's shared inputs.
const SharedFolder = "/shared"

// A sharedFS shows the shared inputs of the call that runs as read-only files, and those
// with a tree as folders. Nothing of it lies in a folder of the node.
type sharedFS struct {
	in   *instance
	used bool // the folder itself was opened
}

// mount adds the folder of shared inputs to what an instance sees.
func (in *instance) mount(cfg wazero.FSConfig) wazero.FSConfig {
	return cfg.WithFSMount(&sharedFS{in: in}, SharedFolder)
}

// Open implements [fs.FS].
func (d *sharedFS) Open(name string) (fs.File, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	if d.in.files >= mostFiles {
		return nil, &fs.PathError{Op: "open", Path: name, Err: errManyFiles}
	}
	file, err := d.open(name)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	d.in.files++
	if name == "." && !d.used { // wazero does this before the guest can
		d.used = true
		d.in.roots++
		file.root = true
	}
	return file, nil
}

// open finds what a name stands for.
func (d *sharedFS) open(name string) (*sharedFile, error) {
	if name == "." {
		return &sharedFile{in: d.in, node: d.list(), fs: d, call: d.in.calls}, nil
	}
	first, rest, _ := strings.Cut(name, "/")
	s := d.in.slot.shared([]byte(first))
	switch {
	case s == nil:
		return nil, fs.ErrNotExist
	case s.Tree != nil:
		node := s.Tree.find(rest)
		if node == nil {
			return nil, fs.ErrNotExist
		}
		return d.openNode(s, node)
	case rest != "":
		return nil, syscall.ENOTDIR
	}
	return &sharedFile{in: d.in, of: s, node: fileNode(s)}, nil
}

// list returns the folder of all shared inputs.
func (d *sharedFS) list() *treeNode {
	folder := &treeNode{name: path.Base(SharedFolder), folder: true}
	if c := d.in.slot.call; c != nil {
		for i := range c.Shared {
			folder.entries = append(folder.entries, fileNode(&c.Shared[i]))
		}
	}
	slices.SortFunc(folder.entries, func(a, b *treeNode) int { return strings.Compare(a.name, b.name) })
	return folder
}

// fileNode returns a shared input as an entry of the folder of all.
func fileNode(s *Shared) *treeNode {
	return &treeNode{name: s.Name, size: s.Len, folder: s.Tree != nil}
}

// openNode opens what a tree holds.
func (d *sharedFS) openNode(s *Shared, node *treeNode) (*sharedFile, error) {
	f := &sharedFile{in: d.in, of: s, node: node}
	if node.packed == nil {
		return f, nil
	}
	unpacked, err := d.unpack(s, node)
	f.unpacked = unpacked
	return f, err
}

// inflateCost is how many instructions a byte counts that is unpacked.
const inflateCost = 4

// An unpacked file is in memory of the process, in its account.
type unpacked struct{ block }

// unpack reads a file of a tree that is compressed there. Its length is what the tree says, so
// that no memory is taken beyond that. A file that is not as the tree says is an error for the guest, on each node the same; where its
// bytes cannot be read the call ends.
func (d *sharedFS) unpack(of *Shared, node *treeNode) (*unpacked, error) {
	in := d.in
	u := &unpacked{block{account: in.slot.host.memory}}
	sound := false
	defer func() { // the call may end in here, too
		if !sound {
			u.free()
		}
	}()
	size := uint64(node.size)
	err := u.grow(size, size)
	if err != nil && in.slot.retireOthers(&in.linear) {
		err = u.grow(size, size)
	}
	if err != nil { // what a guest sees must not depend on what else runs
		raise(&abort{kind: KindMemory, message: fmt.Sprintf("there is no memory to unpack %s of the shared input %s: %v", node.name, of.Name, err), err: err})
	}
	in.charge(size * inflateCost)
	in.settle()
	in.check()
	u.space = u.space[:size]
	switch err := in.inflate(u.space, node); {
	case errors.As(err, new(*readError)):
		raise(unreadable(of, err))
	case err != nil:
		return nil, errors.Join(syscall.EIO, err)
	}
	sound = true
	return u, nil
}

// inflate reads a file that is compressed in a tree, a piece at a time.
func (in *instance) inflate(dst []byte, node *treeNode) error {
	r, err := node.packed()
	if err != nil {
		return err
	}
	defer r.Close() //nolint:errcheck // it was only read
	if n, err := in.inPieces(dst, func(part []byte) (int, error) { return io.ReadFull(r, part) }); n < len(dst) {
		return err
	}
	switch n, err := r.Read(make([]byte, 1)); { // which is also where its checksum is looked at
	case n > 0 || err == nil:
		return errors.New("it is longer than the tree says")
	case errors.Is(err, io.EOF):
		return nil
	default:
		return err
	}
}

// ReadAt implements [io.ReaderAt].
func (u *unpacked) ReadAt(p []byte, at int64) (int, error) {
	if at >= int64(len(u.space)) {
		return 0, io.EOF
	}
	n := copy(p, u.space[at:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// A sharedFile is an open file or folder below /shared. It can be read while a call runs
// that has the shared input.
type sharedFile struct {
	in       *instance
	of       *Shared // as the call had it that opened the file; nil for the folder of all
	node     *treeNode
	unpacked *unpacked // nil unless it is compressed in a tree
	at       int64     // where the next Read begins; of a folder, the next entry
	fs       *sharedFS // that of the folder of all
	call     int       // of the instance, for which that lists the inputs
	root     bool      // it is the folder that the instance started with
	closed   bool
}

// errNotShared is what a guest knows as "bad descriptor".
var errNotShared = syscall.EBADF

// source returns what the file shows, as the call that runs has it: an error where it has not got
// that.
func (f *sharedFile) source() (*Shared, error) {
	if f.closed {
		return nil, errNotShared
	}
	if f.of == nil {
		return nil, nil
	}
	if now := f.in.slot.shared([]byte(f.of.Name)); now != nil && now.Digest == f.of.Digest && (now.Tree == nil) == (f.of.Tree == nil) {
		return now, nil
	}
	return nil, errNotShared
}

// Stat implements [fs.File].
func (f *sharedFile) Stat() (fs.FileInfo, error) { return f.node, nil }

// Close implements [io.Closer].
func (f *sharedFile) Close() error {
	if f.closed {
		return fs.ErrClosed
	}
	f.closed = true
	f.in.files--
	if f.root {
		f.in.roots--
	}
	if f.unpacked != nil {
		f.unpacked.free()
	}
	return nil
}

// Read implements [io.Reader].
func (f *sharedFile) Read(p []byte) (int, error) {
	n, err := f.ReadAt(p, f.at)
	f.at += int64(n)
	if n > 0 && errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

// ReadAt implements [io.ReaderAt].
func (f *sharedFile) ReadAt(p []byte, at int64) (int, error) {
	s, err := f.source()
	switch {
	case err != nil:
		return 0, err
	case f.node.folder:
		return 0, syscall.EISDIR
	case at < 0:
		return 0, syscall.EINVAL
	case at >= f.node.size:
		return 0, io.EOF
	}
	var end error
	if left := f.node.size - at; int64(len(p)) > left {
		p, end = p[:left], io.EOF
	}
	var n int
	if f.unpacked != nil {
		n, err = f.in.readShared(f.unpacked, p, at)
	} else {
		n, err = f.in.readShared(s.Data, p, f.node.at+at)
	}
	if n < len(p) { // what a guest sees must not depend on the node's disk
		raise(unreadable(s, err))
	}
	return n, end
}

// Seek implements [io.Seeker].
func (f *sharedFile) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekStart:
	case io.SeekCurrent:
		offset += f.at
	case io.SeekEnd:
		offset += f.node.size
	default:
		return 0, syscall.EINVAL
	}
	if offset < 0 {
		return 0, syscall.EINVAL
	}
	f.at = offset
	return offset, nil
}

// Readdir reads the next n entries of a folder, as [os.File.Readdir] does for a
// positive n.
func (f *sharedFile) Readdir(n int) ([]fs.FileInfo, error) {
	if _, err := f.source(); err != nil {
		return nil, err
	}
	if !f.node.folder {
		return nil, syscall.ENOTDIR
	}
	if f.fs != nil && f.call != f.in.calls { // it was opened for a call that may have had others
		f.node, f.call = f.fs.list(), f.in.calls
	}
	if n > mostListed {
		return nil, syscall.EINVAL
	}
	left := f.node.entries[min(f.at, int64(len(f.node.entries))):]
	if n > 0 {
		if len(left) == 0 {
			return nil, io.EOF
		}
		left = left[:min(n, len(left))]
	}
	var list []fs.FileInfo
	for part := range slices.Chunk(left, listedPiece) {
		f.in.charge(direntCost * uint64(len(part)))
		for _, node := range part {
			list = append(list, node)
		}
		f.in.check()
	}
	f.at += int64(len(list))
	return list, nil
}

// What follows makes a treeNode the [fs.FileInfo] of what it stands for.

// Name implements [fs.FileInfo].
func (n *treeNode) Name() string { return n.name }

// Size implements [fs.FileInfo].
func (n *treeNode) Size() int64 {
	if n.folder {
		return 0
	}
	return n.size
}

// Mode implements [fs.FileInfo].
func (n *treeNode) Mode() fs.FileMode {
	if n.folder {
		return fs.ModeDir | 0o555
	}
	return 0o444
}

// ModTime implements [fs.FileInfo]: when a guest's clock starts, on every node.
func (n *treeNode) ModTime() time.Time { return time.Unix(0, epoch) }

// IsDir implements [fs.FileInfo].
func (n *treeNode) IsDir() bool { return n.folder }

// Sys implements [fs.FileInfo]. Some guests look at the inode, which must not be 0.
func (n *treeNode) Sys() any {
	return &sys.Stat_t{Ino: n.inode + 1, Mode: n.Mode(), Nlink: 1, Size: n.Size(), Atim: epoch, Mtim: epoch, Ctim: epoch}
}
