package wasmtasks

import (
	"math"
	"slices"
	"strings"

	"github.com/wasmpool/wasmpool/internal/abi"
	"github.com/wasmpool/wasmpool/internal/wasmbin"
)

// A Description is all that a module says about itself.
type Description struct {
	Name    string     `json:"name"`
	Digest  string     `json:"digest"` // in hexadecimal
	Size    int        `json:"size"`   // in bytes
	Tasks   []Task     `json:"tasks"`  // sorted by name
	Memory  MemoryInfo `json:"memory"`
	Asks    []string   `json:"asks"`    // of the world outside, sorted: see [Import.Asks]
	Imports []Import   `json:"imports"` // in the module's order
	Other   []Export   `json:"other"`   // exports that are not tasks, sorted by name
}

// MemoryInfo describes a module's first memory, in pages of 64 KiB.
type MemoryInfo struct {
	MinPages uint32 `json:"min_pages"`
	MaxPages uint32 `json:"max_pages,omitempty"` // only when HasMax
	HasMax   bool   `json:"has_max"`
	Exported bool   `json:"exported"` // as "memory"
}

// An Import is something a module needs from its host.
type Import struct {
	Module    string `json:"module"`
	Name      string `json:"name"`
	Signature string `json:"signature"` // of a function; else what it is, such as "memory"
}

// asks are the functions of WASI by which a module may see the world outside.
var asks = map[string]string{
	"clock_res_get": "clock", "clock_time_get": "clock", "poll_oneoff": "clock",
	"random_get":  "random",
	"environ_get": "env",
	"path_open":   "files", "path_filestat_get": "files", "path_readlink": "files",
	"sock_accept": "network", "sock_recv": "network", "sock_send": "network",
}

// Asks returns what a module asks of the world outside by this import: "clock" for the
// time or to sleep, "random" for random numbers, "env" for its environment, "files",
// "network", or "" for nothing. What it was not granted, no call gets: the clock stands
// still then, and random numbers are made from the call.
func (i Import) Asks() string {
	if !strings.HasPrefix(i.Module, "wasi_") {
		return ""
	}
	return asks[i.Name]
}

// Describe returns all that the module says about itself.
func (m *Module) Describe() Description {
	d := Description{
		Name:    m.name,
		Digest:  m.digest.String(),
		Size:    len(m.wasm),
		Tasks:   m.Tasks(),
		Memory:  m.memory(),
		Asks:    []string{},
		Imports: []Import{},
		Other:   m.other(),
	}
	s, funcs := m.signer(), uint32(0)
	for _, i := range m.parsed.Imports {
		one := Import{Module: i.Module, Name: i.Name, Signature: s.imported(i, funcs)}
		d.Imports = append(d.Imports, one)
		if word := one.Asks(); word != "" && !slices.Contains(d.Asks, word) {
			d.Asks = append(d.Asks, word)
		}
		if i.Kind == wasmbin.KindFunc {
			funcs++
		}
	}
	slices.Sort(d.Asks)
	return d
}

// other returns the exports that are not tasks, sorted by name.
func (m *Module) other() []Export {
	list := []Export{}
	for _, at := range m.parsed.SortedExports() {
		e := m.parsed.Exports[at]
		why := m.whyNot(e)
		if why == "" && m.command {
			why = "the module is a WASI command: build a reactor to call it"
		}
		if why != "" {
			list = append(list, Export{Name: e.Name, Kind: e.Kind.String(), Why: why})
		}
	}
	return list
}

// imported says what an import is; function is its index if it is a function.
func (s signer) imported(i wasmbin.Import, function uint32) string {
	switch i.Kind {
	case wasmbin.KindFunc:
		return s.typed(function).Signature
	case wasmbin.KindGlobal:
		return "global " + i.Global.String()
	default:
		return i.Kind.String()
	}
}

func (m *Module) memory() MemoryInfo {
	memories := m.parsed.Memories
	for _, i := range m.parsed.Imports {
		if i.Kind == wasmbin.KindMemory {
			memories = []wasmbin.Limits{i.Memory}
			break
		}
	}
	if len(memories) == 0 {
		return MemoryInfo{}
	}
	return MemoryInfo{
		MinPages: pages(memories[0].Min),
		MaxPages: pages(memories[0].Max),
		HasMax:   memories[0].HasMax,
		Exported: m.exports(abi.Memory, wasmbin.KindMemory),
	}
}

func pages(n uint64) uint32 { return uint32(min(n, math.MaxUint32)) }
