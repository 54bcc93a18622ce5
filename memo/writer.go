package memo

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wasmpool/wasmpool/executor"
)

// A writer writes what a store is given, in commits: each has all that has come since the one before. Its goroutine alone adds to the index and makes
// segments.
type writer struct {
	store *Store

	mu       sync.Mutex
	coming   batch
	closed   bool
	err      error         // why nothing more is written
	waiting  int64         // bytes that are not written
	room     chan struct{} // closed when there is room again; nil when nobody waits
	given    uint64        // entries, since the beginning
	durable  uint64        // of those, the ones that are on the disk, or will never be
	progress chan struct{} // closed when durable grows; nil when nobody waits

	full   atomic.Bool   // too many bytes wait
	wake   chan struct{} // holds a token when something has come
	urgent chan struct{} // holds a token when somebody waits for Sync
	ending chan struct{} // closed by close
	ended  chan struct{} // closed when the goroutine has ended

	// Only used by the goroutine.
	batch    batch // that is written
	out      []byte
	added    []addition
	unsynced bool
	since    time.Time // when the first write that is not on the disk was
	order    []*segment
	bytes    int64                   // of the folder
	files    map[[32]byte]*largeFile // of large results
}

// A batch is what is written together.
type batch struct {
	records []byte // without checksums
	ends    []int  // of each
	large   []largeResult
	tasks   []*executor.MemoTask
}

// A largeResult is a result that gets a file. Its data is not empty.
type largeResult struct {
	record record
	data   []byte
}

// A largeFile is a file of a large result, and how many records name it.
type largeFile struct {
	size int64
	uses int
}

// An addition is what a record that was written does to the index.
type addition struct {
	first uint64
	at    int64 // in the segment; -1 to take the entry out
}

const (
	// mostWaiting is how many bytes wait to be written before who asks for a result waits, too.
	mostWaiting = 64 << 20

	// linger is how long a commit waits for more, and lingerBytes for how much at most.
	linger      = 5 * time.Millisecond
	lingerBytes = 1 << 20
)

// errClosed is the error of what comes after Close.
var errClosed = errors.New("the store is closed")

func newWriter(s *Store) *writer {
	return &writer{
		store: s, wake: make(chan struct{}, 1), urgent: make(chan struct{}, 1),
		ending: make(chan struct{}), ended: make(chan struct{}), files: map[[32]byte]*largeFile{},
	}
}

func (w *writer) start() { go w.run() }

// keep takes a result.
func (w *writer) keep(key *executor.MemoKey, result []byte) {
	r := record{kind: isResult, kept: uint32(time.Now().Unix()), task: beginning(&key.Task.Digest), arg: beginning(&key.Arg), key: key.Sum, payload: result}
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.takes() {
		return
	}
	w.name(key.Task)
	if len(result) >= w.store.cfg.Large {
		r.kind, r.payload = isLarge, nil
		w.coming.large = append(w.coming.large, largeResult{r, append([]byte(nil), result...)})
	} else {
		w.coming.append(&r)
	}
	w.came(headerSize + len(result))
}

// drop takes the order to forget a result.
func (w *writer) drop(key *executor.MemoKey) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.takes() {
		return
	}
	w.coming.append(&record{kind: isDrop, kept: uint32(time.Now().Unix()), task: beginning(&key.Task.Digest), arg: beginning(&key.Arg), key: key.Sum})
	w.came(headerSize)
}

// takes reports whether what comes is written, and counts it as lost if not. mu is held.
func (w *writer) takes() bool {
	if w.err == nil && !w.closed && !w.store.cfg.ReadOnly {
		return true
	}
	if !w.store.cfg.ReadOnly {
		w.store.counts.lost.Add(1)
	}
	return false
}

// name has the segment say what a task is. mu is held.
func (w *writer) name(t *executor.MemoTask) {
	for _, known := range w.coming.tasks {
		if known == t {
			return
		}
	}
	w.coming.tasks = append(w.coming.tasks, t)
}

