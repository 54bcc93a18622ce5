package blob

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// staleSpool is how old a file must be that belongs to no blob, until it is what a process
// has left that died.
const staleSpool = 24 * time.Hour

// A kept blob is all that the store's folder holds of one.
type kept struct {
	entry
	size int64
	used time.Time
}

// trim removes the blobs that were not used for longest when the store holds more than it
// may, until a quarter is free. What a process uses stays, and so does the entry itself.
// The files of locks are kept: a process may wait for one.
func (s *Store) trim(but entry) {
	blobs, total := s.all()
	if total <= s.most {
		return
	}
	slices.SortFunc(blobs, func(a, b *kept) int { return a.used.Compare(b.used) })
	for _, b := range blobs {
		if total <= s.most/4*3 {
			return
		}
		if b.key != but.key && b.evict() {
			total -= b.size
		}
	}
}

// evict removes a blob, unless a process uses it.
func (b *kept) evict() bool {
	l := flock.New(b.lockPath())
	defer l.Close()
	if free, err := l.TryLock(); err == nil && !free {
		return false
	}
	b.clear()
	return true
}

// all returns what the store holds, and how many bytes. Files that are not the store's are
// left out, and what a process has left that died in [Store.Put] is removed.
func (s *Store) all() (list []*kept, total int64) {
	files, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, 0
	}
	byKey := map[string]*kept{}
	for _, file := range files {
		info, err := file.Info()
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		key, _, _ := strings.Cut(file.Name(), ".")
		if _, err := ParseDigest(key); err != nil {
			if key == "spool" && time.Since(info.ModTime()) > staleSpool {
				os.Remove(filepath.Join(s.dir, file.Name())) //nolint:errcheck // another time
			}
			continue
		}
		b := byKey[key]
		if b == nil {
			b = &kept{entry: entry{dir: s.dir, key: key, patience: s.patience}}
			byKey[key] = b
			list = append(list, b)
		}
		b.size += info.Size()
		total += info.Size()
		if info.ModTime().After(b.used) {
			b.used = info.ModTime()
		}
	}
	return list, total
}
