package wasmtasks

import (
	"math"

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

// Describe returns all that the module says about itself.
func (m *Module) Describe() Description {
	d := Description{
		Name:    m.name,
		Digest:  m.digest.String(),
		Size:    len(m.wasm),
		Tasks:   m.Tasks(),
		Memory:  m.memory(),
		Imports: []Import{},
		Other:   m.other(),
	}
	s, funcs := m.signer(), uint32(0)
	for _, i := range m.parsed.Imports {
		d.Imports = append(d.Imports, Import{Module: i.Module, Name: i.Name, Signature: s.imported(i, funcs)})
		if i.Kind == wasmbin.KindFunc {
			funcs++
		}
	}
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
