package main

import (
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
}

func (f *grantFlags) add(flags *pflag.FlagSet) {
	flags.StringArrayVar(&f.folders, "dir", nil, "let the task read a folder, `HOST::GUEST` or one path for both; it must be on every rank")
	flags.StringArrayVar(&f.env, "env", nil, "let the task see an environment variable, `NAME=VALUE`")
	flags.BoolVar(&f.clock, "clock", false, "let the task see the real time, and sleep")
	flags.BoolVar(&f.random, "random", false, "let the task have real random numbers")
}

// grants returns what the flags say. It looks at nothing but them, so that all
// ranks agree.
func (f *grantFlags) grants() (host.Grants, error) {
	g := host.Grants{Clock: f.clock, Random: f.random, Args: f.args, Folders: make(map[string]string), Env: make(map[string]string)}
	for _, text := range f.folders {
		here, guest, both := strings.Cut(text, "::")
		if !both {
			guest = path.Clean("/" + here)
		}
		switch {
		case here == "" || guest == "":
			return g, fmt.Errorf("--dir %q: want HOST::GUEST, such as ./data::/data", text)
		case !path.IsAbs(guest):
			return g, fmt.Errorf("--dir %q: the guest's path %s must begin with /", text, guest)
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
	return g, nil
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
