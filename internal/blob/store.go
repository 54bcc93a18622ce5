package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/wasmpool/wasmpool/internal/cachedir"
	"github.com/wasmpool/wasmpool/internal/memory"
)

// DefaultBytes is how many bytes a store keeps by default.
const DefaultBytes = 8 << 30

// A Store keeps blobs in a folder of a node, for all processes there. It is safe for
// concurrent use. A nil Store keeps nothing: each blob is in memory.
type Store struct {
	dir  string
	most int64
	log  *slog.Logger
	made func() error // makes the folder, once

	patience time.Duration // patience, but in tests
}

// NewStore returns the store in a folder, which it makes when it is first used. It keeps
// at most so many bytes, and what is in use.
func NewStore(dir string, most int64, log *slog.Logger) *Store {
	if dir == "" {
		return nil
	}
	return &Store{dir: dir, most: most, log: log, made: sync.OnceValue(func() error { return cachedir.Make(dir) }), patience: patience}
}

// A Fetch writes all the bytes of a blob, in order.
type Fetch func(ctx context.Context, to io.Writer) error

// Open returns a blob: from the store, if it is there and not damaged, else with fetch,
// once for all processes of the node that open it at the same time. Where the store
// cannot keep it (its disk is full, say) it is in the memory of this process alone. It blocks
// until then or until ctx ends. The error is that of fetch, or of ctx, or says that there is
// no memory, or that what was fetched is not the blob.
func (s *Store) Open(ctx context.Context, d Digest, size int64, fetch Fetch) (*Blob, error) {
	if s == nil {
		return inMemory(ctx, d, size, fetch)
	}
	var failed *storeError
	b, err := s.open(ctx, s.entry(d, size), func(e entry) (string, error) { return s.fetchFile(ctx, e, d, fetch) })
	if !errors.As(err, &failed) {
		return b, err
	}
	s.log.Warn("the store of blobs is of no use: this process keeps the blob in its memory", "blob", d.String()[:12], "bytes", size, "error", failed.error)
	return inMemory(ctx, d, size, fetch)
}

// Put returns a blob of all that r gives, which it keeps in the store; in memory where it
// has no store, or that is of no use. It blocks until then or until ctx ends.
func (s *Store) Put(ctx context.Context, r io.Reader) (*Blob, error) {
	if s == nil {
		return readAll(ctx, r)
	}
	if err := s.made(); err != nil {
		s.log.Warn("the store of blobs is of no use: this process keeps the blob in its memory", "error", err)
		return readAll(ctx, r)
	}
	name, c, err := s.write("spool", func(to io.Writer) error { return copyAll(ctx, to, r) })
	if err != nil {
		return nil, err // a part of r is gone
	}
	defer os.Remove(name) //nolint:errcheck // it is gone if all went well
	var d Digest
	c.sum.Sum(d[:0])
	b, err := s.open(ctx, s.entry(d, c.n), func(entry) (string, error) { return name, nil })
	var failed *storeError
	if !errors.As(err, &failed) {
		return b, err
	}
	return inMemory(ctx, d, c.n, func(ctx context.Context, to io.Writer) error {
		file, err := os.Open(name)
		if err != nil {
			return err
		}
		defer file.Close() //nolint:errcheck // it was only read
		return copyAll(ctx, to, file)
	})
}

// readAll is Put without a store.
func readAll(ctx context.Context, r io.Reader) (*Blob, error) {
	var all growing
	if err := copyAll(ctx, &all, r); err != nil {
		return nil, err
	}
	return OfBytes(all), nil
}

// growing is memory that grows as far as the process may have more.
type growing []byte

func (g *growing) Write(p []byte) (int, error) {
	if len(*g)+len(p) <= cap(*g) {
		*g = append(*g, p...)
		return len(p), nil
	}
	n := max(2*cap(*g), len(p))
	err := memory.Process().Allocate(uint64(n), func() { *g = append(append(make([]byte, 0, n), *g...), p...) })
	if err != nil {
		return 0, fmt.Errorf("there is no memory for what is shared: %w", err)
	}
	return len(p), nil
}

// A storeError is one of the store, not of what it fetches.
type storeError struct{ error }

func (e *storeError) Unwrap() error { return e.error }

func (s *Store) entry(d Digest, size int64) entry { return entry{s.dir, d.String(), size, s.patience} }

// mostTries bounds how often a blob is looked for that others remove.
const mostTries = 3

// open returns the blob of an entry, if need be from the file that produce makes.
func (s *Store) open(ctx context.Context, e entry, produce func(entry) (string, error)) (*Blob, error) {
	if err := s.made(); err != nil {
		return nil, &storeError{err}
	}
	for range mostTries {
		unlock, err := e.share(ctx)
		if err != nil {
			return nil, ofStore(ctx, err)
		}
		if b := e.take(unlock); b != nil {
			e.touch()
			return b, nil
		}
		unlock()
		if err := s.fill(ctx, e, produce); err != nil {
			return nil, err
		}
	}
	return nil, &storeError{fmt.Errorf("%s: others remove it again and again", e.path())}
}

// ofStore marks an error of the store, but not the end of ctx.
func ofStore(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return err
	}
	return &storeError{err}
}

