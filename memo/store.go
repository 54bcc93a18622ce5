package memo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/internal/filelock"
)

// Config holds a Store's settings. The zero value is ready to use.
type Config struct {
	// MaxBytes bounds the size of the folder: above it the results that were kept first are forgotten. It is held to within an eighth,
	// or 1 MiB where that is more.
	//
	// Defaults to no bound.
	MaxBytes int64

	// Large is from how many bytes on a result has a file of its own, at most 1 MiB. Equal results share one.
	//
	// Defaults to 64 KiB.
	Large int

	// SyncEvery is how long a result may wait until it is on the disk: it survives the end of the process
	// milliseconds after it was kept, and that of the machine after this time. [Store.Sync] does not wait so long.
	//
	// Defaults to a second.
	SyncEvery time.Duration

	// ReadOnly finds what is in the folder when it is opened, and keeps nothing: beside others, one of which may write.
	//
	// Defaults to not.
	ReadOnly bool

	// Logger receives what the store has to say of damage and of a full disk.
	//
	// Defaults to [slog.Default].
	Logger *slog.Logger
}

const (
	lockName     = "lock"
	mostSegment  = 256 << 20 // bytes, from which on there is another segment
	leastSegment = 1 << 20
	defaultLarge = 64 << 10
)

// A Store is the memo in one folder. It implements [executor.Memo], and all its methods are safe for concurrent use.
//
// An entry takes some 72 bytes in the folder, and 30 of the process's memory, besides its result.
type Store struct {
	dir string
	cfg Config

	opening sync.Mutex
	opened  int // how often, less how often it was closed
	lock    *filelock.Lock
	writer  *writer // of the present opening

	mu       sync.RWMutex
	index    map[uint64]place // by the beginning of the key
	segments map[uint32]*segment

	window window
	counts counters
}

// A place is where a record is: the number of its segment, and in that.
type place uint64

func placeOf(number uint32, at int64) place { return place(number)<<32 | place(uint32(at)) }

func (p place) segment() uint32 { return uint32(p >> 32) }
func (p place) offset() int64   { return int64(uint32(p)) }

// counters are what a store has done since it was opened.
type counters struct {
	found, kept, durable, lost, damaged atomic.Uint64
}

// Counts say what a store has done since it was opened.
type Counts struct {
	Found   uint64 // results that were asked for and there
	Kept    uint64 // results that it was given, without those that it had
	Durable uint64 // of those that it was given, the ones that are on the disk
	Lost    uint64 // results that could not be written
	Damaged uint64 // entries that were asked for and damaged, so that their calls run again
}

