package host

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"path"
	"slices"
	"strings"
)

const (
	// mostTreeNodes is how many files and folders a tree may have.
	mostTreeNodes = 1 << 20

	// mostTreeList bounds what the list of a zip file's entries takes, in bytes.
	mostTreeList = 64 << 20
)

// A Tree is what a zip or tar file holds: folders, and files that are read where they lie in
// it, or, where a zip file has them compressed, unpacked as they are opened. It is safe for
// concurrent use.
type Tree struct{ root *treeNode }

// A treeNode is a file or folder of a tree.
type treeNode struct {
	name    string
	inode   uint64
	folder  bool
	entries []*treeNode                   // of a folder, by their names
	size    int64                         // of a file
	at      int64                         // where it begins in the bytes of the tree
	packed  func() (io.ReadCloser, error) // reads one that is compressed; nil for others
}

// OpenTree reads the list of what a zip or tar file of so many bytes holds. A tar file must not be
// compressed, as it could not be read at any place; a zip file may be. Names lead
// down only, links and devices are left out, and of two entries of one name the last one
// counts. It blocks while it reads the list, from data.
func OpenTree(data io.ReaderAt, size int64) (*Tree, error) {
	head := make([]byte, 512)
	n, err := data.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	b := newTreeBuilder()
	switch head = head[:n]; {
	case bytes.HasPrefix(head, []byte("PK\x03\x04")), bytes.HasPrefix(head, []byte("PK\x05\x06")):
		err = b.zip(data, size)
	case len(head) >= 262 && string(head[257:262]) == "ustar":
		err = b.tar(data, size)
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}), bytes.HasPrefix(head, []byte("BZh")), bytes.HasPrefix(head, []byte("\xfd7zXZ")), bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		err = errors.New("it is compressed as a whole, so that its files cannot be read at any place: unpack it to a plain tar file, or make a zip file")
	default:
		err = errors.New("it is neither a zip nor a tar file")
	}
	if err != nil {
		return nil, err
	}
	b.sort()
	return &Tree{b.nodes["."]}, nil
}

// find returns the node of a path, "" for the tree itself, or nil.
func (t *Tree) find(name string) *treeNode {
	node := t.root
	for part := range strings.SplitSeq(name, "/") {
		if part == "" {
			continue
		}
		at, ok := slices.BinarySearchFunc(node.entries, part, func(n *treeNode, name string) int { return strings.Compare(n.name, name) })
		if !ok {
			return nil
		}
		node = node.entries[at]
	}
	return node
}

// A treeBuilder gathers nodes by their paths.
type treeBuilder struct{ nodes map[string]*treeNode }

func newTreeBuilder() *treeBuilder {
	return &treeBuilder{map[string]*treeNode{".": {name: ".", folder: true}}}
}

// add makes the node of a path, and the folders above it.
func (b *treeBuilder) add(name string, node treeNode) error {
	clean := path.Clean(strings.TrimLeft(name, "/"))
	if !fs.ValidPath(clean) || len(clean) > mostPath || strings.ContainsAny(clean, "\x00\\") {
		return fmt.Errorf("%.100q is no name for a file in it", name)
	}
	if clean == "." {
		return nil
	}
	if len(b.nodes) >= mostTreeNodes {
		return fmt.Errorf("it has more than %d files", mostTreeNodes)
	}
	parent, err := b.folder(path.Dir(clean), name)
	if err != nil {
		return err
	}
	if old := b.nodes[clean]; old != nil {
		if old.folder != node.folder {
			return fmt.Errorf("%.100q is a file and a folder in it", name)
		}
		old.size, old.at, old.packed = node.size, node.at, node.packed
		return nil
	}
	node.name, node.inode = path.Base(clean), uint64(len(b.nodes))
	b.nodes[clean] = &node
	parent.entries = append(parent.entries, &node)
	return nil
}

// folder returns the node of a folder that name lies in.
func (b *treeBuilder) folder(dir, name string) (*treeNode, error) {
	if b.nodes[dir] == nil {
		if err := b.add(dir, treeNode{folder: true}); err != nil {
			return nil, err
		}
	}
	if !b.nodes[dir].folder {
		return nil, fmt.Errorf("%.100q lies in a file", name)
	}
	return b.nodes[dir], nil
}

