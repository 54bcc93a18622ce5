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
	"slices"
	"strings"
)

// A plan says which inputs of a map are to run: all, or what --resume left.
type plan struct {
	resumed bool
	left    []uint32 // the inputs to run, in order, when resumed
	keys    []uint64 // of all inputs, when resumed and they are no files
	kept    int64    // results that are in the file
}

// mostInputs is how many inputs can be resumed: their numbers are kept in memory.
const mostInputs = math.MaxUint32

// A survey is what --resume knows of the inputs. It has read them once, but for the content
// of files.
type survey struct {
	*index
	files bool
	in    input
}

// survey reads the inputs through. in is what will be read to run them.
func (f *mapFlags) survey(ctx context.Context, a *app, in input) (*survey, error) {
	s := &survey{in: in, files: f.files != ""}
	var keys []uint64
	if s.files {
		for i := range in.count() {
			keys = append(keys, uint64(fileKey(in.file(i))))
		}
	} else {
		n := in.count()
		if n < 0 {
			return nil, errors.New("--resume reads the input twice, and this is no regular file: give it as one")
		}
		first, err := f.input(a)
		if err != nil {
			return nil, err
		}
		defer first.close()
		keys = slices.Grow(keys, int(n))
		for _, it := range first.items(new(plan)) {
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			keys = append(keys, lineKey(it))
		}
		if err := first.err(); err != nil {
			return nil, err
		}
	}
	if len(keys) > mostInputs {
		return nil, fmt.Errorf("--resume takes at most %d inputs", uint32(mostInputs))
	}
	s.index = newIndex(keys)
	return s, nil
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
func (s *survey) match(r *stored) (i int64, double, ok bool) {
	if !s.files {
		i, known, ok := s.find(uint64(r.arg))
		return i, known, ok
	}
	i, known, ok := s.find(uint64(fileKey(r.file)))
	if !known {
		return i, false, false
	}
	if it := readItem(s.in.file(i)); it.bad != nil || digestOf(it.arg) != r.arg {
		return i, false, false
	}
	return i, true, ok
}

// plan returns what is to run, where so many results were kept.
func (s *survey) plan(kept int64) *plan {
	p := &plan{resumed: true, left: s.left(), kept: kept}
	if !s.files {
		p.keys = s.keys
	}
	return p
}

// left returns the inputs that have no result, in order.
func (s *survey) left() []uint32 {
	left := []uint32{}
	for i, taken := range s.taken {
		if !taken {
			left = append(left, uint32(i))
		}
	}
	return left
}

// A leftover is what a map that ended early has left in its file. Reading it makes a file of what
// counts: each input's result, as that of the place where the input is now.
type leftover struct {
	name   string // as the user has it
	of     string // what the results must be of
	inputs *survey
	edit   *edit

	kept, failed, gone, doubled int64 // results, by what became of them
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
	case !r.whole:
		l.undone++
		return l.edit.drop(line)
	case !r.ok:
		l.failed++
		return l.edit.drop(line)
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
	i, double, ok := l.inputs.match(r)
	switch {
	case ok:
		l.kept++
		l.inputs.take(i)
		if i == r.i {
			return l.edit.keep(line)
		}
		l.changed = r.renumbered(l.changed[:0], i)
		return l.edit.replace(l.changed)
	case double:
		l.doubled++
		return l.edit.drop(line)
	default:
		l.gone++
		return l.edit.setAside(line)
	}
}

// tear notes a line of which a part is missing.
func (l *leftover) tear(line []byte) {
	if l.torn++; l.torn == 1 && !looksTorn(line) {
		l.strange = l.foreign("line %d %w", l.number, errForeign)
	}
}

// whose returns an error if nothing says that the file is of a map: it is somebody's text.
func (l *leftover) whose() error {
	if l.kept+l.failed+l.gone+l.doubled+l.undone > 0 {
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
func (a *app) resume(ctx context.Context, f *mapFlags, in input, of string, lock *outLock) (*plan, error) {
	s, err := f.survey(ctx, a, in)
	if err != nil {
		return nil, err
	}
	old, err := os.Open(f.out)
	if errors.Is(err, fs.ErrNotExist) {
		return s.plan(0), nil
	}
	if err != nil {
		return nil, fmt.Errorf("--resume: %w", err)
	}
	defer old.Close()
	l := &leftover{name: f.out, of: strings.ToValidUTF8(of, "\uFFFD"), inputs: s, edit: &edit{name: realName(f.out), old: old}}
	err = l.read(ctx, old)
	if err == nil {
		err = lock.beat() // reading may have taken long
	}
	if err != nil {
		l.edit.abandon()
		return nil, err
	}
	if err := l.edit.finish(); err != nil {
		return nil, fmt.Errorf("--resume: %w", err)
	}
	p := s.plan(l.kept)
	fmt.Fprintf(a.err, "wasmpool: %s: %s, %d of %d inputs are to run\n", f.out, l, len(p.left), len(s.keys))
	return p, nil
}

// String says what is kept and what is not.
func (l *leftover) String() string {
	text := fmt.Sprintf("kept %d %s", l.kept, plural(int(l.kept), "result"))
	for _, part := range []struct {
		n    int64
		what string
	}{
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
