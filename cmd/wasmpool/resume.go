package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
)

// A plan says which inputs of a map are to run: all, or what --resume left.
type plan struct {
	resumed bool
	left    []uint32 // the inputs to run, in order, when resumed
	sums    []uint32 // of all arguments, when resumed and without --files
	kept    int64    // results that are in the file
}

// input returns which input a call is of.
func (p *plan) input(call int64) int64 {
	if p.resumed {
		return int64(p.left[call])
	}
	return call
}

// sum returns the checksum of an argument as it stands in a line, or "".
func (p *plan) sum(input int64) string {
	if p.sums == nil {
		return ""
	}
	return fmt.Sprintf("%08x", p.sums[input])
}

// mostInputs is how many inputs can be resumed: their numbers are kept in memory.
const mostInputs = math.MaxUint32

// A survey is what --resume knows of the inputs: it reads them once before.
type survey struct {
	plan
	inputs int64
	file   func(i int64) string
}

// survey reads an input through, but for the content of files.
func (f *mapFlags) survey(a *app) (*survey, error) {
	in, err := f.input(a)
	if err != nil {
		return nil, err
	}
	defer in.close()
	s := &survey{file: in.file}
	if s.inputs = in.count(); s.inputs < 0 {
		return nil, errors.New("--resume reads the input twice: give it as a file")
	}
	if f.files == "" {
		for arg := range in.args() { // an error comes again
			s.sums = append(s.sums, crc32.Checksum(arg, castagnoli))
		}
		s.inputs = int64(len(s.sums))
	}
	if s.inputs > mostInputs {
		return nil, fmt.Errorf("--resume takes at most %d inputs", uint32(mostInputs))
	}
	return s, nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// A leftover is what a map that ended early has left in its file.
type leftover struct {
	done   []bool // by input
	spans  []span // of the file, with the lines to keep
	at     int64  // where its last whole line ends
	kept   int64
	failed int64 // lines of calls that failed
	cut    bool  // the file ends within a line
}

// A span is a part of a file.
type span struct{ from, to int64 }

// read goes through the lines of a file.
func (l *leftover) read(r io.Reader, s *survey) error {
	l.done = make([]bool, s.inputs)
	lines := bufio.NewReaderSize(r, 256<<10)
	for number := 1; ; number++ {
		line, err := lines.ReadBytes('\n')
		if err == io.EOF { //nolint:errorlint // readers return it as it is
			l.cut = len(line) > 0
			return nil
		}
		if err != nil {
			return err
		}
		keep, err := l.judge(line, s)
		if err != nil {
			return fmt.Errorf("line %d %w", number, err)
		}
		if keep {
			l.keep(int64(len(line)))
		}
		l.at += int64(len(line))
	}
}

// readFile is read for the file of that name, if it is there.
func (l *leftover) readFile(name string, s *survey) (found bool, err error) {
	file, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, l.read(bytes.NewReader(nil), s)
	}
	if err != nil {
		return false, err
	}
	defer file.Close()
	return true, l.read(file, s)
}

// judge says whether a line is to be kept. One that no map of these inputs has
// written is an error.
func (l *leftover) judge(line []byte, s *survey) (keep bool, err error) {
	var r struct {
		I    *int64 `json:"i"`
		File string `json:"file"`
		Sum  string `json:"arg_crc"`
		OK   *bool  `json:"ok"`
	}
	if json.Unmarshal(line, &r) != nil || r.I == nil || r.OK == nil {
		return false, errors.New("is no result of wasmpool map")
	}
	i := *r.I
	switch {
	case i < 0 || i >= s.inputs:
		return false, fmt.Errorf("is the result of input %d, but there are only %d", i, s.inputs)
	case r.File != strings.ToValidUTF8(s.file(i), "\uFFFD"):
		return false, fmt.Errorf("is the result of file %q, but input %d is %q", r.File, i, s.file(i))
	case r.Sum != "" && r.Sum != s.sum(i):
		return false, fmt.Errorf("is the result of another argument than input %d has now", i)
	case !*r.OK:
		l.failed++
		return false, nil
	case l.done[i]:
		return false, nil
	}
	l.done[i] = true
	l.kept++
	return true, nil
}

// keep adds the next n bytes of the file to what is kept.
func (l *leftover) keep(n int64) {
	if last := len(l.spans) - 1; last >= 0 && l.spans[last].to == l.at {
		l.spans[last].to += n
		return
	}
	l.spans = append(l.spans, span{l.at, l.at + n})
}

// trim leaves in the file what is to be kept.
func (l *leftover) trim(name string) error {
	whole := len(l.spans) == 1 && l.spans[0] == span{0, l.at}
	switch {
	case whole && !l.cut:
		return nil
	case whole:
		return os.Truncate(name, l.at)
	default:
		return rewrite(name, l.spans)
	}
}

// rewrite puts a file with only some parts of it in its place, so that it is
// whole at any time.
func rewrite(name string, parts []span) error {
	name, err := filepath.EvalSymlinks(name)
	if err != nil {
		return err
	}
	old, err := os.Open(name)
	if err != nil {
		return err
	}
	defer old.Close()
	next, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*.tmp")
	if err != nil {
		return err
	}
	err = errors.Join(copyParts(next, old, parts), next.Sync(), next.Close())
	if err == nil {
		err = os.Rename(next.Name(), name)
	}
	if err != nil {
		os.Remove(next.Name()) //nolint:errcheck // the first error tells more
	}
	return err
}

// copyParts copies parts of a file, and its permissions.
func copyParts(to, from *os.File, parts []span) error {
	info, err := from.Stat()
	if err != nil {
		return err
	}
	for _, p := range parts {
		if _, err := io.Copy(to, io.NewSectionReader(from, p.from, p.to-p.from)); err != nil {
			return err
		}
	}
	return to.Chmod(info.Mode().Perm())
}

// resume makes the plan of a map that goes on with what its file holds, and
// removes from the file what does not count.
func (a *app) resume(f *mapFlags) (*plan, error) {
	s, err := f.survey(a)
	if err != nil {
		return nil, err
	}
	var l leftover
	found, err := l.readFile(f.out, s)
	if err != nil {
		return nil, fmt.Errorf("--resume: %s belongs to something else: %w (--force overwrites it)", f.out, err)
	}
	s.resumed, s.kept = true, l.kept
	for i, done := range l.done {
		if !done {
			s.left = append(s.left, uint32(i))
		}
	}
	if !found {
		return &s.plan, nil
	}
	if err := l.trim(f.out); err != nil {
		return nil, fmt.Errorf("--resume: %w", err)
	}
	fmt.Fprintf(a.err, "wasmpool: %s: %s, %d of %d inputs are to run\n", f.out, &l, len(s.left), s.inputs)
	return &s.plan, nil
}

// String says what is kept and what is not.
func (l *leftover) String() string {
	text := fmt.Sprintf("kept %d %s", l.kept, plural(int(l.kept), "result"))
	if l.failed > 0 {
		text += fmt.Sprintf(", dropped %d of failed calls", l.failed)
	}
	if l.cut {
		text += ", dropped a line that was cut"
	}
	return text
}