func (b *treeBuilder) sort() {
	for _, n := range b.nodes {
		slices.SortFunc(n.entries, func(a, b *treeNode) int { return strings.Compare(a.name, b.name) })
	}
}

// zip reads the list of a zip file.
func (b *treeBuilder) zip(data io.ReaderAt, size int64) error {
	bounded := &boundedReader{data: data, size: size, left: mostTreeList}
	defer func() { bounded.unbound = true }()
	r, err := zip.NewReader(bounded, size)
	if err != nil {
		return fmt.Errorf("its list of files: %w", err)
	}
	bounded.left = math.MaxInt64
	for _, f := range r.File {
		node := treeNode{folder: f.Mode().IsDir(), size: int64(f.UncompressedSize64)}
		if !node.folder && !f.Mode().IsRegular() {
			continue
		}
		if f.Flags&1 != 0 {
			return fmt.Errorf("%.100q in it is encrypted", f.Name)
		}
		if node.size < 0 || f.Method == zip.Store && f.UncompressedSize64 != f.CompressedSize64 {
			return fmt.Errorf("%.100q in it has a bad length", f.Name)
		}
		switch {
		case node.folder:
		case f.Method == zip.Store:
			if node.at, err = f.DataOffset(); err != nil {
				return fmt.Errorf("%.100q in it: %w", f.Name, err)
			}
			if node.at > size-node.size {
				return fmt.Errorf("%.100q in it goes on behind the end", f.Name)
			}
		case f.Method == zip.Deflate:
			packed := *f
			node.packed = packed.Open
		default:
			return fmt.Errorf("%.100q in it is compressed by method %d: only deflate is known", f.Name, f.Method)
		}
		if err := b.add(f.Name, node); err != nil {
			return err
		}
	}
	return nil
}

// tar reads the headers of a tar file.
func (b *treeBuilder) tar(data io.ReaderAt, size int64) error {
	file := io.NewSectionReader(data, 0, size)
	r := tar.NewReader(file)
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("its list of files: %w", err)
		}
		at, err := file.Seek(0, io.SeekCurrent)
		if err != nil {
			return err
		}
		switch h.Typeflag {
		case tar.TypeDir:
			err = b.add(h.Name, treeNode{folder: true})
		case tar.TypeReg:
			if hasHoles(h) {
				return fmt.Errorf("%.100q in it is stored with holes: make the file without --sparse", h.Name)
			}
			if at > size-h.Size {
				return fmt.Errorf("%.100q in it goes on behind the end", h.Name)
			}
			err = b.add(h.Name, treeNode{size: h.Size, at: at})
		case tar.TypeGNUSparse:
			return fmt.Errorf("%.100q in it is stored with holes: make the file without --sparse", h.Name)
		}
		if err != nil {
			return err
		}
	}
}

// hasHoles reports whether a file is stored with holes, in one of the ways that are told by records: the first had no version.
func hasHoles(h *tar.Header) bool {
	for name := range h.PAXRecords {
		if strings.HasPrefix(name, "GNU.sparse.") {
			return true
		}
	}
	return false
}

// A boundedReader gives the bytes of a zip file, so many in all until it is unbound, which is when the list of
// a tree was made.
type boundedReader struct {
	data    io.ReaderAt
	size    int64
	left    int64
	unbound bool
}

// A readError is that bytes of a zip file cannot be read: a fault of the node, and not of the file.
type readError struct{ error }

// Unwrap returns why.
func (e *readError) Unwrap() error { return e.error }

// ReadAt implements [io.ReaderAt].
func (r *boundedReader) ReadAt(p []byte, at int64) (int, error) {
	if !r.unbound {
		if r.left -= int64(len(p)); r.left < 0 {
			return 0, fmt.Errorf("it takes more than %d bytes", mostTreeList)
		}
	}
	n, err := r.data.ReadAt(p, at)
	if int64(n) < min(int64(len(p)), r.size-at) {
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		err = &readError{err}
	}
	return n, err
}
