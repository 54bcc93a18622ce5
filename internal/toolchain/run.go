package toolchain

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"time"
)

// A MissingError says that a compiler, or a part of it, is not on this machine.
type MissingError struct {
	Language *Language
	What     string // such as "clang is not on the PATH"
}

// Error says what is missing, and how to get it.
func (e *MissingError) Error() string {
	return fmt.Sprintf("%s; to compile %s: %s", e.What, e.Language.Name, e.Language.get)
}

// A Failure says that a compiler failed.
type Failure struct {
	Messages []string // one line each
	Output   string   // all that it said
}

// Error joins the messages.
func (e *Failure) Error() string { return strings.Join(e.Messages, "; ") }

// find returns where a program is.
func (s Source) find(program string) (string, error) {
	path, err := exec.LookPath(program)
	if errors.Is(err, exec.ErrDot) {
		return "", err
	}
	if err != nil {
		return "", &MissingError{s.Language, program + " is not on the PATH"}
	}
	return path, nil
}

// run runs a program in the folder of the sources, and returns what it printed to standard output.
func (s Source) run(ctx context.Context, program string, args ...string) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = s.Dir
	cmd.Env = append(cmd.Environ(), "NO_COLOR=1", "CARGO_TERM_COLOR=never")
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // so that it stops what it has started
	cmd.WaitDelay = 5 * time.Second
	err := cmd.Run()
	var failed *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return "", context.Cause(ctx)
	case errors.As(err, &failed):
		output := stderr.String() + stdout.String()
		return stdout.String(), &Failure{messages(output, err), output}
	}
	return stdout.String(), err
}

// isError matches the lines in which compilers say what is wrong. Colours are off, where they can be.
var (
	isError  = regexp.MustCompile(`^\S.*\berror(?:\[\w+\])?: |^ERROR `)
	isNoNews = regexp.MustCompile(`linker command failed|aborting due to|could not compile|^error: the following command`)
	isWhere  = regexp.MustCompile(`^\s*(?:[│└─]+ )?in (\S+\(\d+,\d+\))$`)
)

// messages finds them in what a compiler said.
func messages(output string, err error) []string {
	var list, all []string
	for line := range strings.Lines(output) {
		line = strings.TrimRight(line, "\r\n\t ")
		if line != "" {
			all = append(all, strings.TrimSpace(line))
		}
		if isError.MatchString(line) && !isNoNews.MatchString(line) && !slices.Contains(list, line) {
			list = append(list, line)
		}
		if at := isWhere.FindStringSubmatch(line); at != nil && len(list) > 0 { // asc says where behind what
			list[len(list)-1] += " (" + at[1] + ")"
		}
	}
	if list == nil {
		list = all
	}
	if list == nil {
		list = []string{err.Error()}
	}
	return list
}
