package host

import (
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"

	esys "github.com/tetratelabs/wazero/experimental/sys"
	"github.com/tetratelabs/wazero/sys"
)

const (
	// scratchFolder is where programs put their temporary files.
	scratchFolder = "/tmp"

	// mostScratch is how many files and folders a command may have in memory, and scratchCost how many bytes of
	// its memory each counts besides what is in it.
	mostScratch = 1 << 16
	scratchCost = 1024

	// mostName is how many bytes the name of one may have: what Linux takes.
	mostName = 255

	// scratchDevice tells its files apart from all others, also where their numbers are the same.
	scratchDevice = 1<<32 + 1
)

// A scratch is the file system that a command has for itself: files and folders in memory, which it finds empty
// but for the folder tmp, and which are gone after the call. What is in it counts to the call's memory. Numbers and times
// are those of the call alone.
type scratch struct {
	esys.UnimplementedFS
	in     *instance
	base   string // where the command sees it: /, or /tmp where a folder is granted as /
	root   *scratchNode
	pages  scratchPages
	nodes  int
	inodes uint64 // given so far
	used   uint64 // bytes of the call's memory

	open   map[*scratchFile]struct{} // what the command has open
	opened *scratchFile              // what the engine has open: the root, or nil
}

// A scratchNode is a file or folder.
type scratchNode struct {
	folder     *scratchList // nil for a file
	pages      []uint32     // of a file, in order
	size       int64        // of a file
	inode      uint64
	atim, mtim int64
	opens      int  // how often it is open
	gone       bool // it has no name any more
	free       bool // it counts nothing: it was there at first
}

// A scratchList is what a folder holds.
type scratchList struct {
	names  map[string]*scratchEntry
	order  []*scratchEntry // by number; removed ones have no node
	number uint64          // of the last
	holes  int             // how many were removed
}

type scratchEntry struct {
	name   string
	number uint64
	node   *scratchNode
}

// newScratch returns an empty file system.
func newScratch(in *instance, base string) *scratch {
	s := &scratch{in: in, base: base, root: &scratchNode{}, open: make(map[*scratchFile]struct{})}
	s.empty()
	return s
}

// empty removes all that is in it, and closes what is open.
func (s *scratch) empty() {
	if s == nil {
		return
	}
	for f := range s.open {
		f.node = nil
	}
	clear(s.open)
	if f := s.opened; f != nil {
		f.next, f.last, f.listed = 0, 0, 0
	}
	s.pages.drop(s.in.slot.host.memory)
	s.nodes, s.inodes, s.used = 0, 1, 0
	*s.root = scratchNode{folder: newScratchList(), inode: s.inodes, atim: epoch, mtim: epoch}
	if s.base != scratchFolder {
		tmp := s.newNode(epoch)
		tmp.folder, tmp.free = newScratchList(), true
		s.root.folder.add(path.Base(scratchFolder), tmp)
	}
	s.in.linear.beside = 0
}

func newScratchList() *scratchList { return &scratchList{names: make(map[string]*scratchEntry)} }

func (l *scratchList) add(name string, node *scratchNode) {
	l.number++
	e := &scratchEntry{strings.Clone(name), l.number, node} // it is part of a path
	l.names[e.name] = e
	l.order = append(l.order, e)
}

// remove removes an entry. What is kept for those that were removed is less than for those that are there, as it does not count.
func (l *scratchList) remove(e *scratchEntry) {
	delete(l.names, e.name)
	e.node = nil
	if l.holes++; l.holes <= len(l.names) {
		return
	}
	names, order := make(map[string]*scratchEntry, len(l.names)), make([]*scratchEntry, 0, len(l.names))
	for _, e := range l.order {
		if e.node != nil {
			names[e.name] = e
			order = append(order, e)
		}
	}
	l.names, l.order, l.holes = names, order, 0
}

