package compile

import (
	"crypto/sha256"
	"strconv"

	"github.com/wasmpool/wasmpool/internal/abi"
	"github.com/wasmpool/wasmpool/internal/meter"
	"github.com/wasmpool/wasmpool/internal/wasmbin"
)

// StubModule is the module from which a module that was stubbed imports its stubs: by their numbers in [Code.Stubs].
const StubModule = "wasmpool_stub"

// A Stub is a function that a module imports and nobody offers, in a module that runs all the same. Whoever makes instances
// gives it one that traps.
type Stub struct {
	Module, Name string // as the module came
	Type         wasmbin.FuncType
}

// stubs reports whether an import is of a function that gets a stub.
func (r Rules) stubs(m *wasmbin.Module, i wasmbin.Import) bool {
	if !r.StubImports || i.Kind != wasmbin.KindFunc || int(i.Type) >= len(m.Types) || i.Module == abi.Module && i.Name == meter.Tick {
		return false
	}
	if _, ok := r.Offers[i.Module][i.Name]; ok {
		return false
	}
	t := m.Types[i.Type]
	for _, list := range [][]wasmbin.ValType{t.Params, t.Results} {
		for _, v := range list {
			if !v.Numeric() { // the host's functions take numbers only
				return false
			}
		}
	}
	return true
}

// couldStub reports whether a module could run with stubs for all these imports.
func (r Rules) couldStub(m *wasmbin.Module, foreign map[string][]wasmbin.Import) bool {
	r.StubImports = true
	for _, imports := range foreign {
		for _, i := range imports {
			if !r.stubs(m, i) {
				return false
			}
		}
	}
	return true
}

// stub has the module import its stubs, which it returns, from a module of theirs. It is another module then: what is kept of it is
// apart from what it is without.
func (b *bare) stub(rules Rules) (stubs []Stub, err error) {
	if !rules.StubImports {
		return nil, nil
	}
	facts := b.facts
	wasm := facts.Reimport(b.wasm, func(_ int, i wasmbin.Import) (module, name string, ok bool) {
		if !rules.stubs(facts, i) {
			return "", "", false
		}
		stubs = append(stubs, Stub{i.Module, i.Name, facts.Types[i.Type]})
		return StubModule, strconv.Itoa(len(stubs) - 1), true
	})
	if len(stubs) == 0 {
		return nil, nil
	}
	b.wasm, b.digest = wasm, sha256.Sum256(wasm)
	if b.facts, err = wasmbin.Parse(wasm); err != nil {
		return nil, badModule("%w", err)
	}
	return stubs, nil
}