// New returns the memo in a folder, which is made where there is none. It reads nothing, and takes nothing: [Store.Open] does, which a
// pool calls on its root. So a program may call New on every rank.
func New(dir string, cfg Config) *Store {
	if cfg.Large <= 0 {
		cfg.Large = defaultLarge
	}
	cfg.Large = min(cfg.Large, mostPayload)
	if cfg.SyncEvery <= 0 {
		cfg.SyncEvery = time.Second
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	s := &Store{dir: dir, cfg: cfg}
	s.writer = newWriter(s)
	s.writer.closed = true
	return s
}

// Open reads what the folder has, and takes it for this process, unless the store is read only: where another
// writes to it, the error says which. It blocks while it reads, some 1 GB a second, and while it looks whether a holder on another host is
// alive, half a minute at most. An open store can be opened again, by another pool of the process: then it is closed as often.
func (s *Store) Open() error {
	s.opening.Lock()
	defer s.opening.Unlock()
	if s.opened == 0 {
		if err := s.open(); err != nil {
			return fmt.Errorf("memo: %w", err)
		}
	}
	s.opened++
	return nil
}

func (s *Store) open() (err error) {
	if !s.cfg.ReadOnly {
		if err := os.MkdirAll(s.dir, 0o755); err != nil {
			return err
		}
		if _, err := os.Stat(filepath.Join(s.dir, lockName)); errors.Is(err, os.ErrNotExist) {
			if err := checkFolder(s.dir); err != nil { // before there is a lock in what is somebody's own
				return err
			}
		}
		s.lock, err = filelock.Take(context.Background(), filepath.Join(s.dir, lockName),
			filelock.Subject{What: "the memo", File: s.dir, User: "another job", Say: logWriter{s.cfg.Logger}})
		if err != nil {
			return err
		}
	}
	if err := s.load(); err != nil {
		s.release()
		return err
	}
	if s.cfg.ReadOnly {
		return nil
	}
	if err := s.writer.evict(); err != nil {
		return errors.Join(err, s.closeSegments())
	}
	s.writer.start()
	return nil
}

// checkFolder returns an error if a folder holds something else than a memo.
func checkFolder(dir string) error {
	all, err := openSegments(dir, true)
	return errors.Join(err, closeAll(all))
}

// A logWriter makes lines of what is written to it into warnings.
type logWriter struct{ log *slog.Logger }

func (w logWriter) Write(line []byte) (int, error) {
	w.log.Warn("memo: " + string(line[:max(len(line)-1, 0)]))
	return len(line), nil
}

// load reads the segments.
func (s *Store) load() error {
	all, err := openSegments(s.dir, s.cfg.ReadOnly)
	if err != nil {
		return err
	}
	s.index, s.segments = map[uint64]place{}, map[uint32]*segment{}
	w := newWriter(s)
	for i, seg := range all {
		s.segments[seg.number] = seg
		var hurt []damage
		end, err := seg.scan(func(r *record, at int64, _ int) { s.take(w, seg, r, at) }, func(d damage) { hurt = append(hurt, d) })
		if err != nil {
			return errors.Join(err, closeAll(all))
		}
		if last := len(hurt) - 1; i == len(all)-1 && last >= 0 && hurt[last].from == end {
			hurt = hurt[:last] // what was being written when its process ended
			if !s.cfg.ReadOnly {
				if err := seg.file.Truncate(end); err != nil {
					return errors.Join(fmt.Errorf("%s: %w", seg.name, err), closeAll(all))
				}
				seg.size = end
			}
		}
		for _, d := range hurt {
			s.cfg.Logger.Warn("memo: entries are damaged; their calls run again (wasmpool memo gc removes them)", "file", d.name, "from", d.from, "to", d.to)
		}
		w.bytes += seg.size
		w.order = append(w.order, seg)
	}
	s.writer = w
	return nil
}

// take puts a record into the index.
func (s *Store) take(w *writer, seg *segment, r *record, at int64) {
	switch r.kind {
	case isTask:
		seg.tasks[r.task] = struct{}{}
		return
	case isDrop:
		delete(s.index, beginning(&r.key))
		return
	case isLarge:
		sum, n := r.large()
		w.hold(seg, sum, n)
	}
	s.index[beginning(&r.key)] = placeOf(seg.number, at)
}

// release gives up what open has taken.
func (s *Store) release() {
	if s.lock != nil {
		s.lock.Release()
		s.lock = nil
	}
}

// Close has all that was kept be on the disk, and gives the folder up. It blocks until then. It returns why results could not be kept, if so.
func (s *Store) Close() error {
	s.opening.Lock()
	defer s.opening.Unlock()
	if s.opened == 0 {
		return nil
	}
	if s.opened--; s.opened > 0 {
		return nil
	}
	if err := errors.Join(s.writer.close(), s.closeSegments()); err != nil {
		return fmt.Errorf("memo: %w", err)
	}
	return nil
}

// closeSegments closes what open has opened.
func (s *Store) closeSegments() error {
	s.mu.Lock()
	var errs []error
	for _, seg := range s.segments {
		errs = append(errs, seg.file.Close())
	}
	s.index, s.segments = nil, nil
	s.mu.Unlock()
	s.release()
	return errors.Join(errs...)
}

// Find implements [executor.Memo]: it returns the result that was kept under a key. It blocks while more than 64 MiB wait to be written, until ctx ends.
func (s *Store) Find(ctx context.Context, key *executor.MemoKey) (result []byte, found bool) {
	if w := s.writer; w.crowded() {
		w.waitRoom(ctx)
	}
	first := beginning(&key.Sum)
	s.mu.RLock()
	at, ok := s.index[first]
	seg := s.segments[at.segment()]
	s.mu.RUnlock()
	if !ok || seg == nil {
		return nil, false
	}
	var large [32]byte
	size, damaged := int64(-1), false
	err := s.window.find(seg, at.offset(), func(r *record) {
		switch {
		case r == nil:
			damaged = true
		case r.key != key.Sum: // another key begins likewise
		case r.kind == isResult:
			result, found = append(make([]byte, 0, len(r.payload)), r.payload...), true
		case r.kind == isLarge:
			large, size = r.large()
		}
	})
	if size >= 0 {
		result, err = readLarge(s.dir, large, size)
		found = err == nil
		damaged = errors.Is(err, errDamaged) || errors.Is(err, os.ErrNotExist)
	}
	switch {
	case found:
		s.counts.found.Add(1)
	case damaged:
		s.forget(seg, at, first, size >= 0, large)
	case err != nil && !errors.Is(err, os.ErrClosed): // else it is too old, and was just removed
		s.cfg.Logger.Warn("memo: an entry cannot be read; its call runs again", "file", seg.name, "error", err)
	}
	return result, found
}

// forget takes a damaged entry out.
func (s *Store) forget(seg *segment, at place, first uint64, isLarge bool, sum [32]byte) {
	s.mu.Lock()
	if s.segments[at.segment()] != seg || s.index[first] != at { // it was removed
		s.mu.Unlock()
		return
	}
	delete(s.index, first)
	s.mu.Unlock()
	s.counts.damaged.Add(1)
	s.cfg.Logger.Warn("memo: an entry is damaged; its call runs again", "file", seg.name, "at", at.offset())
	if isLarge && !s.cfg.ReadOnly {
		removeLarge(s.dir, sum) //nolint:errcheck // then it is found damaged again
	}
}

// Keep implements [executor.Memo]: it copies a result, which is in the folder milliseconds later. It does not block.
func (s *Store) Keep(key *executor.MemoKey, result []byte) { s.writer.keep(key, result) }

// Drop implements [executor.Memo]: what is kept under a key counts no more. It does not block.
func (s *Store) Drop(key *executor.MemoKey) {
	s.mu.Lock()
	delete(s.index, beginning(&key.Sum))
	s.mu.Unlock()
	s.writer.drop(key)
}

// Sync blocks until all that was kept before is on the disk, or until ctx ends. It returns why something could not be written, if so.
func (s *Store) Sync(ctx context.Context) error {
	if err := s.writer.sync(ctx); err != nil {
		return fmt.Errorf("memo: %w", err)
	}
	return nil
}

// Counts returns what the store has done.
func (s *Store) Counts() Counts {
	c := &s.counts
	return Counts{Found: c.found.Load(), Kept: c.kept.Load(), Durable: c.durable.Load(), Lost: c.lost.Load(), Damaged: c.damaged.Load()}
}

// Len returns how many entries there are, as far as they are written. It is 0 when the store is not open.
func (s *Store) Len() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.index)
}