// now is the time of the command's clock.
func (s *scratch) now() int64 {
	if s.in.code.grants.Clock {
		return time.Now().UnixNano()
	}
	return epoch + s.in.clock.elapsed()
}

// newNode returns a file that has no name yet.
func (s *scratch) newNode(now int64) *scratchNode {
	s.inodes++
	return &scratchNode{inode: s.inodes, atim: now, mtim: now}
}

// take has n bytes count to the call's memory, if it may have them.
func (s *scratch) take(n uint64) esys.Errno {
	l := &s.in.linear
	if n > l.most || l.size+s.used+n > l.most {
		l.above = true
		l.refuse()
		return s.in.failWith(wasiNoSpace)
	}
	s.used += n
	l.beside = s.used
	l.note()
	return 0
}

// give is the opposite of take.
func (s *scratch) give(n uint64) {
	s.used -= n
	s.in.linear.beside = s.used
}

// A scratchPath is a path that was looked up as far as to the folder that holds, or would hold, what it names.
type scratchPath struct {
	path   string // clean, without a slash before it; "" for the root
	parent *scratchNode
	name   string
	entry  *scratchEntry // nil where there is nothing, and for the root
	slash  bool          // one stands behind it, so that it must be a folder
}

// find looks a path up.
func (s *scratch) find(text string) (p scratchPath, errno esys.Errno) {
	if len(text) > mostPath {
		return p, esys.ENAMETOOLONG
	}
	if strings.IndexByte(text, 0) >= 0 {
		return p, esys.EINVAL
	}
	p.slash = strings.HasSuffix(text, "/")
	p.path = path.Clean("/" + text)[1:]
	p.parent = s.root
	rest := p.path
	for more := true; more; {
		p.name, rest, more = strings.Cut(rest, "/")
		switch {
		case len(p.name) > mostName:
			return p, esys.ENAMETOOLONG
		case p.parent.folder == nil:
			return p, esys.ENOTDIR
		}
		p.entry = p.parent.folder.names[p.name]
		if more {
			if p.entry == nil {
				return p, esys.ENOENT
			}
			p.parent = p.entry.node
		}
	}
	if p.entry != nil && p.slash && p.entry.node.folder == nil {
		return p, esys.ENOTDIR
	}
	return p, 0
}

// node returns what a path names, nil where there is nothing.
func (p *scratchPath) node(s *scratch) *scratchNode {
	switch {
	case p.path == "":
		return s.root
	case p.entry == nil:
		return nil
	}
	return p.entry.node
}

// OpenFile implements [esys.FS].
func (s *scratch) OpenFile(name string, flag esys.Oflag, _ fs.FileMode) (esys.File, esys.Errno) {
	p, errno := s.find(name)
	if errno != 0 {
		return nil, errno
	}
	if p.path == "" && flag == 0 && s.opened == nil { // the engine does this before the command can
		s.opened = &scratchFile{of: s, node: s.root, reads: true, root: true}
		return s.opened, 0
	}
	if s.in.files >= mostFiles {
		return nil, s.in.failWith(wasiManyOpen)
	}
	writes := flag&(esys.O_WRONLY|esys.O_RDWR) != 0
	node := p.node(s)
	switch {
	case node == nil && flag&esys.O_CREAT == 0:
		return nil, esys.ENOENT
	case node == nil && p.slash:
		return nil, esys.EISDIR
	case node == nil:
		if node, errno = s.create(&p); errno != 0 {
			return nil, errno
		}
	case flag&esys.O_CREAT != 0 && flag&esys.O_EXCL != 0:
		return nil, esys.EEXIST
	case node.folder != nil && (writes || flag&esys.O_TRUNC != 0):
		return nil, esys.EISDIR
	case node.folder == nil && flag&esys.O_DIRECTORY != 0:
		return nil, esys.ENOTDIR
	case flag&esys.O_TRUNC != 0:
		s.shrink(node, 0)
		node.mtim = s.now()
	}
	f := &scratchFile{of: s, node: node, appends: flag&esys.O_APPEND != 0, writes: writes, reads: flag&esys.O_WRONLY == 0}
	s.open[f] = struct{}{}
	node.opens++
	s.in.files++
	return f, 0
}

