package memo

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"os"
	"strings"
	"time"
)

// A Folder is what is in the folder of a memo at one moment, for who looks at it: [Read] makes one. Nobody else is kept from writing.
type Folder struct {
	dir      string
	segments []*segment
	live     map[uint64]place
	tasks    map[uint64]taskText

	// Damage names the parts of files that are no entries. What was being written when its process was killed is not among it.
	Damage []Damage
}

// Damage is a part of a file.
type Damage struct {
	File     string
	From, To int64 // offsets
}

func (d Damage) String() string { return fmt.Sprintf("%s: bytes %d to %d", d.File, d.From, d.To) }

// A taskText is what a segment says of a task.
type taskText struct{ name, settings string }

// An Entry is a result that is kept.
type Entry struct {
	Task     string          // its name and the beginning of its module's SHA-256, as "square@2f9f1c1b7a40"; "" where that is damaged
	Settings json.RawMessage // all else that decided the result: see docs/data.md; nil where that is damaged
	Key      [32]byte
	Argument uint64    // the beginning of its SHA-256, the first byte the highest
	Kept     time.Time // to the second
	Size     int64     // of the result
	Result   []byte    // nil where it could not be read
	Err      error     // why, then
}

// Read reads which entries a folder has. It blocks while it reads, some 1 GB a second. Close gives the files back.
func Read(dir string) (*Folder, error) {
	if _, err := os.Stat(dir); err != nil {
		return nil, fmt.Errorf("memo: %w", err)
	}
	all, err := openSegments(dir, true)
	if err != nil {
		return nil, fmt.Errorf("memo: %w", err)
	}
	f := &Folder{dir: dir, segments: all, live: map[uint64]place{}, tasks: map[uint64]taskText{}}
	for i, seg := range all {
		end, err := seg.scan(func(r *record, at int64, _ int) { f.take(seg, r, at) }, func(d damage) { f.Damage = append(f.Damage, Damage{d.name, d.from, d.to}) })
		if err != nil {
			return nil, errors.Join(fmt.Errorf("memo: %w", err), f.Close())
		}
		if last := len(f.Damage) - 1; i == len(all)-1 && last >= 0 && f.Damage[last].File == seg.name && f.Damage[last].From == end {
			f.Damage = f.Damage[:last] // it is being written, or was when its process was killed
		}
	}
	return f, nil
}

func (f *Folder) take(seg *segment, r *record, at int64) {
	switch r.kind {
	case isTask:
		f.tasks[r.task] = textOf(r.payload)
	case isDrop:
		delete(f.live, beginning(&r.key))
	default:
		f.live[beginning(&r.key)] = placeOf(seg.number, at)
	}
}

func textOf(payload []byte) taskText {
	name, settings, _ := strings.Cut(string(payload), "\n")
	return taskText{name, settings}
}

// Close gives the files back.
func (f *Folder) Close() error { return closeAll(f.segments) }

// Len returns how many entries there are.
func (f *Folder) Len() int { return len(f.live) }

// Size returns how many bytes the folder has.
func (f *Folder) Size() (int64, error) {
	size := int64(0)
	for _, seg := range f.segments {
		size += seg.size
	}
	err := eachLarge(f.dir, func(_ string, _ [32]byte, _ bool, n int64) error {
		size += n
		return nil
	})
	return size, err
}

// All yields the entries in the order in which they were kept: with their results, which are checked, or without. Last it yields the error that kept it from
// reading on, if there was one. An entry is valid until the next.
func (f *Folder) All(results bool) iter.Seq2[*Entry, error] {
	return func(yield func(*Entry, error) bool) {
		for _, seg := range f.segments {
			more := true
			_, err := seg.scan(func(r *record, at int64, _ int) {
				if !more || r.kind != isResult && r.kind != isLarge || f.live[beginning(&r.key)] != placeOf(seg.number, at) {
					return
				}
				more = yield(f.entry(r, results), nil)
			}, func(damage) {})
			switch {
			case !more:
				return
			case err != nil:
				yield(nil, fmt.Errorf("memo: %w", err))
				return
			}
		}
	}
}

// entry returns the entry of a record.
func (f *Folder) entry(r *record, result bool) *Entry {
	e := &Entry{Key: r.key, Kept: time.Unix(int64(r.kept), 0), Size: int64(len(r.payload))}
	for i := range 8 { // as digests are written
		e.Argument = e.Argument<<8 | r.arg>>(8*i)&0xff
	}
	if t, ok := f.tasks[r.task]; ok {
		e.Task, e.Settings = t.name, json.RawMessage(t.settings)
	}
	if r.kind == isResult {
		e.Result = r.payload
		return e
	}
	sum, n := r.large()
	if e.Size = n; result {
		e.Result, e.Err = readLarge(f.dir, sum, n)
	}
	return e
}
