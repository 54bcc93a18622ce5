package host

import (
	"fmt"
	"io"
	"slices"
	"sort"

	esys "github.com/tetratelabs/wazero/experimental/sys"
	"github.com/tetratelabs/wazero/sys"

	"github.com/wasmpool/wasmpool/internal/memory"
)

// scratchPage is in how many bytes the memory of files is given out.
const scratchPage = 4096

// entrySize is how many bytes an entry of a list counts besides its name.
const entrySize = 64

// scratchPages is the memory of all files of a scratch: pages that lie one behind the other.
type scratchPages struct {
	block
	made int      // how many there are
	free []uint32 // those that were given back
}

// drop frees all.
func (p *scratchPages) drop(account *memory.Account) {
	if p.space != nil {
		p.block.free()
	}
	*p = scratchPages{block: block{account: account}}
}

// giveBack takes pages back, and frees all when none is in use.
func (p *scratchPages) giveBack(numbers []uint32, account *memory.Account) {
	p.free = append(p.free, numbers...)
	if len(p.free) == p.made && p.made > piece/scratchPage {
		p.drop(account)
	}
}

// page returns a page. It is good until the block grows.
func (p *scratchPages) page(number uint32) []byte {
	return p.space[int(number)*scratchPage:][:scratchPage:scratchPage]
}

// pagesFor returns how many pages hold so many bytes.
func pagesFor(size int64) int { return int((size + scratchPage - 1) / scratchPage) }

// extend makes a file at least so long, with zeros. After an error it is as it was.
func (s *scratch) extend(n *scratchNode, size int64) esys.Errno {
	if size <= n.size {
		return 0
	}
	if uint64(size) > s.in.slot.host.cfg.MemoryLimit { // whatever the call may have
		s.in.linear.above = true
		s.in.linear.refuse()
		return s.in.failWith(wasiTooLarge)
	}
	need := pagesFor(size) - len(n.pages)
	if errno := s.take(uint64(need) * scratchPage); errno != 0 {
		return errno
	}
	s.in.charge(instructionsFor(uint64(need) * scratchPage))
	s.in.settle()
	s.makePages(need - len(s.pages.free))
	for i := range need {
		if i%(piece/scratchPage) == piece/scratchPage-1 {
			s.in.check()
		}
		n.pages = append(n.pages, s.nextPage())
	}
	n.size = size
	return 0
}

// makePages makes so many pages beyond those that were given back.
func (s *scratch) makePages(more int) {
	if more <= 0 {
		return
	}
	p := &s.pages
	size := uint64(p.made+more) * scratchPage
	wanted := size + min(max(size/4, piece/4), mostSlack)
	err := p.grow(size, wanted)
	if err != nil && s.in.slot.retireOthers(&s.in.linear) {
		err = p.grow(size, wanted)
	}
	if err != nil { // what a guest sees must not depend on what else runs
		raise(&abort{kind: KindMemory, message: "there is no memory for the command's files: " + err.Error(), err: err})
	}
}

// nextPage returns a page of zeros, which has been made.
func (s *scratch) nextPage() uint32 {
	p := &s.pages
	if last := len(p.free) - 1; last >= 0 {
		number := p.free[last]
		p.free = p.free[:last]
		clear(p.page(number))
		return number
	}
	p.made++
	return uint32(p.made - 1)
}

// shrink cuts a file off.
func (s *scratch) shrink(n *scratchNode, size int64) {
	if size >= n.size {
		return
	}
	keep := pagesFor(size)
	cut := n.pages[keep:]
	s.pages.giveBack(cut, s.in.slot.host.memory)
	s.in.charge(uint64(len(cut)))
	s.give(uint64(len(cut)) * scratchPage)
	switch n.pages = n.pages[:keep]; {
	case keep == 0:
		n.pages = nil
	case cap(n.pages) > 2*keep+16: // the list does not count
		n.pages = slices.Clone(n.pages)
	}
	if within := size % scratchPage; within > 0 { // what is behind the end is zero
		clear(s.pages.page(n.pages[keep-1])[within:])
	}
	n.size = size
}

// read copies what a file has from at on, and returns how much.
func (s *scratch) read(n *scratchNode, p []byte, at int64) (done int) {
	p = p[:max(0, min(int64(len(p)), n.size-at))]
	for done < len(p) {
		where := at + int64(done)
		done += copy(p[done:], s.pages.page(n.pages[where/scratchPage])[where%scratchPage:])
	}
	return done
}

