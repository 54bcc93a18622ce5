package difftest

import (
	"bytes"
	"context"
	"os"
	"runtime"
	"strings"
	"testing"

	_ "github.com/wasmpool/wasmpool/host" // what it does with a module
	"github.com/wasmpool/wasmpool/internal/compile"
	"github.com/wasmpool/wasmpool/internal/unittest"
)

func TestMain(m *testing.M) {
	if Child() {
		return
	}
	setTables(Fences{}) // before tests run at once
	os.Exit(m.Run())
}

// run runs the bench, and keeps its log for a test that fails.
func runBench(t *testing.T, o Options) *Result {
	t.Helper()
	var log bytes.Buffer
	o.Log, o.Processes = &log, 1
	result, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("from seed %d: %v\n%s", o.Seed, result, log.String())
	return result
}

// The engines agree, and the counts are right. What this finds is found again by
//
//	go run ./bench/difftest -seeds 1 -seed N
func TestAgreement(t *testing.T) {
	t.Parallel()
	seeds := uint64(300)
	if unittest.Race { // which has nothing to find here, where each engine has one goroutine
		seeds = 40
	}
	result := runBench(t, Options{Seed: 1, Seeds: seeds, Shrink: 300})
	if n := len(result.Finds); n > 0 {
		t.Errorf("%d modules differ", n)
	}
	if result.Stats.Modules < seeds/2 || result.Stats.Calls < 4*seeds {
		t.Errorf("%v: that is too little to mean anything", result)
	}
}

// Without a fence the bench finds the hole behind it: so it can find one.
func TestFences(t *testing.T) {
	if unittest.Race { // the build without it has this test, too; each engine has one goroutine
		return
	}
	t.Parallel()
	only := func(parts string) (p Parts) {
		p = Parts{Generated: true, Specification: true, Mutants: true, Proposals: true}
		for _, part := range strings.Fields(parts) {
			*map[string]*bool{"generated": &p.Generated, "mutants": &p.Mutants, "proposals": &p.Proposals}[part] = false
		}
		return p
	}
	for _, c := range []struct {
		without string
		parts   string
		kinds   []string
		engine  bool // the fault is the engine's, of amd64
	}{
		{"select", "generated", []string{"differs"}, true},
		{"memory", "generated", []string{"crash", "differs"}, true},
		{"validation", "generated mutants", []string{"accepted"}, false},
		{"exceptions", "proposals", []string{"differs", "crash"}, false},
		{"references", "proposals", []string{"differs", "crash"}, false},
		{"order", "generated", []string{"differs"}, true},
		{"remedies", "generated", []string{"differs"}, true},
		{"count", "generated", []string{"undercount"}, false},
	} {
		t.Run(c.without, func(t *testing.T) {
			t.Parallel()
			if c.engine && runtime.GOARCH != "amd64" {
				t.Skip("this fault is in code for amd64")
			}
			o := Options{Seed: firstSeed[c.without], Seeds: 300, Finds: 1, Shrink: 300, LeaveOut: only(c.parts), Dir: t.TempDir()}
			if err := o.Without.Set(c.without); err != nil {
				t.Fatal(err)
			}
			result := runBench(t, o)
			if len(result.Finds) == 0 {
				t.Fatalf("it is not found: %v", result)
			}
			f := result.Finds[0]
			kind, _, _ := strings.Cut(f.Kind, ":")
			if !strings.Contains(strings.Join(c.kinds, " "), kind) {
				t.Errorf("found %s, want one of %v", f.Kind, c.kinds)
			}
			if f.File == "" || len(f.Small) == 0 || len(f.Small) > len(f.Wasm) {
				t.Errorf("the find is not shrunk: %d bytes from %d, in %q", len(f.Small), len(f.Wasm), f.File)
			}
			o.Seed, o.Seeds, o.Shrink = f.Seed, 1, 0
			if again := runBench(t, o); len(again.Finds) == 0 || again.Finds[0].Kind != f.Kind {
				t.Errorf("seed %d does not show it again", f.Seed)
			}
		})
	}
}

// firstSeed is little before the seed that finds what lies behind a fence, where that
// takes many. docs/engine.md says how many it takes from any other.
var firstSeed = map[string]uint64{"select": 200_110, "memory": 99_995, "order": 60, "remedies": 200_030}

