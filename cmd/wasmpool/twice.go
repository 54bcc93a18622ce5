package main

import (
	"errors"
	"fmt"

	"github.com/spf13/pflag"

	"github.com/wasmpool/wasmpool/host"
)

// twiceFlags say whether a call may run twice.
type twiceFlags struct {
	speculate bool
	check     shareFlag
}

func (f *twiceFlags) add(flags *pflag.FlagSet) {
	flags.BoolVar(&f.speculate, "speculate", false, "when slots idle, start calls that take unusually long a second time on another worker, and take the first answer: needs --isolation reset or fresh, or --pure")
	flags.Var(&f.check, "spot-check", "run the share `P` of the calls twice, such as 0.01 or 1%, on two workers, and have those fail whose results differ: needs --isolation reset or fresh, or --pure")
}

// checkTwice finds flags that do not fit calls that run twice.
func (f *poolFlags) checkTwice(flags *pflag.FlagSet) error {
	switch {
	case f.twice.speculate:
		return f.checkPure("--speculate is for results")
	case f.twice.check.share > 0:
		return f.checkPure("--spot-check is for results")
	case flags.Changed("pure") && f.memo.dir == "":
		return errors.New("--pure is about --memo, --speculate and --spot-check: give one of them, too")
	}
	return nil
}

// checkPure finds flags by which results may depend on more than their arguments. what says for which flag that matters.
func (f *poolFlags) checkPure(what string) error {
	for name, granted := range map[string]bool{"--clock": f.grants.clock, "--random": f.grants.random, "--env": len(f.grants.env) > 0, "--dir": len(f.grants.folders) > 0} {
		if granted {
			return fmt.Errorf("%s that depend on nothing but their arguments, and %s lets the task see more: leave one of them out", what, name)
		}
	}
	if host.Isolation(f.isolate) == host.IsolationReuse && !f.memo.call.pure {
		return fmt.Errorf("%s that depend on nothing but their arguments, and with --isolation reuse, the default, a call may find what others have left: give --isolation reset, or --pure if this task does not look at that", what)
	}
	return nil
}
