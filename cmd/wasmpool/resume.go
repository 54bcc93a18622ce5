package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"strings"

	"github.com/wasmpool/wasmpool/internal/filelock"
)

// mostInputs is how many inputs an index has.
const mostInputs = math.MaxUint32

// A survey is what --resume knows of all inputs, also of those that are not in the map's part. It
// has read them once, but for the content of files and for what is computed.
type survey struct {
	in    input
	files bool
	n     int64                // inputs
	key   func(i int64) uint64 // of an input; 0 where no result can be of it
	keys  []uint64             // of all, where they are read one after the other; else nil
	index *index               // nil until it is needed
	taken *numberSet           // inputs that have a result
}

// survey reads the inputs through. in is what will be read to run them.
func (f *mapFlags) survey(ctx context.Context, a *app, in input) (*survey, error) {
	s := &survey{in: in, n: in.count(), taken: newNumberSet()}
	switch in := in.(type) {
	case *fileInput:
		s.files = true
		s.key = func(i int64) uint64 { return uint64(fileKey(in.file(i))) }
		return s, nil
	case *computed:
		s.key = func(i int64) uint64 { return lineKey(in.at(i)) }
		return s, nil
	}
	if s.n < 0 {
		return nil, errors.New("--resume reads the input twice, and this is no regular file: give it as one")
	}
	first, err := f.in.open(a, f.owns(a))
	if err != nil {
		return nil, err
	}
	defer first.close()
	s.keys = make([]uint64, 0, s.n)
	for _, it := range first.items(new(plan)) {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		s.keys = append(s.keys, lineKey(it))
	}
	s.n = int64(len(s.keys))
	s.key = func(i int64) uint64 { return s.keys[i] }
	return s, first.err()
}

// lineKey is the key of an input that is no file.
func lineKey(it item) uint64 {
	if it.bad != nil {
		return 0
	}
	return uint64(digestOf(it.arg))
}

// fileKey is the key of a file among the inputs. Results have its name as JSON can.
func fileKey(name string) digest { return digestOf([]byte(strings.ToValidUTF8(name, "\uFFFD"))) }

// match returns the input that a result is of, if there is one that has none yet. Where all such
// inputs have one, double is true.
func (s *survey) match(r *stored) (i int64, double, ok bool, err error) {
	i, known, ok, err := s.find(r)
	if known && s.files {
		it := readItem(s.in.file(i))
		known = it.bad == nil && digestOf(it.arg) == r.arg
	}
	return i, known && !ok, known && ok, err
}

// plan returns what is to run of a part, where so many of its results were kept.
func (s *survey) plan(p part, kept int64) *plan {
	return &plan{part: p, resumed: true, done: s.taken, total: s.n, keys: s.keys, kept: kept}
}

// find returns the input that a result is of, but for the content of files: that of the number
// that the result has, or else the first one that has none yet. Where all such inputs have one,
// known is true and ok false.
func (s *survey) find(r *stored) (i int64, known, ok bool, err error) {
	key := uint64(r.arg)
	if s.files {
		key = uint64(fileKey(r.file))
	}
	if r.i < s.n && key != 0 && !s.taken.has(r.i) && s.key(r.i) == key {
		return r.i, true, true, nil
	}
	if s.keys == nil && !s.files && r.i < s.n && key != 0 && s.key(r.i) == key {
		return r.i, true, false, nil // numbers and combinations differ, but for values that are given twice
	}
	if s.index == nil {
		if err := s.makeIndex(); err != nil {
			return 0, false, false, err
		}
	}
	i, known, ok = s.index.find(key, s.taken)
	return i, known, ok, nil
}

// makeIndex makes the index of all inputs.
func (s *survey) makeIndex() error {
	if s.n > mostInputs {
		return fmt.Errorf("--resume: a result is of another input than its number says, and it is looked for among %d inputs at most: give a smaller range", uint32(mostInputs))
	}
	keys := s.keys
	if keys == nil {
		keys = make([]uint64, s.n)
		for i := range keys {
			keys[i] = s.key(int64(i))
		}
	}
	s.index = newIndex(keys)
	return nil
}

