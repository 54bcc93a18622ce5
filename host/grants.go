package host

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/experimental/sysfs"
	"github.com/tetratelabs/wazero/sys"

	"github.com/wasmpool/wasmpool/internal/monotime"
)

// EveryModule is the name of the grants that modules have without grants of their
// own.
const EveryModule = "*"

// Grants are what a module may see of the world outside. The zero value is
// nothing at all: such a task gives the same bytes on every run and rank, if
// it keeps nothing between calls. There
// is no grant for the network: a guest never has it.
type Grants struct {
	// Folders are what the guest may read, by the path under which it sees
	// them, such as "/data". They must exist on every rank. No path and no
	// symbolic link leads out of them. They cannot be written to. Only regular
	// files and folders can be opened: not pipes, sockets and devices. A guest
	// may have 256 files open at once. "." stands for "/", and is called so, as programs
	// of older compilers want it.
	Folders map[string]string

	// Env are the environment variables it sees.
	Env map[string]string

	// Args are a command's arguments after the first, which is the name of the task. The
	// argument of the call takes the place of each {} in them, which it can if it has
	// no zero byte and at most 128 KiB, and 2 MiB in all places. Where there is no {} it is the standard input; else that is empty.
	// They have no zero bytes, and are at most 65,536. To a command that is kept a {} is nothing but that.
	Args []string

	// Keep lets a command go on between calls.
	Keep Keep

	// ResultFile is the file of a command whose content is the result of the call, in place of
	// what it writes to its standard output, which then is printed like other tasks' output. It is one of those that
	// the command has in memory: see docs/limits.md. A name that does not begin with / is below it. When the command has ended and
	// there is no such file, the call fails with [KindBadResult]. A command that is kept has none.
	ResultFile string

	// Clock gives it the real time, and lets it sleep. A call that sleeps is
	// ended as fast as one that computes.
	Clock bool

	// Random gives it random numbers of the system. Otherwise they are made from
	// the call: from the module, the task and the argument.
	Random bool

	// Output sends each line it prints to the call's log, at the level of
	// information. In any case the end of what it prints is part of its
	// errors.
	Output bool
}

// granted are Grants at work.
type granted struct {
	Grants
	folders []folder
	sees    map[string]string // the names of the folders, by where the guest sees them: a clean path
	given   uint64            // what it costs a guest to be told its arguments, or its environment
	places  int               // that the argument of a call takes in its arguments
	here    uint32            // the descriptor of the folder that is granted as "."; 0 without one
	scratch string            // where a command sees its files in memory; "" where folders are granted in all places
}

type folder struct {
	path string // the guest's
	root *os.Root
}

// open opens what is granted.
func (g Grants) open() (*granted, error) {
	open := &granted{Grants: g, given: entryCost}
	if err := open.check(); err != nil {
		return nil, err
	}
	if g.Keep == KeepNot {
		open.places = placeholders(g.Args)
	}
	for _, arg := range g.Args {
		open.given += entryCost + instructionsFor(uint64(len(arg)))
	}
	for name, value := range g.Env {
		open.given += entryCost + instructionsFor(uint64(len(name)+len(value)))
	}
	for _, name := range slices.Sorted(maps.Keys(g.Folders)) {
		root, err := os.OpenRoot(g.Folders[name])
		if err != nil {
			return nil, errors.Join(fmt.Errorf("the folder granted as %s: %w", name, err), open.close())
		}
		if name == hereFolder {
			open.here = firstDescriptor + uint32(len(open.folders))
		}
		open.folders = append(open.folders, folder{name, root})
	}
	return open, nil
}

const (
	rootFolder = "/"
	hereFolder = "." // the working folder, which is the same

	// firstDescriptor is that of the first folder.
	firstDescriptor = 3
)

// check places what is granted, and returns why a module that brings its command line along cannot have that.
func (g *granted) check() error {
	if err := g.place(); err != nil {
		return errorf(KindBadModule, "%w", err)
	}
	if len(g.Args) > mostArgs {
		return errorf(KindBadModule, "its command line has %d arguments, a command takes at most %d", len(g.Args), mostArgs)
	}
	for _, arg := range g.Args {
		if strings.IndexByte(arg, 0) >= 0 {
			return errorf(KindBadModule, "its command line has a zero byte, in %.40q: no argument can", arg)
		}
	}
	return nil
}

