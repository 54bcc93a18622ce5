package compile

import (
	"encoding/hex"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"github.com/wasmpool/wasmpool/wasmtasks"
)

// mostCached is how many bytes the cache folder may hold before the modules that
// were not used for longest are removed.
const mostCached = 2 << 30

// A cachedModule is all that the cache folder holds of a module.
type cachedModule struct {
	entry
	size int64
	used time.Time
	rest []string // the files beside its folder, but for the lock
}

// touch notes that the entry was used. A process that may only read the folder leaves it
// as it is.
func (e entry) touch() {
	now := time.Now()
	_ = os.Chtimes(e.path(), now, now)
}

// trim removes the modules that were not used for longest when the folder holds
// more than most bytes, until a quarter is free. What another process loads or
// compiles stays, and so does the entry itself, as it is locked. The files of locks are
// kept: a process may wait for one.
func (e entry) trim(most int64) {
	modules := e.all()
	total := int64(0)
	for _, m := range modules {
		total += m.size
	}
	if total <= most {
		return
	}
	slices.SortFunc(modules, func(a, b *cachedModule) int { return a.used.Compare(b.used) })
	for _, m := range modules {
		if total <= most*3/4 {
			return
		}
		if m.key != e.key && m.evict() {
			total -= m.size
		}
	}
}

// evict removes a module, unless a process holds it.
func (m *cachedModule) evict() bool {
	l := flock.New(m.path() + lockSuffix)
	defer l.Close()
	if free, err := l.TryLock(); err == nil && !free {
		return false
	}
	for _, file := range m.rest {
		os.Remove(file) //nolint:errcheck // it counts again the next time
	}
	if err := m.remove(); err != nil {
		m.log.Info("host: a module cannot be removed from the cache folder", "error", err)
		return false
	}
	return true
}

// all returns what the cache folder holds, by module. Files that are not the
// cache's are left out.
func (e entry) all() []*cachedModule {
	files, err := os.ReadDir(e.dir)
	if err != nil {
		return nil
	}
	byKey := make(map[string]*cachedModule)
	var list []*cachedModule
	for _, file := range files {
		key, _, _ := strings.Cut(file.Name(), ".")
		if !isKey(key) || strings.HasSuffix(file.Name(), lockSuffix) {
			continue
		}
		m := byKey[key]
		if m == nil {
			m = &cachedModule{entry: entry{e.dir, key, e.log}}
			byKey[key] = m
			list = append(list, m)
		}
		m.add(file)
	}
	return list
}

// add counts a file, or the folder, of the module.
func (m *cachedModule) add(file fs.DirEntry) {
	path := filepath.Join(m.dir, file.Name())
	if !file.IsDir() {
		m.rest = append(m.rest, path)
	}
	filepath.WalkDir(path, func(_ string, d fs.DirEntry, err error) error { //nolint:errcheck // what is gone counts nothing
		if err != nil {
			return nil //nolint:nilerr // another process has removed it
		}
		if info, err := d.Info(); err == nil {
			m.size += info.Size()
			if info.ModTime().After(m.used) {
				m.used = info.ModTime()
			}
		}
		return nil
	})
}

// isKey reports whether text is a module's digest.
func isKey(text string) bool {
	var d wasmtasks.Digest
	n, err := hex.Decode(d[:], []byte(text[:min(len(text), hex.EncodedLen(len(d)))]))
	return err == nil && n == len(d) && len(text) == hex.EncodedLen(n)
}
