package host

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"

	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	esys "github.com/tetratelabs/wazero/experimental/sys"
)

// How long the functions of WASI take depends on their arguments, and nothing ends them before
// they return. So a guest pays for that as for instructions, and arguments that no program
// needs are a trap.
const (
	// mostPath is how many bytes a path may have, and mostEntries how many entries
	// a list: what Linux takes.
	mostPath    = 4096
	mostEntries = 1024

	// mostDirents is how many bytes of a folder's entries are read at once, each of
	// which is looked at: C's library takes 4 KiB and Go 8.
	mostDirents = 64 << 10

	// mostDescriptor bounds the number that a file is given: the table of files has
	// room for all below it.
	mostDescriptor = 4096

	// fileCost is what a function pays that may look for a file, openCost what one
	// pays that asks the system about an open file. Each byte of a path costs
	// pathCost, as it may be a folder to go through, and each entry of a list
	// entryCost.
	fileCost  = 1024
	openCost  = 256
	pathCost  = 64
	entryCost = 64

	// vectorSize is the size of an iovec: an address and a length.
	vectorSize = 8
)

// A wasiShape says which of a function's parameters are lengths: of paths, of a list
// of iovecs, which is the parameter before, of another list, of bytes, and which is a
// bound of something else. 0 is none: the first parameter never is one.
type wasiShape struct {
	paths                  []int
	vectors, entries, size int
	bounded                int
	most                   uint64 // of the parameter that is bounded
	what                   string // what that parameter is
	cost                   uint64 // beyond what its lengths cost
	given                  bool   // it copies arguments or environment
	alters                 bool   // it changes what the descriptor stands for that is its first parameter
}

var wasiShapes = map[string]*wasiShape{
	"args_get":                {given: true},
	"environ_get":             {given: true},
	"fd_allocate":             {cost: openCost},
	"fd_close":                {cost: openCost, alters: true},
	"fd_fdstat_get":           {cost: openCost},
	"fd_fdstat_set_flags":     {cost: openCost, alters: true},
	"fd_filestat_get":         {cost: openCost},
	"fd_filestat_set_size":    {cost: openCost},
	"fd_filestat_set_times":   {cost: openCost},
	"fd_pread":                {vectors: 2, cost: openCost},
	"fd_prestat_dir_name":     {},
	"fd_pwrite":               {vectors: 2, cost: openCost},
	"fd_read":                 {vectors: 2, cost: openCost},
	"fd_readdir":              {alters: true, size: 2, cost: fileCost, bounded: 2, most: mostDirents, what: "buffer of %d bytes"},
	"fd_renumber":             {alters: true, cost: openCost, bounded: 1, most: mostDescriptor, what: "descriptor of %d"},
	"fd_seek":                 {cost: openCost},
	"fd_tell":                 {cost: openCost},
	"fd_write":                {vectors: 2, cost: openCost},
	"path_create_directory":   {paths: []int{2}},
	"path_filestat_get":       {paths: []int{3}},
	"path_filestat_set_times": {paths: []int{3}},
	"path_link":               {paths: []int{3, 6}},
	"path_open":               {paths: []int{3}},
	"path_readlink":           {paths: []int{2}, size: 4},
	"path_remove_directory":   {paths: []int{2}},
	"path_rename":             {paths: []int{2, 5}},
	"path_symlink":            {paths: []int{1, 4}},
	"path_unlink_file":        {paths: []int{2}},
	"poll_oneoff":             {entries: 2},
	"random_get":              {size: 1},
	"sock_recv":               {vectors: 2},
	"sock_send":               {vectors: 2},
}

// A wasiGuard is told of each call of a function that has a shape.
type wasiGuard struct{}

// NewFunctionListener implements [experimental.FunctionListenerFactory].
func (wasiGuard) NewFunctionListener(f api.FunctionDefinition) experimental.FunctionListener {
	shape, ok := wasiShapes[f.Name()]
	if !ok {
		return nil
	}
	switch f.Name() {
	case "fd_read":
		return readGuard{shape}
	case "fd_prestat_dir_name":
		return nameGuard{shape}
	}
	return shape
}

