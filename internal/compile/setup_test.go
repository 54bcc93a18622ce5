package compile

import (
	"context"
	"log/slog"
	"os"
	"sync"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/wasmpool/wasmpool/internal/abi"
	"github.com/wasmpool/wasmpool/internal/meter"
	"github.com/wasmpool/wasmpool/internal/unittest"
	"github.com/wasmpool/wasmpool/internal/wasmbin"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

func TestMain(m *testing.M) {
	if os.Getenv(cacheChildEnv) != "" {
		os.Exit(childMain())
	}
	os.Exit(unittest.Main(m, &cacheDir))
}

// cacheDir is what the pipelines of all tests share, unless they set another.
var cacheDir string

// withDefaults returns settings for a pipeline of a test.
func (c Config) withDefaults() Config {
	if c.CacheDir == "" {
		c.CacheDir = cacheDir
	}
	if c.MemoryLimit == 0 {
		c.MemoryLimit = MaxMemory
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.Offers = offers()
	return c
}

func newPipeline(t testing.TB, cfg Config) *Pipeline {
	t.Helper()
	return New(cfg.withDefaults())
}

// offers are those of package host.
var offers = sync.OnceValue(func() Offers {
	ctx := context.Background()
	rt := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter())
	defer rt.Close(ctx)
	if _, err := wasi_snapshot_preview1.Instantiate(ctx, rt); err != nil {
		panic(err)
	}
	const i32, i64 = wasmbin.I32, wasmbin.I64
	all := Offers{wasi_snapshot_preview1.ModuleName: {}, abi.Module: {}}
	for name, f := range map[string]wasmbin.FuncType{
		abi.InputLen:    {Results: []wasmbin.ValType{i32}},
		abi.InputRead:   {Params: []wasmbin.ValType{i32, i32, i32}, Results: []wasmbin.ValType{i32}},
		abi.OutputWrite: {Params: []wasmbin.ValType{i32, i32}},
		abi.ErrorWrite:  {Params: []wasmbin.ValType{i32, i32}},
		abi.Log:         {Params: []wasmbin.ValType{i32, i32, i32}},
		abi.CallMeta:    {Params: []wasmbin.ValType{i32}, Results: []wasmbin.ValType{i64}},
		abi.DoorOpen:    {Params: []wasmbin.ValType{i32, i32}},
		abi.SeedOpen:    {Params: []wasmbin.ValType{i32}},
	} {
		all[abi.Module][name] = f.String()
	}
	for name, def := range rt.Module(wasi_snapshot_preview1.ModuleName).ExportedFunctionDefinitions() {
		f := wasmbin.FuncType{Params: valTypes(def.ParamTypes()), Results: valTypes(def.ResultTypes())}
		all[wasi_snapshot_preview1.ModuleName][name] = f.String()
	}
	return all
})

func valTypes(types []api.ValueType) (list []wasmbin.ValType) {
	for _, t := range types {
		list = append(list, wasmbin.ValType(t))
	}
	return list
}

func load(t testing.TB, p *Pipeline, m *wasmtasks.Module) *Code {
	t.Helper()
	c, err := p.Load(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// answerWAT has a task that returns 42.
const answerWAT = `(module (memory 1) (data (i32.const 8) "*") (global $n (mut i32) (i32.const 0))
	(func (export "answer") (result i32)
		(loop
			(global.set $n (i32.add (global.get $n) (i32.const 1)))
			(br_if 0 (i32.lt_u (global.get $n) (i32.const 100))))
		(i32.load8_u (i32.const 8))))`

// answer runs the task of answerWAT in a new instance.
func answer(t testing.TB, c *Code) {
	t.Helper()
	ctx := t.Context()
	if err := offerTick(ctx, c.Runtime); err != nil {
		t.Fatal(err)
	}
	in, err := c.Runtime.InstantiateModule(ctx, c.Compiled, wazero.NewModuleConfig())
	if err != nil {
		t.Fatal(err)
	}
	if got, err := in.ExportedFunction("answer").Call(ctx); err != nil || got[0] != 42 {
		t.Errorf("the answer is %v, %v", got, err)
	}
}

// offerTick makes all that a rewritten module without imports of its own imports.
func offerTick(ctx context.Context, rt wazero.Runtime) error {
	_, err := rt.NewHostModuleBuilder(abi.Module).NewFunctionBuilder().
		WithGoFunction(api.GoFunc(func(_ context.Context, stack []uint64) { stack[0] = 1000 }), nil, []api.ValueType{api.ValueTypeI64}).
		Export(meter.Tick).Instantiate(ctx)
	return err
}

// usual are the rules of a host with the default settings.
func usual() Rules { return Rules{MemoryLimit: MaxMemory, Offers: offers()} }
