package host

import (
	"context"
	"fmt"
	"strconv"
	"sync"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/wasmpool/wasmpool/internal/abi"
	"github.com/wasmpool/wasmpool/internal/compile"
	"github.com/wasmpool/wasmpool/internal/meter"
	"github.com/wasmpool/wasmpool/internal/wasmbin"
)

const (
	i32 = api.ValueTypeI32
	i64 = api.ValueTypeI64
)

const (
	// mostErrorText bounds what a guest may say about an error.
	mostErrorText = 64 << 10

	// mostLogLine bounds one line of its log.
	mostLogLine = 16 << 10
)

// functions are what a guest may import from [abi.Module]. The context they
// get is the *instance that runs.
var functions = []struct {
	name            string
	params, results []api.ValueType
	call            api.GoModuleFunc
}{
	{abi.InputLen, nil, []api.ValueType{i32}, inputLen},
	{abi.InputRead, []api.ValueType{i32, i32, i32}, []api.ValueType{i32}, inputRead},
	{abi.OutputWrite, []api.ValueType{i32, i32}, nil, outputWrite},
	{abi.ErrorWrite, []api.ValueType{i32, i32}, nil, errorWrite},
	{abi.Log, []api.ValueType{i32, i32, i32}, nil, logWrite},
	{abi.CallMeta, []api.ValueType{i32}, []api.ValueType{i64}, callMeta},
	{abi.DoorOpen, []api.ValueType{i32, i32}, nil, doorOpen},
	{abi.SeedOpen, []api.ValueType{i32}, nil, seedOpen},
	{abi.SharedLen, []api.ValueType{i32, i32}, []api.ValueType{i64}, sharedLen},
	{abi.SharedRead, []api.ValueType{i32, i32, i32, i64, i32}, []api.ValueType{i32}, sharedRead},
	{abi.SharedDigest, []api.ValueType{i32, i32, i32}, []api.ValueType{i32}, sharedDigest},
	{meter.Tick, nil, []api.ValueType{i64}, tick},
}

// instantiateImports makes all that guests may import part of rt, and stubs for what one imports besides.
func instantiateImports(ctx context.Context, rt wazero.Runtime, stubs []compile.Stub) error {
	b := rt.NewHostModuleBuilder(abi.Module)
	for _, f := range functions {
		b.NewFunctionBuilder().WithGoModuleFunction(f.call, f.params, f.results).Export(f.name)
	}
	if _, err := b.Instantiate(ctx); err != nil {
		return fmt.Errorf("host: offering the module %s: %w", abi.Module, err)
	}
	guarded := experimental.WithFunctionListenerFactory(ctx, wasiGuard{})
	if _, err := wasi_snapshot_preview1.Instantiate(guarded, rt); err != nil {
		return fmt.Errorf("host: offering WASI: %w", err)
	}
	if len(stubs) == 0 {
		return nil
	}
	b = rt.NewHostModuleBuilder(compile.StubModule)
	for n, s := range stubs {
		b.NewFunctionBuilder().WithGoModuleFunction(stub(s), types(s.Type.Params), types(s.Type.Results)).Export(strconv.Itoa(n))
	}
	if _, err := b.Instantiate(ctx); err != nil {
		return fmt.Errorf("host: offering stubs: %w", err)
	}
	return nil
}

// stub returns a function that traps.
func stub(s compile.Stub) api.GoModuleFunc {
	message := fmt.Sprintf("import %.100s.%.100s: nobody offers this function, and it was called (StubImports only lets the module run without)", s.Module, s.Name)
	return func(context.Context, api.Module, []uint64) { raise(&abort{kind: KindTrap, message: message}) }
}

func types(list []wasmbin.ValType) (types []api.ValueType) {
	for _, t := range list {
		types = append(types, api.ValueType(t))
	}
	return types
}