// came notes that an entry of so many bytes has come. mu is held.
func (w *writer) came(bytes int) {
	w.given++
	if w.waiting += int64(bytes); w.waiting > mostWaiting {
		w.full.Store(true)
	}
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (b *batch) append(r *record) {
	b.records = appendRecord(b.records, r)
	b.ends = append(b.ends, len(b.records))
}

// crowded reports whether too much waits to be written.
func (w *writer) crowded() bool { return w.full.Load() }

// waitRoom blocks while too much waits to be written, until ctx ends.
func (w *writer) waitRoom(ctx context.Context) {
	for {
		w.mu.Lock()
		if w.waiting <= mostWaiting {
			w.mu.Unlock()
			return
		}
		if w.room == nil {
			w.room = make(chan struct{})
		}
		room := w.room
		w.mu.Unlock()
		select {
		case <-room:
		case <-w.ended:
			return
		case <-ctx.Done():
			return
		}
	}
}

// sync blocks until all that has come is on the disk.
func (w *writer) sync(ctx context.Context) error {
	w.mu.Lock()
	want := w.given
	for w.durable < want && w.err == nil {
		if w.progress == nil {
			w.progress = make(chan struct{})
		}
		progress := w.progress
		w.mu.Unlock()
		select {
		case w.urgent <- struct{}{}:
		default:
		}
		select {
		case <-progress:
		case <-w.ended:
		case <-ctx.Done():
			return ctx.Err()
		}
		w.mu.Lock()
	}
	defer w.mu.Unlock()
	return w.err
}

// close writes what has come and ends the goroutine.
func (w *writer) close() error {
	if w.store.cfg.ReadOnly {
		return nil
	}
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	close(w.ending)
	<-w.ended
	if errors.Is(w.err, errClosed) {
		return nil
	}
	return w.err
}

// run is the goroutine.
func (w *writer) run() {
	defer close(w.ended)
	for over := false; !over; {
		force := false
		select {
		case <-w.wake:
			force = w.linger()
		case <-w.urgent:
			force = true
		case <-w.syncDue():
			force = true
		case <-w.ending:
			force, over = true, true
		}
		w.commit(force || w.unsynced && time.Since(w.since) >= w.store.cfg.SyncEvery)
	}
	w.fail(errClosed)
}

// syncDue is when what was written must be on the disk.
func (w *writer) syncDue() <-chan time.Time {
	if !w.unsynced {
		return nil
	}
	return time.After(time.Until(w.since.Add(w.store.cfg.SyncEvery)))
}

// linger waits a moment for more, and reports whether somebody waits.
func (w *writer) linger() (force bool) {
	wait := time.NewTimer(linger)
	defer wait.Stop()
	for {
		select {
		case <-w.urgent:
			return true
		case <-w.ending:
			return false
		case <-wait.C:
			return false
		case <-w.wake:
			w.mu.Lock()
			enough := w.waiting >= lingerBytes
			w.mu.Unlock()
			if enough {
				return false
			}
		}
	}
}

// commit writes what has come, and has it be on the disk if that is due.
func (w *writer) commit(force bool) {
	w.mu.Lock()
	w.batch, w.coming = w.coming, w.batch.reuse()
	given, wrote, failed := w.given, w.waiting, w.err
	w.mu.Unlock()
	if failed != nil {
		return
	}
	err := w.write()
	if err == nil && force && w.unsynced {
		err = w.flush()
	}
	if err != nil {
		w.fail(err)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.waiting -= wrote; w.waiting <= mostWaiting {
		w.full.Store(false)
		if w.room != nil {
			close(w.room)
			w.room = nil
		}
	}
	if !w.unsynced {
		w.store.counts.durable.Add(given - w.durable)
		w.durable = given
		w.tell()
	}
}

// tell wakes who waits for something to be on the disk. mu is held.
func (w *writer) tell() {
	if w.progress != nil {
		close(w.progress)
		w.progress = nil
	}
}

// fail ends the writing: what was given and is not written is lost.
func (w *writer) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return
	}
	w.err = err
	if lost := w.given - w.durable; lost > 0 {
		w.store.counts.lost.Add(lost)
	}
	if !errors.Is(err, errClosed) {
		w.store.cfg.Logger.Error("memo: results are no longer kept", "error", err)
	}
	w.coming, w.waiting = batch{}, 0
	w.full.Store(false)
	if w.room != nil {
		close(w.room)
		w.room = nil
	}
	w.tell()
}

// reuse empties a batch, and keeps its memory unless that is much.
func (b batch) reuse() batch {
	if cap(b.records) > 4*lingerBytes {
		return batch{}
	}
	clear(b.large)
	return batch{b.records[:0], b.ends[:0], b.large[:0], nil}
}

// write writes the batch to the last segment, and adds it to the index.
func (w *writer) write() error {
	b := &w.batch
	if len(b.ends)+len(b.large) == 0 {
		return nil
	}
	if err := w.store.lock.Hold(); err != nil {
		return err
	}
	seg, err := w.target(len(b.records))
	if err != nil {
		return err
	}
	w.out, w.added = w.out[:0], w.added[:0]
	w.describe(seg, b.tasks)
	kept := w.layOut(seg, b.large)
	for i := range b.large {
		if err := w.putLarge(seg, &b.large[i]); err != nil {
			return err
		}
	}
	if len(w.out) == 0 {
		return nil
	}
	if _, err := seg.file.WriteAt(w.out, seg.size); err != nil {
		seg.file.Truncate(seg.size) //nolint:errcheck // else the next to open it does
		return err
	}
	if !w.unsynced {
		w.unsynced, w.since = true, time.Now()
	}
	w.enter(seg)
	seg.size += int64(len(w.out))
	w.bytes += int64(len(w.out))
	if cap(w.out) > 4*lingerBytes {
		w.out = nil
	}
	w.store.counts.kept.Add(kept)
	return w.evict()
}

