package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/spf13/pflag"

	"github.com/wasmpool/wasmpool/host"
)

// grantFlags say what the module may see of the world outside.
type grantFlags struct {
	folders []string
	env     []string
	clock   bool
	random  bool
	args    []string // a command's, which stand behind --
	keep    keepFlag
	result  string // the file that a command's result is in

	interpreter string // of scripts
}

func (f *grantFlags) add(flags *pflag.FlagSet) {
	flags.StringArrayVar(&f.folders, "dir", nil, "let the task read a folder, `HOST::GUEST` or one path for both; it must be on every rank; . is the working folder")
	flags.StringArrayVar(&f.env, "env", nil, "let the task see an environment variable, `NAME=VALUE`")
	flags.BoolVar(&f.clock, "clock", false, "let the task see the real time, and sleep")
	flags.BoolVar(&f.random, "random", false, "let the task have real random numbers")
	flags.StringVar(&f.interpreter, "interpreter", "", "what runs a MODULE that is a script, the `FILE` of a python.wasm, qjs.wasm or lua.wasm (default: what WASMPOOL_PYTHON, WASMPOOL_JAVASCRIPT or WASMPOOL_LUA says)")
	flags.StringVar(&f.interpreter, "python", "", "the same, for a Python script")
	flags.StringVar(&f.result, "result-file", "", "take the result from the file `NAME` that a WASI program writes, such as /tmp/out.png, in place of what it prints")
	flags.Var(&f.keep, "keep", "let a WASI program go on between calls: each argument is a `line` of its standard input, or a frame (4 bytes of length, lowest first, before it), and the result what it has written when it reads on; with call that begins with a status, as docs/map.md says")
}

// grants returns what the flags say. It looks at nothing but them, so that all
// ranks agree.
func (f *grantFlags) grants() (host.Grants, error) {
	g := host.Grants{Clock: f.clock, Random: f.random, Args: f.args, Keep: host.Keep(f.keep), ResultFile: f.result, Folders: make(map[string]string), Env: make(map[string]string)}
	if f.keep != 0 && strings.Contains(strings.Join(f.args, " "), "{}") {
		return g, errors.New("--keep has the program read the arguments from standard input, and {} stands behind --: leave one of them out")
	}
	if f.keep != 0 && f.result != "" {
		return g, errors.New("--keep has the program write its results to standard output, and --result-file names a file: leave one of them out")
	}
	for _, text := range f.folders {
		here, guest, both := strings.Cut(text, "::")
		if !both {
			guest = path.Clean("/" + here)
		}
		switch {
		case here == "" || guest == "":
			return g, fmt.Errorf("--dir %q: want HOST::GUEST, such as ./data::/data", text)
		case !path.IsAbs(guest) && guest != ".":
			return g, fmt.Errorf("--dir %q: the guest's path %s must begin with /, or be . for the working folder", text, guest)
		case g.Folders[guest] != "":
			return g, fmt.Errorf("--dir %q: the guest's %s is %s already", text, guest, g.Folders[guest])
		}
		g.Folders[guest] = here
	}
	for _, text := range f.env {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return g, fmt.Errorf("--env %q: want NAME=VALUE", text)
		}
		g.Env[name] = value
	}
	return g, g.Validate()
}

// mark stands behind a command's name in what results are of, and tells apart how it was run.
func (f *grantFlags) mark() string {
	if len(f.args) == 0 && f.keep == 0 && f.result == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(strings.Join(append([]string{f.keep.String(), f.result}, f.args...), "\x00")))
	return "#" + hex.EncodeToString(sum[:4])
}

// gateFlags say which modules may run that otherwise are refused.
type gateFlags struct{ large, stubs bool }

func (f *gateFlags) add(flags *pflag.FlagSet) {
	flags.BoolVar(&f.large, "allow-large", false, "take modules that are larger than nearly all, and let compiling one take eight times as much")
	flags.BoolVar(&f.stubs, "stub-imports", false, "take modules that import functions that nobody offers: a call of one is a trap")
}

// checkFolders finds folders that are not there, as the pool does, in the words of the
// command.
func checkFolders(g host.Grants) error {
	for guest, here := range g.Folders {
		if !isFolder(here) {
			return fmt.Errorf("--dir %s::%s: %s is no folder", here, guest, here)
		}
	}
	return nil
}

// An isolationFlag is a flag whose value is a kind of isolation.
type isolationFlag host.Isolation

// Set takes the words of [host.Isolation].
func (f *isolationFlag) Set(text string) error {
	for i := host.IsolationReuse; i <= host.IsolationFresh; i++ {
		if i.String() == text {
			*f = isolationFlag(i)
			return nil
		}
	}
	return fmt.Errorf("%q is none of reuse, reset, fresh", text)
}

func (f *isolationFlag) String() string { return host.Isolation(*f).String() }

// Type names the value in help.
func (f *isolationFlag) Type() string { return "word" }

// A keepFlag is a flag whose value is a way to keep a command.
type keepFlag host.Keep

// Set takes the words of [host.Keep].
func (f *keepFlag) Set(text string) error {
	for k := host.KeepLine; k <= host.KeepCall; k++ {
		if k.String() == text {
			*f = keepFlag(k)
			return nil
		}
	}
	return fmt.Errorf("%q is none of line, frame, call", text)
}

func (f *keepFlag) String() string {
	if *f == 0 {
		return ""
	}
	return host.Keep(*f).String()
}

// Type names the value in help.
func (f *keepFlag) Type() string { return "word" }
