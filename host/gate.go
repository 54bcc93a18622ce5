package host

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/wasmpool/wasmpool/internal/abi"
	"github.com/wasmpool/wasmpool/internal/meter"
	"github.com/wasmpool/wasmpool/internal/wasmbin"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// gate is the first step of the pipeline: it parses a module and refuses what
// cannot run here, before the compiler sees it. The error lists all that is
// wrong, but for the code, which rewrite reads. limit is the memory an instance
// may have.
func gate(wasm []byte, limit uint64) (*wasmbin.Module, error) {
	m, err := wasmbin.Parse(wasm)
	if err != nil {
		return nil, errorf(KindBadModule, "%w", err)
	}
	all, err := offers()
	if err != nil {
		return nil, err
	}
	var problems []string
	for _, i := range m.Imports {
		problems = add(problems, checkImport(all, m, i))
	}
	for _, e := range m.Exports {
		problems = add(problems, checkExport(e))
	}
	for _, l := range m.Memories {
		problems = add(problems, checkMemory(l, limit))
	}
	if len(problems) > 0 {
		return nil, errorf(KindBadModule, "%s", list(problems))
	}
	return m, nil
}

// gateCode reads the module's code and refuses what is too large for the compiler.
func gateCode(wasm []byte, m *wasmbin.Module) (*meter.Code, error) {
	code, err := meter.Read(wasm, m)
	if err != nil {
		return nil, errorf(KindBadModule, "%w", err)
	}
	if problems := checkBounds(m, &code.Shape); len(problems) > 0 {
		return nil, errorf(KindBadModule, "%s", list(problems))
	}
	return code, nil
}

// Check says why each pool refuses the module, or nil, as far as that shows before the
// engine validates it: by its imports, memory and size, and by proposals in its code
// that are off. It runs and compiles nothing, and returns at once. The error is an
// [*Error] of [KindBadModule].
func Check(m *wasmtasks.Module) error {
	parsed, err := gate(m.Bytes(), maxMemory)
	if err != nil {
		return err
	}
	_, err = gateCode(m.Bytes(), parsed)
	return err
}

// mostProblem is how many bytes of a problem are told: it holds names of the module.
const mostProblem = 300

func add(problems []string, p string) []string {
	if p == "" {
		return problems
	}
	if len(p) > mostProblem {
		p = strings.ToValidUTF8(p[:mostProblem], "") + "…"
	}
	return append(problems, p)
}

// list joins problems, the first of them when there are very many.
func list(problems []string) string {
	const most = 20
	if n := len(problems); n > most {
		problems = append(problems[:most:most], fmt.Sprintf("and %d more", n-most))
	}
	return strings.Join(problems, "; ")
}

// checkImport says what is wrong with an import: nobody offers it.
func checkImport(all map[string]map[string]string, m *wasmbin.Module, i wasmbin.Import) string {
	name := i.Module + "." + i.Name
	if i.Kind != wasmbin.KindFunc {
		return fmt.Sprintf("it imports the %s %s: a task module has its own", i.Kind, name)
	}
	if i.Module == abi.Module && i.Name == meter.Tick {
		return fmt.Sprintf("it imports the function %s, which is not for modules to call", name)
	}
	functions := all[i.Module]
	if functions == nil {
		return fmt.Sprintf("it imports the function %s: nobody offers a module %q here, only %s",
			name, i.Module, strings.Join(slices.Sorted(maps.Keys(all)), " and "))
	}
	want, ok := functions[i.Name]
	if !ok {
		return fmt.Sprintf("it imports the function %s, which does not exist: was the module built for a newer wasmpool?", name)
	}
	if int(i.Type) >= len(m.Types) {
		return fmt.Sprintf("it imports the function %s with a type that does not exist", name)
	}
	if got := m.Types[i.Type].String(); got != want {
		return fmt.Sprintf("it imports the function %s as %s, it is %s", name, got, want)
	}
	return ""
}

// checkExport says that a name is not for modules: the pipeline adds exports of
// such names.
func checkExport(e wasmbin.Export) string {
	if e.Name == meter.Fuel || strings.HasPrefix(e.Name, globalPrefix) {
		return fmt.Sprintf("it exports %s, a name that is wasmpool's own", e.Name)
	}
	return ""
}

func checkMemory(l wasmbin.Limits, limit uint64) string {
	switch {
	case l.Wide:
		return "it has a 64-bit memory: build it for wasm32"
	case l.Shared:
		return "it has a memory shared between threads: a task runs on one, build it without threads"
	case l.Min > limit/pageSize:
		return startsAbove(l.Min*pageSize, limit)
	}
	return ""
}

// startsAbove says that a module starts with more memory than it may have.
func startsAbove(start, limit uint64) string {
	return fmt.Sprintf("it starts with %s of memory, the limit is %s", memorySize(start), memorySize(limit))
}

// memorySize gives a number of bytes exactly, in MiB if they are whole pages.
func memorySize(n uint64) string {
	if n%pageSize != 0 {
		return fmt.Sprintf("%d bytes", n)
	}
	return strconv.FormatFloat(float64(n)/(1<<20), 'f', -1, 64) + " MiB"
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