// A leftover is what a map that ended early has left in its file. Reading it makes a file of what
// counts: each input's result, as that of the place where the input is now.
type leftover struct {
	name   string // as the user has it
	of     string // what the results must be of
	inputs *survey
	part   part // of the inputs
	edit   *edit
	dir    *outDir             // that has the results, or nil
	files  map[string]struct{} // in it, of results whose inputs are gone

	kept, failed, gone, doubled int64 // results, by what became of them
	others                      int64 // results of inputs that are not in the part
	torn, undone                int64 // lines that are none
	strange                     error // what the first torn line is, if it does not look like a result
	number                      int64 // of the line
	changed                     []byte
}

// read goes through the lines of a file.
func (l *leftover) read(ctx context.Context, r io.Reader) error {
	lines := bufio.NewReaderSize(r, 256<<10)
	var long []byte
	var result stored
	for {
		line, err := lines.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			if len(long) < mostTorn || mayBeResult(long) {
				long = append(long, line...)
			}
			continue
		}
		if len(long) > 0 {
			long = append(long, line...)
			line = long
		}
		l.number++
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err == io.EOF {
			if len(line) > 0 {
				l.tear(line)
			}
			return l.whose()
		}
		if err != nil {
			return err
		}
		if err := l.judge(line, &result); err != nil {
			return err
		}
		long = long[:0]
	}
}

// mostTorn bounds how much is kept of a line that is none: a crash may leave gigabytes of zeros.
const mostTorn = 1 << 20

func mayBeResult(line []byte) bool {
	return bytes.HasPrefix(bytes.TrimLeft(line, " \t\r"), []byte("{"))
}

// judge decides what becomes of a line, which ends in a newline.
func (l *leftover) judge(line []byte, r *stored) error {
	text := line[:len(line)-1]
	if isBlank(text) {
		return l.edit.drop(line)
	}
	err := r.parse(text)
	switch {
	case errors.Is(err, errTorn):
		l.tear(text)
		return l.edit.drop(line)
	case err != nil:
		return l.foreign("line %d %w", l.number, err)
	case r.of != l.of:
		return l.other(r.of)
	case r.whole && (r.file != "") != l.inputs.files:
		return l.foreign("line %d is of %s", l.number, map[bool]string{true: "a file, and this map has lines", false: "a line, and this map has files"}[r.file != ""])
	case r.whole && r.ok && (r.out.name != "") != (l.dir != nil):
		return l.foreign("line %d has its result in %s", l.number, map[bool]string{true: "the line, and this map has --out-dir", false: "a file, and this map has no --out-dir"}[l.dir != nil])
	case !r.whole:
		l.undone++
		return l.edit.drop(line)
	case !r.ok:
		return l.again(line, r)
	}
	return l.place(line, r)
}

func isBlank(line []byte) bool {
	for _, c := range line {
		if c != ' ' && c != '\t' && c != '\r' {
			return false
		}
	}
	return true
}

// place keeps a result for the input that it is of.
func (l *leftover) place(line []byte, r *stored) error {
	i, double, ok, err := l.inputs.match(r)
	switch {
	case err != nil:
		return err
	case ok && !l.inDir(i, r):
		l.undone++
		return l.edit.drop(line)
	case double:
		l.doubled++
		return l.edit.drop(line)
	case !ok:
		l.gone++
		if l.dir != nil {
			l.files[r.out.name] = struct{}{}
		}
		return l.edit.setAside(line)
	}
	l.inputs.taken.add(i)
	if l.part.has(i) {
		l.kept++
	} else {
		l.others++
	}
	return l.keep(line, r, i)
}

// again drops a failure, so that its input runs again, unless that is not in the part.
func (l *leftover) again(line []byte, r *stored) error {
	if l.part.all() {
		l.failed++
		return l.edit.drop(line)
	}
	i, known, ok, err := l.inputs.find(r)
	if !known {
		i = r.i // of what is no argument nothing else is known
	}
	switch {
	case err != nil:
		return err
	case known && !ok:
		l.doubled++
		return l.edit.drop(line)
	case l.part.has(i):
		l.failed++
		return l.edit.drop(line)
	}
	l.others++
	return l.keep(line, r, i)
}

// keep keeps a line as that of an input.
func (l *leftover) keep(line []byte, r *stored, i int64) error {
	if i == r.i {
		return l.edit.keep(line)
	}
	l.changed = r.renumbered(l.changed[:0], i)
	return l.edit.replace(l.changed)
}

