package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/host"
)

// callFlags say how the calls of run and map are made.
type callFlags struct {
	retries int
	on      kindList
	pause   time.Duration
	tags    []string
	pure    bool // of the flags of the memo
}

// mostRetries is how often a call may run again.
const mostRetries = 99

func (f *callFlags) add(flags *pflag.FlagSet) {
	flags.IntVar(&f.retries, "retries", 0, "run a call that failed up to `N` times more")
	flags.Var(&f.on, "retry-on", "with --retries, only after failures of the kinds `KIND,…` (default: all but bad_input and others that another run cannot cure)")
	flags.DurationVar(&f.pause, "retry-pause", time.Second, "with --retries, wait `D` before the first of them, and twice as long before each further one, up to a minute")
	flags.StringSliceVar(&f.tags, "tag", nil, "`WORD,…` to find the calls by in log lines and reports")
}

func (f *callFlags) check(flags *pflag.FlagSet) error {
	switch {
	case f.retries < 0 || f.retries > mostRetries:
		return fmt.Errorf("--retries is %d, must be from 0 to %d", f.retries, mostRetries)
	case f.pause < 0:
		return fmt.Errorf("--retry-pause is %v, must not be negative", f.pause)
	case f.retries == 0 && (flags.Changed("retry-on") || flags.Changed("retry-pause")):
		return errors.New("--retry-on and --retry-pause say how to retry: give --retries N, too")
	}
	return nil
}

// options returns what the flags say as options of a call.
func (f *callFlags) options() []executor.CallOption {
	var all []executor.CallOption
	if f.pure {
		all = append(all, executor.Pure())
	}
	if f.retries > 0 {
		all = append(all, executor.Retries(executor.RetryPolicy{Attempts: 1 + f.retries, Kinds: f.on, Backoff: f.pause}))
	}
	if len(f.tags) > 0 {
		all = append(all, executor.Tags(f.tags...))
	}
	return all
}

// mapOptions is options for many calls.
func (f *callFlags) mapOptions() []executor.MapOption {
	var all []executor.MapOption
	for _, o := range f.options() {
		all = append(all, o)
	}
	return all
}

// A kindList is a flag whose value are kinds of failures. A nil one is the default.
type kindList []host.Kind

// Set adds kinds that commas separate.
func (l *kindList) Set(text string) error {
	for word := range strings.SplitSeq(text, ",") {
		var kind host.Kind
		if err := kind.UnmarshalText([]byte(strings.TrimSpace(word))); err != nil {
			return fmt.Errorf("%q is no kind of failure, want some of %s", word, strings.Join(kindWords(), ", "))
		}
		*l = append(*l, kind)
	}
	return nil
}

// String returns the kinds as Set takes them.
func (l *kindList) String() string {
	var words []string
	for _, kind := range *l {
		words = append(words, kind.String())
	}
	return strings.Join(words, ",")
}

// Type names the value in help.
func (l *kindList) Type() string { return "kinds" }

// kindWords are the kinds of failures that a call may end with.
func kindWords() []string {
	var words []string
	for kind := host.KindApplication; kind <= host.KindDiffered; kind++ {
		words = append(words, kind.String())
	}
	slices.Sort(words)
	return words
}