// take returns the entry's blob if its bytes were checked, and are as they were then. It is
// locked until it is closed.
func (e entry) take(unlock func()) *Blob {
	file, err := os.Open(e.path())
	if err != nil {
		return nil
	}
	id, err := identify(file)
	if err == nil && cachedir.Own(e.path()) && id.size == e.size && e.stamped(id) {
		d, _ := ParseDigest(e.key)
		return &Blob{digest: d, size: e.size, file: file, seen: id, release: unlock}
	}
	file.Close() //nolint:errcheck // it was only read
	return nil
}

// fill makes the entry sound: by a check of what is there, or with a file from produce.
func (s *Store) fill(ctx context.Context, e entry, produce func(entry) (string, error)) error {
	unlock, err := e.hold(ctx)
	if err != nil {
		return ofStore(ctx, err)
	}
	defer unlock()
	if b := e.take(nil); b != nil { // another process was faster
		b.Close()
		return nil
	}
	switch err := s.check(ctx, e); {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return err
	case !errors.Is(err, os.ErrNotExist):
		s.log.Warn("a blob in the store is damaged and will be fetched again", "blob", e.path(), "error", err)
	}
	e.clear()
	name, err := produce(e)
	if err != nil {
		return err
	}
	if err := os.Rename(name, e.path()); err != nil {
		e.clear()
		return &storeError{err}
	}
	if err := e.stamp(); err != nil {
		return &storeError{err}
	}
	s.trim(e)
	return nil
}

// check takes the digest of what is in the entry's file, and stamps it if it is right.
func (s *Store) check(ctx context.Context, e entry) error {
	file, err := os.Open(e.path())
	if err != nil {
		return err
	}
	if !cachedir.Own(e.path()) {
		return errors.Join(errors.New("others may write to it"), file.Close())
	}
	b, err := ofOpenFile(ctx, file)
	file.Close() //nolint:errcheck // it was only read
	switch {
	case err != nil:
		return err
	case b.digest.String() != e.key || b.size != e.size:
		return fmt.Errorf("its digest is %.12s", b.digest)
	}
	return e.stamp()
}

// clear removes what a damaged entry, or a process that died, has left.
func (e entry) clear() {
	files, err := filepath.Glob(e.path() + "*")
	if err != nil {
		return
	}
	for _, file := range files {
		if !strings.HasSuffix(file, lockSuffix) {
			os.Remove(file) //nolint:errcheck // what stays counts until it is trimmed
		}
	}
}

// fetchFile fetches a blob into a file beside its place.
func (s *Store) fetchFile(ctx context.Context, e entry, d Digest, fetch Fetch) (string, error) {
	name, c, err := s.write(e.key, func(to io.Writer) error { return fetch(ctx, to) })
	if err != nil {
		return "", err
	}
	if err := c.check(d, e.size); err != nil {
		return "", errors.Join(err, os.Remove(name))
	}
	return name, nil
}

// write writes a file beside the blobs. A *storeError is one of writing.
func (s *Store) write(prefix string, fill func(io.Writer) error) (name string, c *checker, err error) {
	file, err := os.CreateTemp(s.dir, prefix+".*"+tempSuffix)
	if err != nil {
		return "", nil, &storeError{err}
	}
	c = newChecker(file)
	err = fill(c)
	if c.err != nil {
		err = &storeError{c.err}
	}
	if closed := file.Close(); err == nil && closed != nil {
		err = &storeError{closed}
	}
	if err != nil {
		os.Remove(file.Name()) //nolint:errcheck // the first error tells more
		return "", nil, err
	}
	return file.Name(), c, nil
}

// inMemory fetches a blob into memory.
func inMemory(ctx context.Context, d Digest, size int64, fetch Fetch) (*Blob, error) {
	var data []byte
	if err := memory.Process().Allocate(uint64(size), func() { data = make([]byte, 0, size) }); err != nil {
		return nil, fmt.Errorf("there is no memory for a blob of %s: %w", memory.Size(uint64(size)), err)
	}
	all := bounded(data)
	c := newChecker(&all)
	if err := fetch(ctx, c); err != nil {
		return nil, err
	}
	if err := c.check(d, size); err != nil {
		return nil, err
	}
	return &Blob{digest: d, size: size, data: nonNil(all)}, nil
}

// bounded is memory that does not grow.
type bounded []byte

func (b *bounded) Write(p []byte) (int, error) {
	if len(p) > cap(*b)-len(*b) {
		return 0, errors.New("blob: more came than the blob has bytes")
	}
	*b = append(*b, p...)
	return len(p), nil
}

// boot names this boot of this node: a stamp says nothing about what another node sees of a
// common file system, nor about what a crash has left. It is "" where that cannot be told.
var boot = sync.OnceValue(func() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(id))
})

func (e entry) stampPath() string { return e.path() + "." + boot() + stampSuffix }

// stamped reports whether the bytes of the entry's file were checked when it was as it is.
func (e entry) stamped(id identity) bool {
	want, err := os.ReadFile(e.stampPath())
	return err == nil && string(want) == id.String() && cachedir.Own(e.stampPath())
}

// stamp notes that the bytes of the entry's file were checked. The caller holds the entry.
func (e entry) stamp() error {
	file, err := os.Open(e.path())
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // it was only read
	id, err := identify(file)
	if err != nil {
		return err
	}
	return os.WriteFile(e.stampPath(), []byte(id.String()), 0o600)
}

// String is what a stamp holds.
func (i identity) String() string {
	return fmt.Sprintf("inode %d size %d modified %d changed %d\n", i.inode, i.size, i.modified, i.changed)
}