// create makes the file that a path names.
func (s *scratch) create(p *scratchPath) (*scratchNode, esys.Errno) {
	if s.nodes >= mostScratch {
		return nil, s.in.failWith(wasiNoSpace)
	}
	if errno := s.take(scratchCost); errno != 0 {
		return nil, errno
	}
	s.nodes++
	node := s.newNode(s.now())
	p.parent.folder.add(p.name, node)
	p.parent.mtim = node.mtim
	return node, 0
}

// Mkdir implements [esys.FS].
func (s *scratch) Mkdir(name string, _ fs.FileMode) esys.Errno {
	p, errno := s.find(name)
	switch {
	case errno != 0:
		return errno
	case p.node(s) != nil:
		return esys.EEXIST
	}
	node, errno := s.create(&p)
	if errno != 0 {
		return errno
	}
	node.folder = newScratchList()
	return 0
}

// detach takes an entry out of its folder. A file that nobody has open goes with its name.
func (s *scratch) detach(parent *scratchNode, e *scratchEntry) {
	node := e.node
	parent.folder.remove(e)
	parent.mtim = s.now()
	node.gone = true
	s.drop(node)
}

// drop frees a file that has no name and is not open.
func (s *scratch) drop(node *scratchNode) {
	if !node.gone || node.opens > 0 || node.free {
		return
	}
	s.shrink(node, 0)
	s.nodes--
	s.give(scratchCost)
}

// Rmdir implements [esys.FS].
func (s *scratch) Rmdir(name string) esys.Errno {
	p, errno := s.find(name)
	switch {
	case errno != 0:
		return errno
	case p.path == "":
		return s.in.failWith(wasiBusy)
	case p.entry == nil:
		return esys.ENOENT
	case p.entry.node.folder == nil:
		return esys.ENOTDIR
	case len(p.entry.node.folder.names) > 0:
		return esys.ENOTEMPTY
	}
	s.detach(p.parent, p.entry)
	return 0
}

// Unlink implements [esys.FS].
func (s *scratch) Unlink(name string) esys.Errno {
	p, errno := s.find(name)
	switch {
	case errno != 0:
		return errno
	case p.path == "":
		return esys.EISDIR
	case p.entry == nil:
		return esys.ENOENT
	case p.entry.node.folder != nil:
		return esys.EISDIR
	}
	s.detach(p.parent, p.entry)
	return 0
}

// Rename implements [esys.FS].
func (s *scratch) Rename(from, to string) esys.Errno {
	a, errno := s.find(from)
	if errno != 0 {
		return errno
	}
	b, errno := s.find(to)
	switch {
	case errno != 0:
		return errno
	case a.path == "" || b.path == "":
		return s.in.failWith(wasiBusy)
	case a.entry == nil:
		return esys.ENOENT
	case a.path == b.path:
		return 0
	case strings.HasPrefix(b.path, a.path+"/"): // there are no links, so that no other path leads into it
		return esys.EINVAL
	case strings.HasPrefix(a.path, b.path+"/"):
		return esys.ENOTEMPTY
	case b.slash && a.entry.node.folder == nil:
		return esys.ENOTDIR
	}
	if b.entry != nil {
		switch was, becomes := b.entry.node.folder, a.entry.node.folder; {
		case was == nil && becomes != nil:
			return esys.ENOTDIR
		case was != nil && becomes == nil:
			return esys.EISDIR
		case was != nil && len(was.names) > 0:
			return esys.ENOTEMPTY
		}
		s.detach(b.parent, b.entry)
	}
	node := a.entry.node
	a.parent.folder.remove(a.entry)
	b.parent.folder.add(b.name, node)
	now := s.now()
	a.parent.mtim, b.parent.mtim = now, now
	return 0
}