// write copies into a file that is long enough.
func (s *scratch) write(n *scratchNode, p []byte, at int64) {
	for len(p) > 0 {
		m := copy(s.pages.page(n.pages[at/scratchPage])[at%scratchPage:], p)
		p, at = p[m:], at+int64(m)
	}
}

// A scratchFile is an open file or folder of a scratch, until that is emptied.
type scratchFile struct {
	of      *scratch
	node    *scratchNode // nil when it is closed, or gone with its call
	at      int64        // where the next Read or Write begins
	next    uint64       // of a folder: the number from which the next Readdir goes on, 0 for the first one,
	last    uint64       // and that of the last entry, as of the first one
	listed  uint64       // bytes that count for what the engine keeps of the entries
	appends bool
	reads   bool
	writes  bool
	root    bool // the engine has opened it, not the command: it stays, and does not count as open
	closed  bool
}

// alive returns an error for a file that is closed, or gone with its call.
func (f *scratchFile) alive() esys.Errno {
	if f.node == nil {
		return esys.EBADF
	}
	return 0
}

// usable returns an error for what is not a file that can be used in a way, which it may.
func (f *scratchFile) usable(may bool) esys.Errno {
	switch errno := f.alive(); {
	case errno != 0:
		return errno
	case f.node.folder != nil:
		return esys.EISDIR
	case !may:
		return esys.EBADF
	}
	return 0
}

// Dev implements [esys.File].
func (f *scratchFile) Dev() (uint64, esys.Errno) { return scratchDevice, f.alive() }

// Ino implements [esys.File].
func (f *scratchFile) Ino() (sys.Inode, esys.Errno) {
	if errno := f.alive(); errno != 0 {
		return 0, errno
	}
	return f.node.inode, 0
}

// IsDir implements [esys.File].
func (f *scratchFile) IsDir() (bool, esys.Errno) {
	if errno := f.alive(); errno != 0 {
		return false, errno
	}
	return f.node.folder != nil, 0
}

// IsAppend implements [esys.File].
func (f *scratchFile) IsAppend() bool { return f.appends }

// SetAppend implements [esys.File].
func (f *scratchFile) SetAppend(enable bool) esys.Errno {
	f.appends = enable
	return f.alive()
}

// Stat implements [esys.File].
func (f *scratchFile) Stat() (sys.Stat_t, esys.Errno) {
	if errno := f.alive(); errno != 0 {
		return sys.Stat_t{}, errno
	}
	return f.node.stat(), 0
}

// Read implements [esys.File].
func (f *scratchFile) Read(p []byte) (int, esys.Errno) {
	n, errno := f.Pread(p, f.at)
	f.at += int64(n)
	return n, errno
}

// Pread implements [esys.File].
func (f *scratchFile) Pread(p []byte, at int64) (int, esys.Errno) {
	if errno := f.usable(f.reads); errno != 0 {
		return 0, errno
	}
	if at < 0 {
		return 0, esys.EINVAL
	}
	n, _ := f.of.in.inPieces(p, func(part []byte) (int, error) { // it has no errors
		m := f.of.read(f.node, part, at)
		at += int64(m)
		return m, nil
	})
	return n, 0
}

// Write implements [esys.File].
func (f *scratchFile) Write(p []byte) (int, esys.Errno) {
	if f.appends && f.node != nil {
		f.at = f.node.size
	}
	n, errno := f.Pwrite(p, f.at)
	f.at += int64(n)
	return n, errno
}

// Pwrite implements [esys.File]. It writes all of p or nothing.
func (f *scratchFile) Pwrite(p []byte, at int64) (int, esys.Errno) {
	if errno := f.usable(f.writes); errno != 0 {
		return 0, errno
	}
	end := at + int64(len(p))
	switch {
	case at < 0:
		return 0, esys.EINVAL
	case len(p) == 0:
		return 0, 0
	case end < at:
		return 0, f.of.in.failWith(wasiTooLarge)
	}
	if errno := f.of.extend(f.node, end); errno != 0 {
		return 0, errno
	}
	f.node.mtim = f.of.now()
	n, _ := f.of.in.inPieces(p, func(part []byte) (int, error) { // it has no errors
		f.of.write(f.node, part, at)
		at += int64(len(part))
		return len(part), nil
	})
	return n, 0
}

