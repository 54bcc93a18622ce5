package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/memo"
)

// memoFlags say where the results of calls are kept beyond the command's end.
type memoFlags struct {
	dir    string
	verify shareFlag
	most   byteSize
	call   *callFlags // which has --pure
}

func (f *memoFlags) add(flags *pflag.FlagSet, call *callFlags) {
	f.call = call
	flags.StringVar(&f.dir, "memo", "", "keep the results in the folder `DIR`, and run no call again whose result is there: needs --isolation reset or fresh, or --pure")
	flags.BoolVar(&call.pure, "pure", false, "with --memo, --speculate or --spot-check: the task's results depend on their arguments alone, whatever calls before them have left, so that any isolation will do")
	flags.Var(&f.verify, "verify-memo", "with --memo: run the share `P` of the calls all the same whose results are there, such as 0.01 or 1%, and compare")
	flags.Var(&f.most, "memo-size", "with --memo: forget the results that were kept first when the folder becomes larger than `SIZE` (default: never)")
}

// checkMemo finds flags that do not fit the memo.
func (f *poolFlags) checkMemo(flags *pflag.FlagSet) error {
	m := &f.memo
	if m.dir == "" {
		for _, name := range []string{"memo", "verify-memo", "memo-size"} {
			if !flags.Changed(name) {
				continue
			}
			if name == "memo" {
				return errors.New("--memo is empty, and should name a folder")
			}
			return fmt.Errorf("--%s is about the memo: give --memo DIR, too", name)
		}
		return nil
	}
	return f.checkPure("--memo keeps results")
}

// store returns the memo, nil without one. Nothing is opened: the pool does that on its root.
func (f *memoFlags) store(a *app) executor.Memo {
	if f.dir == "" || a.rank > 0 {
		return nil
	}
	return memo.New(f.dir, memo.Config{MaxBytes: int64(f.most)})
}

// A tally counts calls that did not run once: not at all, or twice.
type tally struct {
	found      uint64 // in the memo
	duplicated uint64 // took long, and were started a second time
	checked    uint64 // ran twice to be compared
	differed   uint64 // gave another result then, or than the memo had
}

func tallyOf(s executor.Stats) tally { return tally{s.Found, s.Duplicated, s.Checked, s.Differed} }

// text says what there is of a tally, each after a separator.
func (t tally) text(separator string) string {
	var b strings.Builder
	for _, part := range []struct {
		n    uint64
		text string
	}{
		{t.found, "found in the memo"},
		{t.duplicated, "took long and were started twice"},
		{t.checked, "ran twice as a check"},
		{t.differed, "gave ANOTHER result when they ran again"},
	} {
		if part.n > 0 {
			fmt.Fprintf(&b, "%s%d %s", separator, part.n, part.text)
		}
	}
	return b.String()
}

// A shareFlag is a flag whose value is a part of something, from 0 to 1.
type shareFlag struct {
	share float64
	text  string // as it was given
}

// Set parses a number from 0 to 1, or a part such as 5%.
func (f *shareFlag) Set(text string) error {
	number, percent := strings.CutSuffix(text, "%")
	p, err := strconv.ParseFloat(number, 64)
	if percent {
		p /= 100
	}
	if err != nil || !(p >= 0 && p <= 1) {
		return errors.New("want a part from 0 to 1, such as 0.05, or 5%")
	}
	*f = shareFlag{p, text}
	return nil
}

// String returns what Set was given.
func (f *shareFlag) String() string { return f.text }

// Type names the value in help.
func (f *shareFlag) Type() string { return "share" }
