package difftest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/wasmpool/wasmpool/internal/abi"
	"github.com/wasmpool/wasmpool/internal/compile"
	"github.com/wasmpool/wasmpool/internal/meter"
)

// Features of the engine that the generator asks for.
const (
	featureTailCall      = uint64(experimental.CoreFeaturesTailCall)
	featureThreads       = uint64(experimental.CoreFeaturesThreads)
	featureExtendedConst = uint64(experimental.CoreFeaturesExtendedConst)
)

const (
	mostInstructions = 2_000_000 // of one call, else the module is left out
	mostCalls        = 24        // of one module
	mostSteps        = 60        // of one call of a generated module
	pageSize         = 64 << 10
)

// Two engines, each for all modules of this process.
type engines struct {
	compiler, interpreter wazero.Runtime
	pages                 uint64 // the most of a memory
}

func newEngines(ctx context.Context, features api.CoreFeatures, mostMemory uint64) (*engines, error) {
	e := &engines{pages: mostMemory / pageSize}
	var err error
	with := func(cfg wazero.RuntimeConfig) wazero.Runtime {
		rt := wazero.NewRuntimeWithConfig(ctx, cfg.WithCoreFeatures(features).WithMemoryLimitPages(uint32(e.pages)).WithDebugInfoEnabled(false)) // as compile.Validate does
		err = errors.Join(err, offer(ctx, rt))
		return rt
	}
	e.compiler, e.interpreter = with(wazero.NewRuntimeConfigCompiler()), with(wazero.NewRuntimeConfigInterpreter())
	return e, err
}

func (e *engines) close(ctx context.Context) error {
	return errors.Join(e.compiler.Close(ctx), e.interpreter.Close(ctx))
}

// offered are the imports that the bench has, see offer. What else the host offers, no
// module asks for that the bench runs.
var offered = compile.Offers{abi.Module: {}, "wasi_snapshot_preview1": {"random_get": "(i32, i32) -> i32"}}

// offer makes the imports of all modules.
func offer(ctx context.Context, rt wazero.Runtime) error {
	_, err := rt.NewHostModuleBuilder(abi.Module).NewFunctionBuilder().
		WithGoModuleFunction(api.GoModuleFunc(tick), nil, []api.ValueType{api.ValueTypeI64}).Export(meter.Tick).Instantiate(ctx)
	if err != nil {
		return err
	}
	_, err = rt.NewHostModuleBuilder("wasi_snapshot_preview1").NewFunctionBuilder().
		WithGoModuleFunction(api.GoModuleFunc(random), []api.ValueType{api.ValueTypeI32, api.ValueTypeI32}, []api.ValueType{api.ValueTypeI32}).
		Export("random_get").Instantiate(ctx)
	return err
}

// grantOf returns how many instructions lie between two ticks.
func grantOf(seed uint64) int64 { return []int64{50, 1000, 1 << 18}[seed%3] }

// A run is one module on one engine.
type run struct {
	memory *space
	random *rand.Rand
	grant  int64
	gauge  gauge

	imported int    // functions
	short    []bool // of the others
}

type runKey struct{}

// A gauge counts as the host does, see host/tick.go.
type gauge struct {
	fuel    api.MutableGlobal
	granted int64
	used    int64
}

func (g *gauge) set(n int64) {
	g.granted = n
	g.fuel.Set(uint64(n))
}

func (g *gauge) count() int64 { return g.used + g.granted - int64(g.fuel.Get()) }

// errBudget ends a call that executes too much.
var errBudget = errors.New("difftest: over its budget")

func tick(ctx context.Context, mod api.Module, stack []uint64) {
	r := ctx.Value(runKey{}).(*run)
	g := &r.gauge
	if g.fuel == nil { // the start function
		g.fuel = mod.ExportedGlobal(meter.Fuel).(api.MutableGlobal)
	}
	g.used, g.granted = g.count(), r.grant
	if g.used > mostInstructions {
		panic(errBudget) //nolint:forbidigo // wazero's way out of an import
	}
	stack[0] = uint64(r.grant)
}

// random writes what seem to be random bytes, and takes what that costs off the fuel,
// as host does in an import.
func random(ctx context.Context, mod api.Module, stack []uint64) {
	r := ctx.Value(runKey{}).(*run)
	at, n := uint32(stack[0]), uint32(stack[1])
	if r.memory.all == nil {
		stack[0] = 1
		return
	}
	b := make([]byte, n%4096)
	for i := range b {
		b[i] = byte(r.random.Uint32())
	}
	stack[0] = 0
	if !mod.Memory().Write(at, b) {
		stack[0] = 2
	}
	cost := uint64(len(b)) / 16
	if f, ok := mod.ExportedGlobal(meter.Fuel).(api.MutableGlobal); ok {
		f.Set(f.Get() - cost)
	}
	if t, ok := mod.ExportedGlobal(truthCount).(api.MutableGlobal); ok {
		t.Set(t.Get() + cost)
	}
}

