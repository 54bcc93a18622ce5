package memo

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// A segment is a file of records. Only the one that was made last grows.
type segment struct {
	number uint32
	salt   uint64
	name   string // of the file, with its folder
	file   *os.File

	// Only used by who writes, and before that by who opens.
	size  int64
	large [][32]byte          // files of results that its records name
	tasks map[uint64]struct{} // of which it says what they are
}

// Segments are called by the version of their format, their number and their salt.
const segmentName = "memo1-%08d-%016x"

// newSegment makes a file for a segment.
func newSegment(dir string, number uint32) (*segment, error) {
	var salt [8]byte
	rand.Read(salt[:]) // it does not fail
	s := &segment{number: number, salt: binary.LittleEndian.Uint64(salt[:]), tasks: map[uint64]struct{}{}}
	s.name = filepath.Join(dir, fmt.Sprintf(segmentName, s.number, s.salt))
	var err error
	if s.file, err = os.OpenFile(s.name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644); err != nil {
		return nil, err
	}
	if err := syncFolder(dir); err != nil {
		return nil, errors.Join(err, s.file.Close())
	}
	return s, nil
}

// openSegments opens the segments of a folder, for reading alone or not, in the order in which they were made.
func openSegments(dir string, readOnly bool) (all []*segment, err error) {
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	foreign, unknown := "", ""
	for _, f := range files {
		s := &segment{tasks: map[uint64]struct{}{}}
		switch n, _ := fmt.Sscanf(f.Name(), segmentName, &s.number, &s.salt); {
		case n == 2 && f.Name() == fmt.Sprintf(segmentName, s.number, s.salt):
			s.name = filepath.Join(dir, f.Name())
			all = append(all, s)
		case strings.HasPrefix(f.Name(), "memo") && strings.Count(f.Name(), "-") == 2 && !strings.HasSuffix(f.Name(), newSuffix):
			unknown = f.Name()
		case f.Name() != lockName && f.Name() != largeFolder && !strings.HasSuffix(f.Name(), newSuffix):
			foreign = f.Name()
		}
	}
	switch {
	case unknown != "" && len(all) == 0:
		return nil, fmt.Errorf("%s was written by another version of wasmpool (%s): take that, or give another folder", dir, unknown)
	case foreign != "" && len(all) == 0:
		return nil, fmt.Errorf("%s is no memo, and holds something else (%s): give a folder of its own", dir, foreign)
	}
	slices.SortFunc(all, func(a, b *segment) int { return strings.Compare(a.name, b.name) })
	flags := os.O_RDWR
	if readOnly {
		flags = os.O_RDONLY
	}
	for _, s := range all {
		if s.file, err = os.OpenFile(s.name, flags, 0); err != nil {
			return nil, errors.Join(err, closeAll(all))
		}
	}
	return all, nil
}

func closeAll(all []*segment) error {
	var errs []error
	for _, s := range all {
		if s.file != nil {
			errs = append(errs, s.file.Close())
		}
	}
	return errors.Join(errs...)
}

// A damage is a part of a segment that is no record.
type damage struct {
	name     string
	from, to int64
}

// scanWindow is how many bytes scan reads at once.
const scanWindow = 4 * mostRecord

// scan calls each for each record of the segment, with where it is, and hurt for each part that is no record. It returns where the
// last record ends. What each is given is valid until it returns.
func (s *segment) scan(each func(r *record, at int64, size int), hurt func(damage)) (end int64, err error) {
	info, err := s.file.Stat()
	if err != nil {
		return 0, err
	}
	s.size = info.Size()
	buf := make([]byte, min(s.size, scanWindow))
	base, bad := int64(0), int64(-1)
	for base < s.size {
		n, err := s.file.ReadAt(buf[:min(int64(len(buf)), s.size-base)], base)
		if err != nil && !errors.Is(err, io.EOF) {
			return 0, fmt.Errorf("reading %s: %w", s.name, err)
		}
		if n == 0 {
			break // it became shorter
		}
		b, last := buf[:n], base+int64(n) >= s.size || errors.Is(err, io.EOF)
		at := 0
		for at < len(b) && (last || len(b)-at >= mostRecord) {
			r, size := parse(b[at:], s.salt)
			if size == 0 {
				if bad < 0 {
					bad = base + int64(at)
				}
				at = nextRecord(b, at+1)
				if last && at >= len(b)-len(magic)+1 {
					at = len(b)
				}
				continue
			}
			if bad >= 0 {
				hurt(damage{s.name, bad, base + int64(at)})
				bad = -1
			}
			each(&r, base+int64(at), size)
			at += size
			end = base + int64(at)
		}
		base += int64(at)
	}
	if bad >= 0 {
		hurt(damage{s.name, bad, s.size})
	}
	return end, nil
}

// A window is a part of a segment in memory: calls that are made again in order find their results one beside the other. It is safe
// for concurrent use, and serves one goroutine at a time: the others read for themselves.
type window struct {
	mu   sync.Mutex
	of   *segment
	base int64
	buf  []byte
}

const (
	windowSize = 256 << 10 // of what is read where the reading goes on
	glanceSize = 4 << 10   // elsewhere
)

// find gives use the record at a place: nil where there is none that is whole. It returns an error of reading.
func (w *window) find(s *segment, at int64, use func(*record)) error {
	if !w.mu.TryLock() {
		return new(window).find(s, at, use)
	}
	defer w.mu.Unlock()
	if w.of == s && at >= w.base && at < w.base+int64(len(w.buf)) {
		if r, size := parse(w.buf[at-w.base:], s.salt); size > 0 {
			use(&r)
			return nil
		}
	}
	size := glanceSize
	if w.of == s && at >= w.base && at < w.base+int64(len(w.buf))+windowSize {
		size = windowSize
	}
	if err := w.fill(s, at, size); err != nil {
		return err
	}
	if len(w.buf) >= headerSize {
		if whole := sizeOf(w.buf); whole > len(w.buf) {
			if err := w.fill(s, at, whole); err != nil {
				return err
			}
		}
	}
	if r, size := parse(w.buf, s.salt); size > 0 {
		use(&r)
	} else {
		use(nil)
	}
	return nil
}

// fill reads so many bytes, or as many as there are.
func (w *window) fill(s *segment, at int64, size int) error {
	w.of, w.base = s, at
	w.buf = slices.Grow(w.buf[:0], size)[:size]
	n, err := s.file.ReadAt(w.buf, at)
	w.buf = w.buf[:n]
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}
