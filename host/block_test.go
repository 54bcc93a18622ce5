package host

import (
	"math"
	"testing"

	"github.com/wasmpool/wasmpool/internal/memory"
)

// A block that cannot grow holds in the account what it has, and no more.
func TestBlockGivesBack(t *testing.T) {
	t.Parallel()
	const less, tooMuch = 1 << 16, math.MaxInt64 + 1 // which no system has
	b := block{account: memory.NewAccount(nil)}
	for _, had := range []uint64{0, less} {
		if err := b.grow(had, had); err != nil {
			t.Fatal(err)
		}
		if err := b.grow(tooMuch, tooMuch); err == nil {
			t.Fatalf("a block has %d bytes", uint64(tooMuch))
		}
		if used := b.account.Used(); used != had || uint64(len(b.space)) != had {
			t.Errorf("a block of %d bytes, which could not grow, has %d in the account", len(b.space), used)
		}
	}
	b.free()
	if used := b.account.Used(); used != 0 {
		t.Errorf("a block that was freed has %d bytes in the account", used)
	}
}