// offers returns the signatures of the functions that a guest may import.
var offers = sync.OnceValues(func() (compile.Offers, error) {
	ctx := context.Background()
	rt := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter())
	defer rt.Close(ctx) //nolint:errcheck // nothing is open
	if err := instantiateImports(ctx, rt, nil); err != nil {
		return nil, err
	}
	all := make(compile.Offers)
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

func inputLen(ctx context.Context, _ api.Module, stack []uint64) {
	in := ctx.(*instance)
	stack[0] = 0
	if in.call != nil {
		stack[0] = uint64(uint32(argLen(in.call)))
	}
}

func inputRead(ctx context.Context, mod api.Module, stack []uint64) {
	in := ctx.(*instance)
	dst, off, n := uint32(stack[0]), uint32(stack[1]), uint32(stack[2])
	stack[0] = 0
	if in.call == nil {
		return
	}
	size := uint64(argLen(in.call))
	if uint64(off) >= size || n == 0 {
		return
	}
	n = uint32(min(uint64(n), size-uint64(off)))
	part := in.memory(mod, abi.InputRead, dst, n)
	in.pay(mod, instructionsFor(uint64(n)))
	switch {
	case in.call.ReadArg == nil:
		in.copy(part, in.call.Arg[off:])
	case uint64(n) == size && !in.fetched:
		in.takeArg(part, dst)
	default:
		in.copy(part, in.fetchArg()[off:])
	}
	stack[0] = uint64(n)
}

func outputWrite(ctx context.Context, mod api.Module, stack []uint64) {
	in := ctx.(*instance)
	part := in.memory(mod, abi.OutputWrite, uint32(stack[0]), uint32(stack[1]))
	in.pay(mod, instructionsFor(uint64(len(part))))
	in.write(part)
}

func errorWrite(ctx context.Context, mod api.Module, stack []uint64) {
	in := ctx.(*instance)
	text := in.memory(mod, abi.ErrorWrite, uint32(stack[0]), uint32(stack[1]))
	s := in.slot
	text = text[:min(len(text), mostErrorText-len(s.errText))]
	in.pay(mod, instructionsFor(uint64(len(text))))
	s.errText = append(s.errText, text...)
	s.dirty = true
}

func logWrite(ctx context.Context, mod api.Module, stack []uint64) {
	in := ctx.(*instance)
	level := int(int32(stack[0]))
	text := in.memory(mod, abi.Log, uint32(stack[1]), uint32(stack[2]))
	in.pay(mod, lineCost)
	in.slot.addLog(len(text))
	in.logLine(level, text[:min(len(text), mostLogLine)])
}

func callMeta(ctx context.Context, _ api.Module, stack []uint64) {
	in := ctx.(*instance)
	var c Call
	key := uint32(stack[0])
	if in.call != nil {
		c = *in.call
		in.slot.asked = in.slot.asked || key <= abi.MetaRank
	}
	value := int64(-1)
	switch key {
	case abi.MetaCall:
		value = int64(c.Number)
	case abi.MetaAttempt:
		value = int64(c.Attempt)
	case abi.MetaRank:
		value = int64(c.Rank)
	case abi.MetaRun:
		value = int64(in.run())
	case abi.MetaSeed, abi.MetaSeed + 1, abi.MetaSeed + 2, abi.MetaSeed + 3:
		value = in.seedWord(key - abi.MetaSeed)
	}
	stack[0] = uint64(value)
}

// run returns how many calls the instance has run, as far as its guest can know: one that
// is put back to its image is always in the first.
func (in *instance) run() int {
	if in.image != nil {
		return in.earlier + min(in.calls, 1)
	}
	return in.earlier + in.calls
}

func doorOpen(ctx context.Context, mod api.Module, stack []uint64) {
	in := ctx.(*instance)
	at, n := uint32(stack[0]), uint32(stack[1])
	in.memory(mod, abi.DoorOpen, at, n)
	if n < abi.DoorMin {
		raise(&abort{kind: KindTrap, message: fmt.Sprintf("import %s: a door of %d bytes is too small, it takes at least %d", abi.DoorOpen, n, abi.DoorMin)})
	}
	in.openDoor(at, n)
}

func seedOpen(ctx context.Context, mod api.Module, stack []uint64) {
	in := ctx.(*instance)
	at := uint32(stack[0])
	block := in.memory(mod, abi.SeedOpen, at, abi.SeedBlock)
	in.block = seedBlock{open: true, at: at, kept: [abi.SeedBlock]byte(block)}
}
