package mutant

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// Mutants differ from what they are made of, and are the same again from the same seed;
// most keep sections that can be read.
func TestOf(t *testing.T) {
	t.Parallel()
	wasm := []byte("\x00asm\x01\x00\x00\x00" +
		"\x01\x07\x01\x60\x02\x7f\x7f\x01\x7f\x03\x02\x01\x00\x07\x07\x01\x03add\x00\x00\x0a\x09\x01\x07\x00\x20\x00\x20\x01\x6a\x0b")
	kept := bytes.Clone(wasm)
	const n = 1000
	differ, readable := 0, 0
	for seed := range uint64(n) {
		m := Of(rand.New(rand.NewPCG(seed, 0)), wasm, wasm)
		if again := Of(rand.New(rand.NewPCG(seed, 0)), wasm, wasm); !bytes.Equal(m, again) {
			t.Fatalf("seed %d gave %x, then %x", seed, m, again)
		}
		if !bytes.Equal(m, wasm) {
			differ++
		}
		if _, ok := split(m); ok {
			readable++
		}
	}
	if !bytes.Equal(wasm, kept) {
		t.Fatal("the module itself was changed")
	}
	if differ < n*9/10 || readable < n*8/10 {
		t.Errorf("of %d mutants %d differ, and of %d the sections can be read", n, differ, readable)
	}
	for _, odd := range [][]byte{nil, wasm[:3], wasm[:8], wasm[:20]} {
		Of(rand.New(rand.NewPCG(1, 1)), odd, nil)
	}
}