// Validate returns an error for grants that exclude each other, or that no command could use. It looks at no folder.
func (g Grants) Validate() error { return (&granted{Grants: g}).place() }

// place finds out where all is that is granted.
func (g *granted) place() error {
	if err := g.placeFolders(); err != nil {
		return err
	}
	return g.placeResult()
}

// placeFolders finds out where the guest sees the folders, and a command its files in memory.
func (g *granted) placeFolders() error {
	g.sees = make(map[string]string, len(g.Folders))
	for _, name := range slices.Sorted(maps.Keys(g.Folders)) {
		at := path.Clean("/" + name)
		if other, taken := g.sees[at]; taken {
			return fmt.Errorf("a folder is granted as %s and one as %s, which are the same: leave one out", other, name)
		}
		g.sees[at] = name
	}
	_, root := g.sees[rootFolder]
	_, tmp := g.sees[scratchFolder]
	switch {
	case !root:
		g.scratch = rootFolder
	case !tmp:
		g.scratch = scratchFolder
	}
	return nil
}

// placeResult makes the name of the result's file a path, and refuses one that no command could write.
func (g *granted) placeResult() error {
	if g.ResultFile == "" {
		return nil
	}
	file := path.Clean("/" + g.ResultFile)
	switch {
	case g.Keep != KeepNot:
		return fmt.Errorf("a command that is kept (%v) writes its results to standard output, and is to have the result file %s: leave one out", g.Keep, file)
	case file == rootFolder || strings.HasSuffix(g.ResultFile, "/") || strings.IndexByte(file, 0) >= 0 || len(file) > mostPath:
		return fmt.Errorf("%.100q cannot be the name of a result file: it is that of one file, as the command knows it, such as /tmp/out.png", g.ResultFile)
	}
	holds := "" // the folder that the command takes it from
	for _, folder := range append(slices.Collect(maps.Keys(g.sees)), SharedFolder, g.scratch) {
		if folder != "" && strings.HasPrefix(file, strings.TrimSuffix(folder, "/")+"/") && len(folder) > len(holds) {
			holds = folder
		}
	}
	if holds != g.scratch {
		return fmt.Errorf("the result file %s lies in %s, which no command can write to: have the command write elsewhere, such as below /tmp", file, holds)
	}
	g.ResultFile = file
	return nil
}

func (g *granted) close() error {
	var errs []error
	for _, f := range g.folders {
		errs = append(errs, f.root.Close())
	}
	return errors.Join(errs...)
}

// opensWith reports whether the instance starts with this descriptor: those of what it
// reads and prints, and its folders.
func (in *instance) opensWith(descriptor uint32) bool {
	n := firstDescriptor + len(in.code.grants.folders)
	if in.shares {
		n++
	}
	if in.scratch != nil {
		n++
	}
	return descriptor < uint32(n)
}

// configure adds what is granted to what an instance is made with.
func (g *granted) configure(in *instance, cfg wazero.ModuleConfig) wazero.ModuleConfig {
	if in.code.command && g.scratch != "" {
		in.scratch = newScratch(in, g.scratch)
	}
	if len(g.folders) > 0 || in.shares || in.scratch != nil {
		files := wazero.NewFSConfig()
		for _, f := range g.folders {
			files = files.WithFSMount(&folderFS{root: f.root, in: in}, f.path)
		}
		if in.shares {
			files = in.mount(files)
		}
		if in.scratch != nil {
			files = files.(sysfs.FSConfig).WithSysFSMount(in.scratch, in.scratch.base) //nolint:forcetypeassert // the engine's documentation says so
		}
		cfg = cfg.WithFSConfig(files)
	}
	for _, name := range slices.Sorted(maps.Keys(g.Env)) {
		cfg = cfg.WithEnv(name, g.Env[name])
	}
	if g.Random {
		cfg = cfg.WithRandSource(pieces{in, rand.Reader})
	}
	if g.Clock {
		cfg = cfg.WithSysWalltime().WithNanotime(monotime.Now, sys.ClockResolution(time.Microsecond)).WithNanosleep(func(ns int64) {
			in.sleep(time.Duration(max(ns, 0)))
		})
	}
	return cfg
}

// pieces gives a guest random numbers, a piece at a time.
type pieces struct {
	in     *instance
	source io.Reader
}

// Read implements [io.Reader].
func (p pieces) Read(dst []byte) (int, error) { return p.in.inPieces(dst, p.source.Read) }