// inDir reports whether a result is where it should be: with --out-dir, in the file of its input.
func (l *leftover) inDir(i int64, r *stored) bool {
	if l.dir == nil {
		return true
	}
	name := resultName(i, l.inputs.in.file(i))
	return r.out.name == strings.ToValidUTF8(name, "\uFFFD") && l.dir.holds(storedFile{name, r.out.sum})
}

// tear notes a line of which a part is missing.
func (l *leftover) tear(line []byte) {
	if l.torn++; l.torn == 1 && !looksTorn(line) {
		l.strange = l.foreign("line %d %w", l.number, errForeign)
	}
}

// whose returns an error if nothing says that the file is of a map: it is somebody's text.
func (l *leftover) whose() error {
	if l.kept+l.others+l.failed+l.gone+l.doubled+l.undone > 0 {
		return nil
	}
	return l.strange
}

func (l *leftover) foreign(format string, args ...any) error {
	return fmt.Errorf("--resume: %s belongs to something else: %w: give another --out (--force overwrites it)", l.name, fmt.Errorf(format, args...))
}

// other is the error of a result of something else.
func (l *leftover) other(of string) error {
	task, module := cutOf(of)
	ownTask, ownModule := cutOf(l.of)
	var differs []string
	if task != ownTask {
		differs = append(differs, fmt.Sprintf("task %s, and this is %s", task, ownTask))
	}
	if module != ownModule {
		differs = append(differs, fmt.Sprintf("module %s, and this is %s", module, ownModule))
	}
	return l.foreign("line %d is a result of %s", l.number, strings.Join(differs, ", of "))
}

// cutOf cuts what a result says that it is of into the task and the beginning of the module's digest.
func cutOf(of string) (task, module string) {
	at := strings.LastIndexByte(of, '@')
	if at < 0 {
		return of, ""
	}
	return of[:at], of[at+1:]
}

// resume makes the plan of a map that goes on with what its file holds, and
// makes the file hold what counts.
func (a *app) resume(ctx context.Context, f *mapFlags, in input, dir *outDir, of string, lock *filelock.Lock) (*plan, error) {
	s, err := f.survey(ctx, a, in)
	if err != nil {
		return nil, err
	}
	old, err := os.Open(f.out)
	if errors.Is(err, fs.ErrNotExist) {
		p := s.plan(f.in.part, 0)
		return p, dir.settle(ctx, s, p, map[string]struct{}{})
	}
	if err != nil {
		return nil, fmt.Errorf("--resume: %w", err)
	}
	defer old.Close()
	l := &leftover{name: f.out, of: strings.ToValidUTF8(of, "\uFFFD"), inputs: s, part: f.in.part, edit: &edit{name: realName(f.out), old: old}, dir: dir, files: map[string]struct{}{}}
	err = l.read(ctx, old)
	if err == nil {
		err = errors.Join(lock.Beat(), dir.beat()) // reading may have taken long
	}
	if err != nil {
		l.edit.abandon()
		return nil, err
	}
	p := s.plan(f.in.part, l.kept)
	if err := dir.settle(ctx, s, p, l.files); err != nil { // first: whoever comes after a kill decides the same
		l.edit.abandon()
		return nil, err
	}
	if err := l.edit.finish(); err != nil {
		return nil, fmt.Errorf("--resume: %w", err)
	}
	fmt.Fprintf(a.err, "wasmpool: %s: %s, %d of %d inputs are to run\n", f.out, l, p.left(), p.part.count(s.n))
	return p, nil
}

// String says what is kept and what is not.
func (l *leftover) String() string {
	text := fmt.Sprintf("kept %d %s", l.kept, plural(int(l.kept), "result"))
	for _, part := range []struct {
		n    int64
		what string
	}{
		{l.others, "left alone %d of inputs outside of this part"},
		{l.failed, "dropped %d of failed calls"},
		{l.undone, "dropped %d without a result"},
		{l.doubled, "dropped %d doubled"},
		{l.torn, "dropped %d cut or torn"},
		{l.gone, "moved %d whose inputs are gone to " + l.goneName()},
	} {
		if part.n > 0 {
			text += ", " + fmt.Sprintf(part.what, part.n)
		}
	}
	return text
}

// goneName names the file of what was set aside, as the user knows it.
func (l *leftover) goneName() string {
	if _, err := os.Readlink(l.name); err == nil {
		return l.edit.name + goneSuffix // it is beside the file, not beside a link to it
	}
	return l.name + goneSuffix
}