// The truth counts as many instructions as are known here.
func TestTruth(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, wat  string
		n, allowed int64
	}{
		{"straight", `(func (export "f") (result i32) (i32.add (i32.const 1) (i32.const 2)))`, 3, 0},
		{"loop", `(func (export "f") (local i32) (local.set 0 (i32.const 10))
			(loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))`, 2 + 10*5, 0},
		{"if", `(func (export "f") (if (i32.const 1) (then (nop)) (else (nop) (nop))))`, 3, 0},
		{"else", `(func (export "f") (if (i32.const 0) (then (nop)) (else (nop) (nop))))`, 4, 0},
		{"call", `(func (export "f") (call $g) (call $g)) (func $g (nop) (nop))`, 2 + 4, 0},
		{"table", `(table funcref (elem $g)) (func (export "f") (call_indirect (i32.const 0))) (func $g (nop))`, 3, shortFunction},
		{"fill", `(memory 1) (func (export "f") (memory.fill (i32.const 0) (i32.const 1) (i32.const 1000)))`, 4 + 62, 0},
		{"branch", `(func (export "f") (block (br 0) (nop)) (nop))`, 2, 0},
		{"past a block", `(func (export "f") (block (br_if 0 (i32.const 1)) (block (nop)) (nop)) (nop))`, 3, branchAllowance},
		{"not past it", `(func (export "f") (block (br_if 0 (i32.const 0)) (block (nop)) (nop)) (nop))`, 5, 0},
		{"past a block that ended", `(func (export "f") (block (block (nop)) (br_if 0 (i32.const 1)) (nop)) (nop))`, 4, 0},
		{"by a table", `(func (export "f") (block (block (br_table 1 0 (i32.const 0)))))`, 2, branchAllowance},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			e, err := newEngines(ctx, compile.Features, compile.MaxMemory)
			if err != nil {
				t.Fatal(err)
			}
			defer e.close(context.Background())
			counted, short, err := truth(unittest.Assemble(t, "(module "+c.wat+")"))
			if err != nil {
				t.Fatal(err)
			}
			o := e.run(ctx, e.interpreter, counted, short, 0)
			if o.err != nil || len(o.counts) == 0 {
				t.Fatalf("it does not run: %v", o.err)
			}
			if got := o.counts[0]; got.n != c.n || got.allowed != c.allowed {
				t.Errorf("%d instructions, %d of them allowed to go uncounted; want %d and %d", got.n, got.allowed, c.n, c.allowed)
			}
		})
	}
}

// A seed gives the same modules each time, and they are valid.
func TestGenerate(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	b, err := newBench(ctx, Fences{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.engines.close(context.Background())
	for seed := range uint64(200) {
		wasm := generate(seed, b.features).encode()
		if !bytes.Equal(wasm, generate(seed, b.features).encode()) {
			t.Fatalf("seed %d gives two modules", seed)
		}
		if _, err := b.valid(ctx, wasm); err != nil && !strings.Contains(err.Error(), "over limit") {
			t.Errorf("seed %d: %v", seed, err)
		}
	}
}

// The interpreter cannot read the padded number of an instruction; the compiler can, and such
// a module is valid.
func TestPaddedInstruction(t *testing.T) {
	t.Parallel()
	b, err := newBench(t.Context(), Fences{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.engines.close(context.Background())
	const header = "\x00asm\x01\x00\x00\x00\x01\x04\x01\x60\x00\x00\x03\x02\x01\x00\x05\x03\x01\x00\x01\x0a"
	const fill = "\x41\x00\x41\x00\x41\x00\xfc\x8b\x00\x00" // memory.fill
	for code, valid := range map[string]bool{
		fill: true, "\x41\x00" + fill: false, "\x41\x00\x41\x00\x41\x00\xfc\xfc\x00\x00": false,
	} {
		body := "\x00" + code + "\x0b"
		wasm := header + string([]byte{byte(len(body) + 2), 1, byte(len(body))}) + body
		padded, err := b.valid(t.Context(), []byte(wasm))
		if padded != valid || (err == nil) != valid {
			t.Errorf("%x: padded %v, error %v, want valid %v", code, padded, err, valid)
		}
		if p, f := b.checkAcceptance(t.Context(), []byte(wasm)); p != nil || f != nil {
			t.Errorf("%x: to be run %v, find %v", code, p != nil, f)
		}
	}
}
