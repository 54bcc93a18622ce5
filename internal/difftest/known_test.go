package difftest

import (
	"context"
	"runtime"
	"slices"
	"testing"

	"github.com/wasmpool/wasmpool/internal/compile"
)

// Each instruction that is known to be compiled wrong is so in a module of the generator,
// and right there once rewritten, and with a stand-in.
func TestKnown(t *testing.T) {
	t.Parallel()
	if runtime.GOARCH != "amd64" {
		t.Skip("these faults are in code for amd64")
	}
	ctx := t.Context()
	b, err := newBench(ctx, Fences{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.engines.close(context.Background())
	const most = 1500 // of the rarest it takes some 300
	tried := 0
	for _, o := range pressedOps {
		if !slices.Contains(knownCodes, string(o.code)) && string(o.code) != f64Lane {
			continue
		}
		tried++
		found := false
		for seed := uint64(0); seed < most && !found; seed++ {
			wasm := pressed(seed, b.features, []op{o}).encode()
			if found = b.compareEngines(ctx, wasm, seed) != nil; !found {
				continue
			}
			if f := b.check(ctx, wasm, seed, false); f != nil {
				t.Errorf("%x, seed %d: %v", o.code, seed, f)
			}
		}
		if !found {
			t.Errorf("%x: the engines agree about %d modules: is it mended?", o.code, most)
		}
	}
	if tried != len(known) {
		t.Errorf("%d instructions were tried, %d are known", tried, len(known))
	}
}

// Where the CPU has no LZCNT and TZCNT, clz and ctz are such instructions, too.
func TestOldCPU(t *testing.T) {
	t.Parallel()
	if runtime.GOARCH != "amd64" {
		t.Skip("this fault is in code for amd64")
	}
	const seed = 4 // the first that shows it
	for _, code := range []byte{0x67, 0x68} {
		o := Options{Seed: seed, OldCPU: true}
		wasm := pressed(seed, uint64(compile.Features), []op{{code: []byte{code}, in: []valType{i32}, out: i32}}).encode()
		if f, err := One(t.Context(), o, wasm); err != nil || f != nil {
			t.Errorf("%x: %v %v", code, f, err)
		}
		o.Without.Remedies = true
		if f, err := One(t.Context(), o, wasm); err != nil || f == nil {
			t.Errorf("%x: the engines agree without what is written for it, %v: another seed shows it, or it is mended", code, err)
		}
	}
}