// Stat implements [esys.FS].
func (s *scratch) Stat(name string) (sys.Stat_t, esys.Errno) {
	p, errno := s.find(name)
	if errno != 0 {
		return sys.Stat_t{}, errno
	}
	node := p.node(s)
	if node == nil {
		return sys.Stat_t{}, esys.ENOENT
	}
	return node.stat(), 0
}

// Lstat implements [esys.FS]: there are no symbolic links.
func (s *scratch) Lstat(name string) (sys.Stat_t, esys.Errno) { return s.Stat(name) }

// Utimens implements [esys.FS].
func (s *scratch) Utimens(name string, atim, mtim int64) esys.Errno {
	p, errno := s.find(name)
	if errno != 0 {
		return errno
	}
	node := p.node(s)
	if node == nil {
		return esys.ENOENT
	}
	node.setTimes(atim, mtim)
	return 0
}

// Link implements [esys.FS]: a file has one name.
func (s *scratch) Link(string, string) esys.Errno { return esys.ENOTSUP }

// Symlink implements [esys.FS]: there are no symbolic links.
func (s *scratch) Symlink(string, string) esys.Errno { return esys.ENOTSUP }

// Readlink implements [esys.FS]: nothing is a symbolic link.
func (s *scratch) Readlink(name string) (string, esys.Errno) {
	if _, errno := s.Stat(name); errno != 0 {
		return "", errno
	}
	return "", esys.EINVAL
}

// mode returns what a folder or file is.
func (n *scratchNode) mode() fs.FileMode {
	if n.folder != nil {
		return fs.ModeDir | 0o755
	}
	return 0o644
}

func (n *scratchNode) stat() sys.Stat_t {
	links := uint64(1)
	if n.gone {
		links = 0
	}
	return sys.Stat_t{Dev: scratchDevice, Ino: n.inode, Mode: n.mode(), Nlink: links, Size: n.size, Atim: n.atim, Mtim: n.mtim, Ctim: n.mtim}
}

func (n *scratchNode) setTimes(atim, mtim int64) {
	if atim != esys.UTIME_OMIT {
		n.atim = atim
	}
	if mtim != esys.UTIME_OMIT {
		n.mtim = mtim
	}
}

// content returns the file that a path, as the command knows it, names.
func (s *scratch) content(file string) (*scratchNode, *Error) {
	inside, ok := strings.CutPrefix(file, strings.TrimSuffix(s.base, "/")+"/")
	if ok {
		p, errno := s.find(inside)
		switch node := p.node(s); {
		case errno != 0 || node == nil:
		case node.folder != nil:
			return nil, errorf(KindBadResult, "the command's result is to be in the file %s, which is a folder", file)
		default:
			return node, nil
		}
	}
	return nil, errorf(KindBadResult, "the command wrote no file %s, which its result is to be in: %s", file, s.inventory())
}

// inventory says what files there are, of many the first.
func (s *scratch) inventory() string {
	const most, looks = 5, 100
	type place struct {
		path string
		node *scratchNode
	}
	var found []string
	todo := []place{{strings.TrimSuffix(s.base, "/"), s.root}}
	for range looks {
		if len(todo) == 0 || len(found) > most {
			break
		}
		at := todo[0]
		todo = todo[1:]
		if at.node.folder == nil {
			found = append(found, text([]byte(fmt.Sprintf("%.100s", at.path))))
			continue
		}
		for _, e := range at.node.folder.order[:min(looks, len(at.node.folder.order))] {
			if e.node != nil {
				file := at.path + "/" + e.name
				todo = append(todo, place{strings.Clone(file[:min(len(file), mostPath/10)]), e.node})
			}
		}
	}
	switch {
	case len(found) == 0:
		return "it wrote none"
	case len(found) > most:
		return "it wrote " + strings.Join(found[:most], ", ") + " and more"
	}
	return "it wrote " + strings.Join(found, ", ")
}