// Before implements [experimental.FunctionListener].
func (w *wasiShape) Before(ctx context.Context, mod api.Module, f api.FunctionDefinition, params []uint64, _ experimental.StackIterator) {
	in := ctx.(*instance)
	in.errno = 0
	cost := w.price(mod, f.Name(), params)
	if w.given {
		cost += in.code.grants.given
		if places := in.code.grants.places; places > 0 && in.call != nil {
			cost += uint64(places) * instructionsFor(uint64(argLen(in.call)))
		}
	}
	if w.alters && (in.opensWith(uint32(params[0])) || f.Name() == "fd_renumber") {
		in.altered = true
		in.replaced = in.replaced || f.Name() == "fd_close" || f.Name() == "fd_renumber"
	}
	in.pay(mod, cost)
}

// After implements [experimental.FunctionListener].
func (w *wasiShape) After(ctx context.Context, _ api.Module, _ api.FunctionDefinition, results []uint64) {
	if in := ctx.(*instance); in.errno != 0 && results[0] == wasiIO {
		results[0] = in.errno
	}
}

// Abort implements [experimental.FunctionListener].
func (w *wasiShape) Abort(context.Context, api.Module, api.FunctionDefinition, error) {}

// Errors of WASI. The engine knows no name for those that [instance.failWith] takes.
const (
	wasiSuccess  = 0
	wasiBusy     = 10
	wasiFault    = 21
	wasiTooLarge = 22
	wasiIO       = 29
	wasiManyOpen = 33
	wasiNoSpace  = 51
)

// failWith has the function of WASI that runs fail with this error.
func (in *instance) failWith(errno uint64) esys.Errno {
	in.errno = errno
	return esys.EIO
}

// A nameGuard has the folder that is granted as "." be called so, which the engine calls "/".
type nameGuard struct{ *wasiShape }

// Before implements [experimental.FunctionListener].
func (g nameGuard) Before(ctx context.Context, mod api.Module, f api.FunctionDefinition, params []uint64, stack experimental.StackIterator) {
	g.wasiShape.Before(ctx, mod, f, params, stack)
	in := ctx.(*instance)
	in.nameAt = 0
	if here := in.code.grants.here; here > 0 && uint32(params[0]) == here && uint32(params[2]) > 0 {
		in.nameAt = uint64(uint32(params[1])) + 1
	}
}

// After implements [experimental.FunctionListener].
func (g nameGuard) After(ctx context.Context, mod api.Module, _ api.FunctionDefinition, results []uint64) {
	if in := ctx.(*instance); in.nameAt > 0 && results[0] == wasiSuccess {
		mod.Memory().WriteByte(uint32(in.nameAt-1), '.') // the engine has just written there
	}
}

// price returns what a call pays.
func (w *wasiShape) price(mod api.Module, name string, params []uint64) uint64 {
	cost := w.cost
	for _, i := range w.paths {
		bound(name, "path of %d bytes", params[i], mostPath)
		cost += fileCost + pathCost*uint64(uint32(params[i]))
	}
	if w.bounded > 0 {
		bound(name, w.what, params[w.bounded], w.most)
	}
	if w.size > 0 {
		cost += instructionsFor(uint64(uint32(params[w.size])))
	}
	if n := max(w.entries, w.vectors); n > 0 {
		bound(name, "list of %d entries", params[n], mostEntries)
		cost += entryCost * uint64(uint32(params[n]))
	}
	if w.vectors > 0 {
		cost += instructionsFor(vectorBytes(mod.Memory(), uint32(params[w.vectors-1]), uint32(params[w.vectors])))
	}
	return cost
}

// bound raises a trap when a length is too large.
func bound(name, what string, n, most uint64) {
	if n = uint64(uint32(n)); n > most {
		raise(&abort{kind: KindTrap, message: fmt.Sprintf("import %s: a "+what+" is larger than %d", name, n, most)})
	}
}

// vectorBytes returns how many bytes a list of n iovecs is for. What lies outside the
// memory, the function itself finds.
func vectorBytes(mem api.Memory, at, n uint32) (sum uint64) {
	if mem == nil {
		return 0
	}
	list, _ := mem.Read(at, n*vectorSize)
	for ; len(list) > 0; list = list[vectorSize:] {
		sum += uint64(binary.LittleEndian.Uint32(list[vectorSize/2:]))
	}
	return min(sum, math.MaxUint32)
}