// An outcome is what a run shows.
type outcome struct {
	lines  []string // what must be the same on all runs
	counts []count  // of each call
	err    error    // the module does not compile, or cannot start
	budget bool     // a call took too much
	deep   int      // the line with the first call that ran out of stack, or -1
}

// A count is what one call executed, as the rewriting counts or by the truth.
type count struct {
	n       int64
	allowed int64 // of the truth
	trapped bool
	short   bool // the function may count nothing when the host calls it
}

// run runs a module: it calls each of its functions with arguments that follow from
// the seed.
func (e *engines) run(ctx context.Context, rt wazero.Runtime, wasm []byte, short []bool, seed uint64) (o outcome) {
	o.deep = -1
	r := &run{memory: &space{most: e.pages * pageSize}, random: rand.New(rand.NewPCG(seed, 1)), grant: grantOf(seed)}
	ctx = context.WithValue(ctx, runKey{}, r)
	compiled, err := rt.CompileModule(ctx, wasm)
	if err != nil {
		o.err = err
		return o
	}
	defer compiled.Close(ctx)
	r.imported, r.short = len(compiled.ImportedFunctions()), short
	defer r.memory.Free()
	mod, err := rt.InstantiateModule(experimental.WithMemoryAllocator(ctx, r.memory), compiled, wazero.NewModuleConfig().WithName("").WithStartFunctions())
	if err != nil {
		o.budget = errors.Is(err, errBudget)
		o.lines = append(o.lines, "start: "+trapOf(err))
		if strings.Contains(o.lines[0], "stack overflow") {
			o.deep = 0
		}
		return o
	}
	defer mod.Close(ctx)
	args := rand.New(rand.NewPCG(seed, 2))
	names := exportedFunctions(compiled)
	for range 3 {
		for _, f := range names {
			if len(o.counts) == mostCalls || o.budget {
				return o
			}
			o.call(ctx, r, mod, f, args)
		}
	}
	return o
}

// exported is a function to call.
type exported struct {
	api.FunctionDefinition
	name string
}

// exportedFunctions are sorted by index, and named once.
func exportedFunctions(m wazero.CompiledModule) (list []exported) {
	byIndex := map[uint32]exported{}
	most := uint32(0)
	for name, f := range m.ExportedFunctions() {
		at := f.Index() - uint32(len(m.ImportedFunctions()))
		if _, _, imported := f.Import(); imported || strings.HasPrefix(name, "wasmpool_") {
			continue
		}
		if old, ok := byIndex[at]; !ok || name < old.name {
			byIndex[at] = exported{f, name}
			most = max(most, at)
		}
	}
	for at := uint32(0); len(byIndex) > 0 && at <= most; at++ {
		if f, ok := byIndex[at]; ok {
			list = append(list, f)
		}
	}
	return list
}

// call calls a function and looks at all that can be seen then.
func (o *outcome) call(ctx context.Context, r *run, mod api.Module, f exported, args *rand.Rand) {
	var params []uint64
	for _, t := range f.ParamTypes() {
		params = append(params, argument(args, valType(t))...)
	}
	steps, _ := mod.ExportedGlobal(stepsName).(api.MutableGlobal)
	if steps != nil {
		steps.Set(mostSteps)
	}
	fuel, _ := mod.ExportedGlobal(meter.Fuel).(api.MutableGlobal)
	if r.gauge = (gauge{fuel: fuel}); fuel != nil {
		r.gauge.set(r.grant)
	}
	t := truthOf(mod)
	t.reset()
	results, err := mod.ExportedFunction(f.name).Call(ctx, params...)
	line := fmt.Sprintf("%s%x: ", f.name, params)
	if err != nil {
		line += trapOf(err)
		if strings.Contains(line, "stack overflow") && o.deep < 0 {
			o.deep = len(o.lines)
		}
		o.budget = errors.Is(err, errBudget)
	} else {
		line += show(results, f.ResultTypes())
	}
	o.lines = append(o.lines, line+stateMark+state(mod, r.memory.all != nil))
	at := int(f.Index()) - r.imported
	c := count{trapped: err != nil, short: at < len(r.short) && r.short[at]}
	if fuel != nil {
		c.n = r.gauge.count()
	} else {
		c.n, c.allowed = t.read()
	}
	o.counts = append(o.counts, c)
}

// A truthReader reads what a module of truth counts.
type truthReader [3]api.MutableGlobal

func truthOf(mod api.Module) (t truthReader) {
	for i, name := range []string{truthCount, truthAllowed, truthMoves} {
		t[i], _ = mod.ExportedGlobal(name).(api.MutableGlobal)
	}
	return t
}

func (t truthReader) reset() {
	for _, g := range t {
		if g != nil {
			g.Set(0)
		}
	}
}

func (t truthReader) read() (n, allowed int64) {
	if t[0] == nil {
		return 0, 0
	}
	return int64(t[0].Get()), int64(t[1].Get() + t[2].Get())
}

