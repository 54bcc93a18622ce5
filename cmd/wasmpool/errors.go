package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// The exit codes besides 0.
const (
	exitCallFailed  = 1
	exitSetup       = 2 // of any error that is no exitError
	exitInterrupted = 130
)

// An exitError ends the command with a code of its own. With a nil err nothing
// more is printed: all was said.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// A workerError is printed although it does not come from rank 0.
type workerError struct {
	rank int
	err  error
}

func (e *workerError) Error() string { return fmt.Sprintf("rank %d: %s", e.rank, oneLine(e.err)) }
func (e *workerError) Unwrap() error { return e.err }

func exitCode(err error) int {
	var e *exitError
	if errors.As(err, &e) {
		return e.code
	}
	return exitSetup
}

// oneLine returns an error's text on one line, without the names of the
// packages that it came through.
func oneLine(err error) string {
	var parts []string
	for line := range strings.Lines(err.Error()) {
		if line = trimPackages(strings.TrimSpace(line)); line != "" {
			parts = append(parts, line)
		}
	}
	return strings.Join(parts, "; ")
}

func trimPackages(line string) string {
	for {
		rest := line
		for _, name := range []string{"executor: ", "wasmtasks: ", "host: ", "launch: ", "worker: ", "Config.Memo: ", "memo: "} {
			rest = strings.TrimPrefix(rest, name)
		}
		if rest == line {
			return line
		}
		line = rest
	}
}

// flagError adds where to look to an error of a flag.
func flagError(cmd *cobra.Command, err error) error {
	if strings.Contains(err.Error(), "missing unit in duration") {
		err = fmt.Errorf("%w, want one such as 30s or 2h", err)
	}
	return fmt.Errorf("%w (see %s --help)", err, cmd.CommandPath())
}

// argCount returns a check for the number of arguments. The hint says more
// about too many.
func argCount(least, most int, hint string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return fmt.Errorf("too few arguments, want: wasmpool %s", cmd.Use)
		case len(args) > most:
			return fmt.Errorf("unexpected argument %q%s, want: wasmpool %s", args[most], hint, cmd.Use)
		}
		return nil
	}
}

// programHint is said of an argument too many.
const programHint = " (arguments of a WASI program stand behind --)"

// cutArguments cuts a command line into what is wasmpool's, whose number is checked, and what stands behind --, which is
// the arguments of a WASI program.
func cutArguments(cmd *cobra.Command, args []string, check cobra.PositionalArgs) (own, program []string, err error) {
	if at := cmd.ArgsLenAtDash(); at >= 0 {
		args, program = args[:at], args[at:]
	}
	return args, program, check(cmd, args)
}

// noSuchCommand is what the first word is when it reaches the root command.
func noSuchCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() && !slices.Contains([]string{"help"}, c.Name()) {
			names = append(names, c.Name())
		}
	}
	hint := "commands: " + strings.Join(names, ", ")
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		hint = "did you mean " + near[0] + "? " + hint
	}
	return fmt.Errorf("no command %q (%s)", args[0], hint)
}
