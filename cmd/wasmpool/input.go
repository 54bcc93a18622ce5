package main

import (
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"

	"github.com/bmatcuk/doublestar/v4"
	"github.com/spf13/pflag"
)

// An input yields the arguments of a map. It is read once, from one goroutine,
// as far ahead as calls are made.
type input interface {
	// items yields the inputs that the plan has, with their numbers. The caller owns the
	// arguments.
	items(p *plan) iter.Seq2[int64, item]

	// err says why items ended before its time. It may be asked once items has
	// ended.
	err() error

	// count returns about how many inputs there are, or -1 when that cannot
	// be known. It is called before items.
	count() int64

	// file returns the name of the file that argument i came from, "" when all came
	// from one.
	file(i int64) string

	// reads reports whether the file is a part of the input.
	reads(file os.FileInfo) bool

	close() error
}

// An item is one input: the argument of a call, or, when bad is not nil, what cannot be
// one, and why. Of a bad item arg is what was read of it, nil for nothing.
type item struct {
	arg []byte
	bad error
}

// inputFlags say what the inputs of a map are, and which of them it takes.
type inputFlags struct {
	kind string // the flag of inputKinds that was given
	name string // its value
	read bool   // that is a file, or - for standard input

	numbers rangeFlag
	params  paramFlag
	part    part

	csvNumbers bool
}

// inputKinds are the flags that name the input. One of them is given. Those of readKinds name a file
// to read, or - for standard input.
var (
	readKinds  = []string{"lines", "jsonl", "csv", "args-from", "files-from"}
	inputKinds = append(slices.Clone(readKinds), "files", "range", "param")
)

func (f *inputFlags) add(flags *pflag.FlagSet) {
	flags.String("lines", "", "call once per line of the file `F`")
	flags.String("jsonl", "", "call once per JSON value, one a line, of the file `F`")
	flags.String("csv", "", "call once per row of the CSV file `F`, as an object with the header's names")
	flags.BoolVar(&f.csvNumbers, "csv-numbers", false, "with --csv: fields that are numbers in JSON stay numbers, others are strings (default: all are strings)")
	flags.String("args-from", "", "call once per argument in the file `F`, each of which ends in a NUL byte")
	flags.String("files", "", "call once per file that matches `GLOB`")
	flags.String("files-from", "", "call once per file that is named in the file `F`, where each name ends in a NUL byte")
	flags.Var(&f.numbers, "range", "call once per number of a range, `FROM..TO[..STEP]`")
	flags.Var(&f.params, "param", "call once per combination of the values of all --param, `NAME=LIST` each, as an object; the first changes slowest")
	flags.Var(&f.part.where, "where", "take only inputs with these `NUMBERS`, such as 7,100-199,500-")
	flags.Var(&f.part.shard, "shard", "take only part `K/N` of N equal parts of the inputs: 1/N, 2/N, … N/N")
}

// check finds which flag names the input.
func (f *inputFlags) check(flags *pflag.FlagSet) error {
	given := 0
	for _, kind := range inputKinds {
		if flags.Changed(kind) {
			given++
			f.kind, f.name = kind, flags.Lookup(kind).Value.String()
		}
	}
	f.read = slices.Contains(readKinds, f.kind)
	switch {
	case given != 1 || f.name == "":
		return errors.New("give the input with one of --lines F, --jsonl F, --csv F, --args-from F, --files GLOB, --files-from F, --range FROM..TO and --param NAME=LIST")
	case f.csvNumbers && f.kind != "csv":
		return errors.New("--csv-numbers is for the fields of --csv F")
	case f.kind == "files" && !doublestar.ValidatePattern(filepath.ToSlash(f.name)):
		return fmt.Errorf("--files %q is no pattern: it has an unclosed [ or {, or ends in \\", f.name)
	}
	return nil
}

// open opens the input. own tells files that belong to the results.
func (f *inputFlags) open(a *app, own func(name string) bool) (input, error) {
	switch f.kind {
	case "lines":
		return openLines(f.name, a.in, nil)
	case "jsonl":
		return openLines(f.name, a.in, checkJSON)
	case "csv":
		return openCSV(f.name, a.in, f.csvNumbers)
	case "args-from":
		return openArgs(f.name, a.in)
	case "files":
		return openFiles(f.name, own)
	case "files-from":
		return openFilesFrom(f.name, a.in)
	case "range":
		return f.numbers.input(), nil
	default:
		return f.params.input(), nil
	}
}

// byNumber yields the inputs of a plan, of n that can be had by their numbers.
func byNumber(n int64, at func(i int64) item, p *plan) iter.Seq2[int64, item] {
	return func(yield func(int64, item) bool) {
		for i := p.next(0); i >= 0 && i < n; i = p.next(i + 1) {
			if !yield(i, at(i)) {
				return
			}
		}
	}
}

// inTurn yields the inputs of a plan, of all, which come one after the other.
func inTurn(all iter.Seq[item], p *plan) iter.Seq2[int64, item] {
	return func(yield func(int64, item) bool) {
		i, wanted := int64(0), p.next(0)
		if wanted < 0 {
			return
		}
		for it := range all {
			if i == wanted {
				if !yield(i, it) {
					return
				}
				if wanted = p.next(i + 1); wanted < 0 {
					return
				}
			}
			i++
		}
	}
}