// trapOf says how a call ended, without where it was.
func trapOf(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	if _, trap, ok := strings.Cut(line, "failed: "); ok { // of the start function, which has another index when rewritten
		line = trap
	}
	// An atomic access may be both, and the engines differ in what they look at first.
	return "error: " + strings.Replace(line, "unaligned atomic", "out of bounds memory access", 1)
}

var interesting = []uint64{0, 1, 2, 3, 7, 31, 100, 1 << 31, 1<<31 - 1, 1<<32 - 1, 1 << 63, math.MaxUint64, 0x3f800000, 0x3ff0000000000000, 0x7fc00000, 0x7ff8000000000000, 0x4045000000000000, 0x42280000}

// argument makes one, as the engine takes it.
func argument(r *rand.Rand, t valType) []uint64 {
	bits := func() uint64 {
		if r.IntN(2) == 0 {
			return interesting[r.IntN(len(interesting))]
		}
		return r.Uint64()
	}
	n := bits()
	switch t {
	case i32, f32:
		return []uint64{n & math.MaxUint32}
	case v128:
		return []uint64{n, bits()}
	case i64, f64:
		return []uint64{n}
	}
	return []uint64{0} // no reference
}

// show writes values, any NaN as one and any reference as one.
func show(values []uint64, types []api.ValueType) string {
	var b strings.Builder
	for _, t := range types {
		v := values[0]
		values = values[1:]
		switch valType(t) {
		case f32:
			v = canonical32(v)
		case f64:
			v = canonical64(v)
		case v128:
			fmt.Fprintf(&b, "%s%x.%x ", vectorMark, v, values[0])
			values = values[1:]
			continue
		case i32:
			v &= math.MaxUint32
		case i64:
		default:
			v = min(v, 1)
		}
		fmt.Fprintf(&b, "%x ", v)
	}
	return b.String()
}

func canonical32(v uint64) uint64 {
	if f := math.Float32frombits(uint32(v)); f != f {
		return 0x7fc00000
	}
	return v & math.MaxUint32
}

func canonical64(v uint64) uint64 {
	if math.IsNaN(math.Float64frombits(v)) {
		return 0x7ff8000000000000
	}
	return v
}

const (
	stateMark  = "| " // between results and state
	vectorMark = "v"  // before a vector
)

// state describes memory and globals.
func state(mod api.Module, hasMemory bool) string {
	var b strings.Builder
	if hasMemory {
		m := mod.Memory()
		if whole, ok := m.Read(0, m.Size()); ok {
			fmt.Fprintf(&b, "memory %d %x", m.Size(), digest(whole))
		} else {
			fmt.Fprintf(&b, "memory %d", m.Size())
		}
	}
	for i := range 10 {
		g := mod.ExportedGlobal("g" + string(rune('0'+i)))
		if g != nil {
			fmt.Fprintf(&b, " g%d %s", i, show([]uint64{g.Get(), 0}, []api.ValueType{g.Type()}))
		}
	}
	return b.String()
}

// prepared is a module behind the steps of package compile.
type prepared struct {
	wasm, reset []byte
	err         error // it cannot run, or so says a step
	refused     bool  // for a reason that says nothing of whether it is valid
}

// policies are the reasons to refuse a module that the engine may take: nobody offers what
// it imports, it has what task modules may not have, or the engine is less strict than the
// specification.
var policies = []string{
	"it imports ", "it exports ", "it starts with ", "64-bit memory", "memory shared between", "the limit is", "off here", "do not run here", "does not run here",
	"an instruction that the engine does not have, or in a longer form than it takes", // it takes the second byte of a number for a nop
	"unknown value type", // of an import
}

func isPolicy(err error) bool {
	return slices.ContainsFunc(policies, func(words string) bool { return strings.Contains(err.Error(), words) })
}

// prepare takes a module through the steps before the compiler, as the host's pipeline
// does, but for fences left out.
func prepare(ctx context.Context, wasm []byte, without Fences, mostMemory uint64) (p prepared) {
	rules := compile.Rules{MemoryLimit: mostMemory, Offers: offered}
	facts, err := compile.Gate(wasm, rules)
	if err == nil {
		p.wasm, err = compile.Rewrite(wasm, facts, rules)
	}
	if err != nil {
		p.err, p.refused = err, isPolicy(err)
		return p
	}
	if !without.Validation && !without.Memory { // it keeps the bound on memories, too
		if p.err = compile.Validate(ctx, wasm); p.err != nil {
			return p
		}
	}
	if without.Count {
		p.wasm = undercount(p.wasm)
	}
	p.reset, _, _ = compile.ExportGlobals(p.wasm)
	return p
}

// undercount plants a fault: each site's cost is lower by one.
func undercount(wasm []byte) []byte {
	out := append([]byte(nil), wasm...)
	for i := 0; i+3 < len(out); i++ {
		if out[i] == opI64Const && out[i+1] > 0 && out[i+1] < 0x40 && out[i+2] == 0x7d && (out[i+3] == opGlobalSet || out[i+3] == opLocalTee) {
			out[i+1]--
		}
	}
	return out
}