// target returns the segment that so many bytes are written to.
func (w *writer) target(size int) (*segment, error) {
	most := int64(mostSegment)
	if limit := w.store.cfg.MaxBytes; limit > 0 {
		most = min(most, max(limit/8, leastSegment))
	}
	number := uint32(1)
	if last := len(w.order) - 1; last >= 0 {
		seg := w.order[last]
		if seg.size == 0 || seg.size+int64(size) <= most {
			return seg, nil
		}
		if err := seg.file.Sync(); err != nil {
			return nil, err
		}
		number = seg.number + 1
	}
	seg, err := newSegment(w.store.dir, number)
	if err != nil {
		return nil, err
	}
	w.order = append(w.order, seg)
	w.store.mu.Lock()
	w.store.segments[number] = seg
	w.store.mu.Unlock()
	return seg, nil
}

// describe lays out what tasks are, unless the segment says so already.
func (w *writer) describe(seg *segment, tasks []*executor.MemoTask) {
	for _, t := range tasks {
		id := beginning(&t.Digest)
		if _, known := seg.tasks[id]; known {
			continue
		}
		seg.tasks[id] = struct{}{}
		w.lay(seg, &record{kind: isTask, kept: uint32(time.Now().Unix()), task: id, key: t.Digest, payload: describe(t)})
	}
}

// lay lays out a record.
func (w *writer) lay(seg *segment, r *record) (at int64) {
	from := len(w.out)
	w.out = appendRecord(w.out, r)
	seal(w.out[from:], seg.salt)
	return seg.size + int64(from)
}

// layOut lays out the records of the batch but those of results that are there already, and marks such large ones by having no data. It returns how
// many results are left.
func (w *writer) layOut(seg *segment, large []largeResult) (kept uint64) {
	w.store.mu.RLock()
	defer w.store.mu.RUnlock()
	drops := false
	from := 0
	for _, end := range w.batch.ends {
		r := w.batch.records[from:end]
		from = end
		first := binary.LittleEndian.Uint64(r[32:])
		at := seg.size + int64(len(w.out))
		switch {
		case kind(r[4]) == isDrop:
			drops, at = true, -1
		case !drops && w.has(first):
			continue
		default:
			kept++
		}
		seal(r, seg.salt)
		w.out = append(w.out, r...)
		w.added = append(w.added, addition{first, at})
	}
	for i := range large {
		if l := &large[i]; !drops && w.has(beginning(&l.record.key)) {
			l.data = nil
		} else {
			kept++
		}
	}
	return kept
}

// has reports whether there is an entry. The store's mu is held.
func (w *writer) has(first uint64) bool {
	at, ok := w.store.index[first]
	return ok && w.store.segments[at.segment()] != nil
}

// putLarge writes a large result to its file and lays out its record.
func (w *writer) putLarge(seg *segment, l *largeResult) error {
	if l.data == nil {
		return nil
	}
	sum := sha256.Sum256(l.data)
	if _, err := writeLarge(w.store.dir, sum, l.data); err != nil {
		return err
	}
	l.record.payload = binary.LittleEndian.AppendUint64(append([]byte(nil), sum[:]...), uint64(len(l.data)))
	w.added = append(w.added, addition{beginning(&l.record.key), w.lay(seg, &l.record)})
	w.hold(seg, sum, int64(len(l.data)))
	return nil
}

// hold notes that a record of a segment names the file of a large result.
func (w *writer) hold(seg *segment, sum [32]byte, size int64) {
	seg.large = append(seg.large, sum)
	f := w.files[sum]
	if f == nil {
		f = &largeFile{size: size}
		w.files[sum] = f
		w.bytes += size
	}
	f.uses++
}

// enter adds what was written to the index.
func (w *writer) enter(seg *segment) {
	s := w.store
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range w.added {
		if a.at < 0 {
			delete(s.index, a.first)
		} else {
			s.index[a.first] = placeOf(seg.number, a.at)
		}
	}
}

// flush has the last segment be on the disk. Those before it are.
func (w *writer) flush() error {
	if err := w.order[len(w.order)-1].file.Sync(); err != nil {
		return err
	}
	w.unsynced = false
	return nil
}

// evict removes the oldest segments while there is too much.
func (w *writer) evict() error {
	most := w.store.cfg.MaxBytes
	for most > 0 && w.bytes > most && len(w.order) > 1 {
		if err := w.remove(w.order[0]); err != nil {
			return err
		}
		w.order = w.order[1:]
	}
	return nil
}

// remove removes a segment, and the files of large results that only it names.
func (w *writer) remove(seg *segment) error {
	s := w.store
	s.mu.Lock()
	delete(s.segments, seg.number)
	maps.DeleteFunc(s.index, func(_ uint64, at place) bool { return at.segment() == seg.number })
	s.mu.Unlock()
	err := errors.Join(seg.file.Close(), os.Remove(seg.name))
	w.bytes -= seg.size
	for _, sum := range seg.large {
		f := w.files[sum]
		if f.uses--; f.uses == 0 {
			delete(w.files, sum)
			w.bytes -= f.size
			err = errors.Join(err, removeLarge(s.dir, sum))
		}
	}
	if err != nil {
		return fmt.Errorf("removing what is too old: %w", err)
	}
	return nil
}

// describe returns what a record says of a task.
func describe(t *executor.MemoTask) []byte {
	text := t.Name + "\n" + t.Settings
	return []byte(text[:min(len(text), mostPayload)])
}