// Truncate implements [esys.File].
func (f *scratchFile) Truncate(size int64) esys.Errno {
	if errno := f.usable(true); errno != 0 {
		return errno
	}
	if size < 0 || !f.writes {
		return esys.EINVAL
	}
	if errno := f.of.extend(f.node, size); errno != 0 {
		return errno
	}
	f.of.shrink(f.node, size)
	f.node.mtim = f.of.now()
	return 0
}

// fileOffset keeps go vet from taking Seek for that of [io.Seeker].
type fileOffset = int64

// Seek implements [esys.File].
func (f *scratchFile) Seek(offset fileOffset, whence int) (int64, esys.Errno) {
	if errno := f.alive(); errno != 0 {
		return 0, errno
	}
	if f.node.folder != nil {
		if offset != 0 || whence != io.SeekStart {
			return 0, esys.EINVAL
		}
		f.next = 0
		return 0, 0
	}
	switch whence {
	case io.SeekStart:
	case io.SeekCurrent:
		offset += f.at
	case io.SeekEnd:
		offset += f.node.size
	default:
		return 0, esys.EINVAL
	}
	if offset < 0 {
		return 0, esys.EINVAL
	}
	f.at = offset
	return offset, 0
}

// Readdir implements [esys.File]. It does not give what is added after the first one, as otherwise a guest that renames all it finds might
// never come to the end.
func (f *scratchFile) Readdir(n int) ([]esys.Dirent, esys.Errno) {
	switch errno := f.alive(); {
	case errno != 0:
		return nil, errno
	case f.node.folder == nil:
		return nil, esys.ENOTDIR
	case n > mostListed || n < 0:
		return nil, esys.EINVAL
	}
	if f.next == 0 {
		f.last = f.node.folder.number
	}
	in, order := f.of.in, f.node.folder.order
	from := sort.Search(len(order), func(i int) bool { return order[i].number > f.next })
	var list []esys.Dirent
	var bytes uint64
	gone := 0
	for _, e := range order[from:] {
		if len(list) == n || e.number > f.last {
			break
		}
		f.next = e.number
		if e.node == nil { // removed
			in.charge(1)
			if gone++; gone%listedPiece == 0 {
				in.check()
			}
			continue
		}
		list = append(list, esys.Dirent{Ino: e.node.inode, Name: e.name, Type: e.node.mode().Type()})
		bytes += entrySize + uint64(len(e.name))
		in.charge(direntCost)
		if len(list)%listedPiece == 0 {
			in.check()
		}
	}
	if bytes > f.listed {
		if errno := f.of.take(bytes - f.listed); errno != 0 {
			return nil, errno
		}
		f.listed = bytes
	}
	return list, 0
}

// Sync implements [esys.File].
func (f *scratchFile) Sync() esys.Errno { return f.alive() }

// Datasync implements [esys.File].
func (f *scratchFile) Datasync() esys.Errno { return f.alive() }

// Utimens implements [esys.File].
func (f *scratchFile) Utimens(atim, mtim int64) esys.Errno {
	if errno := f.alive(); errno != 0 {
		return errno
	}
	f.node.setTimes(atim, mtim)
	return 0
}

// Close implements [esys.File].
func (f *scratchFile) Close() esys.Errno {
	if f.root || f.closed {
		return 0
	}
	f.closed = true
	f.of.in.files--
	if node := f.node; node != nil {
		f.node = nil
		f.of.give(f.listed)
		delete(f.of.open, f)
		node.opens--
		f.of.drop(node)
	}
	return 0
}

// resultOf makes the content of a file the call's result.
func (s *scratch) resultOf(file string) (err *Error) {
	in := s.in
	node, err := s.content(file)
	if err != nil {
		return err
	}
	if uint64(node.size) > in.slot.limits.Output {
		return in.tooLong().failure()
	}
	defer func() { // the call may end in here, too
		if r := recover(); r != nil {
			ended, ok := r.(*abort)
			if !ok {
				ended = &abort{kind: KindHost, message: fmt.Sprint(r)}
			}
			err = ended.failure()
		}
	}()
	in.slot.dirty = true
	in.growResult(int(node.size))
	out, at := in.slot.out[:node.size], int64(0)
	_, _ = in.inPieces(out, func(part []byte) (int, error) { // it has no errors
		m := s.read(node, part, at)
		at += int64(m)
		return m, nil
	})
	in.slot.out = out
	return nil
}
