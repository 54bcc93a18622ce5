package host

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"

	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
)

// What the functions of WASI are given decides how long they take, and nothing ends
// them before they return. So they pay for it like instructions, and what no program
// needs is a trap.
const (
	// mostPath is how many bytes a path may have, and mostEntries how many entries
	// a list: what Linux takes.
	mostPath    = 4096
	mostEntries = 1024

	// fileCost is what a function pays that may look for a file, and entryCost what
	// each entry of a list costs.
	fileCost  = 1024
	entryCost = 16

	// vectorSize is the size of an iovec: an address and a length.
	vectorSize = 8
)

// A wasiShape says which of a function's parameters are lengths: of paths, of a list
// of iovecs, which is the parameter before, of another list, of bytes. 0 is none: the
// first parameter never is one.
type wasiShape struct {
	paths                  []int
	vectors, entries, size int
	file                   bool // it may look for a file, without a path
}

var wasiShapes = map[string]wasiShape{
	"fd_pread":                {vectors: 2},
	"fd_pwrite":               {vectors: 2},
	"fd_read":                 {vectors: 2},
	"fd_readdir":              {file: true, size: 2},
	"fd_write":                {vectors: 2},
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
	return experimental.FunctionListenerFunc(func(ctx context.Context, mod api.Module, f api.FunctionDefinition, params []uint64, _ experimental.StackIterator) {
		ctx.(*instance).pay(shape.cost(mod, f.Name(), params))
	})
}

// cost returns what a call pays.
func (w wasiShape) cost(mod api.Module, name string, params []uint64) (cost uint64) {
	if w.file || len(w.paths) > 0 {
		cost += fileCost
	}
	for _, i := range w.paths {
		bound(name, "path of %d bytes", params[i], mostPath)
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
		raise(&abort{kind: KindTrap, message: fmt.Sprintf("import %s: a "+what+" is longer than %d", name, n, most)})
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
