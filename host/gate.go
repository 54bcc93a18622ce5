package host

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/wasmpool/wasmpool/internal/abi"
	"github.com/wasmpool/wasmpool/internal/meter"
	"github.com/wasmpool/wasmpool/internal/wasmbin"
)

// gate is the first step of the pipeline: it parses a module and refuses what
// cannot run here, before the compiler sees it. limit is the memory an
// instance may have.
func gate(wasm []byte, limit uint64) (*wasmbin.Module, error) {
	m, err := wasmbin.Parse(wasm)
	if err != nil {
		return nil, errorf(KindBadModule, "%w", err)
	}
	for _, i := range m.Imports {
		if err := checkImport(m, i); err != nil {
			return nil, err
		}
	}
	for _, l := range m.Memories {
		if err := checkMemory(l, limit); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// checkImport refuses what nobody offers.
func checkImport(m *wasmbin.Module, i wasmbin.Import) error {
	name := i.Module + "." + i.Name
	if i.Kind != wasmbin.KindFunc {
		return errorf(KindBadModule, "it imports the %s %s: a task module has its own", i.Kind, name)
	}
	all, err := offers()
	if err != nil {
		return err
	}
	if i.Module == abi.Module && i.Name == meter.Tick {
		return errorf(KindBadModule, "it imports the function %s, which is not for modules to call", name)
	}
	functions := all[i.Module]
	if functions == nil {
		return errorf(KindBadModule, "it imports the function %s: nobody offers a module %q here, only %s",
			name, i.Module, strings.Join(slices.Sorted(maps.Keys(all)), " and "))
	}
	want, ok := functions[i.Name]
	if !ok {
		return errorf(KindBadModule, "it imports the function %s, which does not exist: was the module built for a newer wasmpool?", name)
	}
	if int(i.Type) >= len(m.Types) {
		return errorf(KindBadModule, "it imports the function %s with a type that does not exist", name)
	}
	if got := m.Types[i.Type].String(); got != want {
		return errorf(KindBadModule, "it imports the function %s as %s, it is %s", name, got, want)
	}
	return nil
}

func checkMemory(l wasmbin.Limits, limit uint64) error {
	switch {
	case l.Wide:
		return errorf(KindBadModule, "it has a 64-bit memory: build it for wasm32")
	case l.Shared:
		return errorf(KindBadModule, "it has a memory shared between threads: a task runs on one, build it without threads")
	case l.Min > limit/pageSize:
		return errorf(KindBadModule, "it starts with %d MiB of memory, the limit is %d MiB", l.Min*pageSize>>20, limit>>20)
	}
	return nil
}

// offers returns the signatures of the functions a guest may import, by module
// and name.
var offers = sync.OnceValues(func() (map[string]map[string]string, error) {
	ctx := context.Background()
	rt := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter())
	defer rt.Close(ctx) //nolint:errcheck // nothing is open
	if err := instantiateImports(ctx, rt); err != nil {
		return nil, err
	}
	all := make(map[string]map[string]string)
	for _, module := range []string{abi.Module, wasi_snapshot_preview1.ModuleName} {
		all[module] = make(map[string]string)
		for name, def := range rt.Module(module).ExportedFunctionDefinitions() {
			all[module][name] = signature(def).String()
		}
	}
	return all, nil
})

func signature(def api.FunctionDefinition) wasmbin.FuncType {
	return wasmbin.FuncType{Params: valTypes(def.ParamTypes()), Results: valTypes(def.ResultTypes())}
}

func valTypes(types []api.ValueType) []wasmbin.ValType {
	list := make([]wasmbin.ValType, len(types))
	for i, t := range types {
		list[i] = wasmbin.ValType(t) // both are the binary's byte
	}
	return list
}
