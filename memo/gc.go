package memo

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Keep says which entries [GC] leaves. The zero value leaves all that are sound.
type Keep struct {
	MaxBytes int64            // of the folder: those that were kept last; 0 is no bound
	Since    time.Time        // those that were kept then or later
	Only     func(Entry) bool // those for which it returns true; nil is all. The entries are without their results
}

// Removed says what [GC] has removed.
type Removed struct {
	Entries int   // that were sound
	Bytes   int64 // by which the folder is smaller
}

// GC removes entries, and what is of no use: what is damaged, what there are newer entries of, and files that nobody names. It
// takes the folder as who writes to it does, and blocks until all is done.
func GC(dir string, keep Keep) (Removed, error) {
	s := New(dir, Config{Logger: slog.New(slog.DiscardHandler)}) // what it would say is about to be mended
	if _, err := os.Stat(dir); err != nil {
		return Removed{}, fmt.Errorf("memo: %w", err)
	}
	if err := s.Open(); err != nil {
		return Removed{}, err
	}
	removed, err := collect(dir, keep)
	return removed, errors.Join(err, s.Close())
}

// collect is GC on a folder that is this process's.
func collect(dir string, keep Keep) (removed Removed, err error) {
	f, err := Read(dir)
	if err != nil {
		return removed, err
	}
	defer f.Close()
	before, err := f.Size()
	if err != nil {
		return removed, err
	}
	stays, used, err := f.choose(keep)
	if err != nil {
		return removed, err
	}
	removed.Entries = f.Len() - len(stays)
	for _, seg := range f.segments { // the order to forget the last of them goes after those that it is for
		if err := f.rewrite(seg, stays); err != nil {
			return removed, err
		}
	}
	err = eachLarge(dir, func(name string, sum [32]byte, whole bool, _ int64) error {
		if _, ok := used[sum]; ok && whole {
			return nil
		}
		return os.Remove(name)
	})
	if err != nil {
		return removed, err
	}
	now, err := Read(dir)
	if err != nil {
		return removed, err
	}
	after, err := now.Size()
	removed.Bytes = before - after
	return removed, errors.Join(err, now.Close())
}

// choose returns the places of the entries that stay, and which large results they name. The last ones stay.
func (f *Folder) choose(keep Keep) (stays map[place]struct{}, used map[[32]byte]struct{}, err error) {
	type one struct {
		at    place
		size  int64
		large [32]byte
		file  int64 // of a large result
	}
	var all []one
	for _, seg := range f.segments {
		_, err := seg.scan(func(r *record, at int64, size int) {
			if r.kind != isResult && r.kind != isLarge || f.live[beginning(&r.key)] != placeOf(seg.number, at) {
				return
			}
			o := one{at: placeOf(seg.number, at), size: int64(size)}
			if r.kind == isLarge {
				o.large, o.file = r.large()
			}
			e := f.entry(r, false)
			e.Result = nil
			if !e.Kept.Before(keep.Since) && (keep.Only == nil || keep.Only(*e)) {
				all = append(all, o)
			}
		}, func(damage) {})
		if err != nil {
			return nil, nil, fmt.Errorf("memo: %w", err)
		}
	}
	stays, used = map[place]struct{}{}, map[[32]byte]struct{}{}
	total := int64(0)
	for i := len(all) - 1; i >= 0; i-- {
		o := all[i]
		size := o.size
		if _, shared := used[o.large]; !shared {
			size += o.file
		}
		if keep.MaxBytes > 0 && total+size > keep.MaxBytes {
			break
		}
		if total += size; o.file > 0 {
			used[o.large] = struct{}{}
		}
		stays[o.at] = struct{}{}
	}
	return stays, used, nil
}

// rewrite puts a segment in the place of another that has the entries of that which stay, and what tasks they are of.
func (f *Folder) rewrite(seg *segment, stays map[place]struct{}) error {
	entries, useful := 0, int64(0)
	each := func(use func(*record)) error {
		_, err := seg.scan(func(r *record, at int64, _ int) {
			if _, stay := stays[placeOf(seg.number, at)]; stay || r.kind == isTask {
				use(r)
			}
		}, func(damage) {})
		return err
	}
	err := each(func(r *record) {
		useful += int64(headerSize + len(r.payload))
		if r.kind != isTask {
			entries++
		}
	})
	if err != nil || useful == seg.size {
		return err
	}
	if entries > 0 {
		if err := f.copy(seg, each); err != nil {
			return err
		}
	}
	return errors.Join(os.Remove(seg.name), syncFolder(f.dir))
}

// copy makes a segment of the number of another, with the records that each gives.
func (f *Folder) copy(seg *segment, each func(func(*record)) error) error {
	next, err := newSegment(f.dir, seg.number) // whose name has another salt
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(next.file, lingerBytes)
	var b []byte
	err = each(func(r *record) {
		b = appendRecord(b[:0], r)
		seal(b, next.salt)
		w.Write(b) //nolint:errcheck // Flush returns it, too
	})
	return errors.Join(err, w.Flush(), next.file.Sync(), next.file.Close())
}

// Damaged checks all entries of a folder, with the files of large results, and returns what is damaged. It blocks while it reads, or until ctx ends.
func (f *Folder) Damaged(ctx context.Context) ([]string, error) {
	var found []string
	for _, d := range f.Damage {
		found = append(found, d.String())
	}
	for e, err := range f.All(true) {
		switch {
		case err != nil:
			return found, err
		case ctx.Err() != nil:
			return found, context.Cause(ctx)
		case e.Err != nil:
			found = append(found, fmt.Sprintf("the result of %s of %d bytes: %s", e.Task, e.Size, strings.TrimPrefix(e.Err.Error(), f.dir+string(filepath.Separator))))
		}
	}
	return found, nil
}
