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

// onceText says of a summary how many calls were found in the memo, and how many ran twice.
func onceText(s executor.Stats) (text string) {
	if s.Found > 0 {
		text = fmt.Sprintf("; %d found in the memo", s.Found)
	}
	if s.Duplicated > 0 {
		text += fmt.Sprintf("; %d took long and were started twice", s.Duplicated)
	}
	if s.Checked > 0 {
		text += fmt.Sprintf("; %d ran twice as a check", s.Checked)
	}
	if s.Differed > 0 {
		text += fmt.Sprintf("; %d gave ANOTHER result when they ran again: the log says which", s.Differed)
	}
	return text
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
