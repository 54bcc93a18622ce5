package difftest

import (
	"context"
	"runtime"
	"testing"
)

// The compiler gets a module wrong, and right with stand-ins.
func TestKnown(t *testing.T) {
	t.Parallel()
	const seed = 7030125 // has such a copysign
	ctx := t.Context()
	b, err := newBench(ctx, Fences{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.engines.close(context.Background())
	m := generate(seed, b.features)
	if f := b.check(ctx, m.encode(), seed, false); f != nil {
		t.Error(f)
	}
	if f := b.compareEngines(ctx, m.encode(), seed); f == nil && runtime.GOARCH == "amd64" {
		t.Error("the engines agree without stand-ins: is the fault mended, or is the module another?")
	}
}
