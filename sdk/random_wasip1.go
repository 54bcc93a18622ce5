package sdk

import (
	"encoding/binary"
	"math/rand/v2"

	"github.com/wasmpool/wasmpool/internal/abi"
)

// drawn is the generator of the call that runs, or of one before.
var drawn struct {
	run  int64
	rand *rand.Rand
}

func random() *rand.Rand {
	run := meta(abi.MetaRun)
	if drawn.rand == nil || drawn.run != run {
		drawn.run, drawn.rand = run, rand.New(rand.NewChaCha8(argSum()))
	}
	return drawn.rand
}

// argSum returns the SHA-256 of the argument.
func argSum() (sum [32]byte) {
	for i := range 4 {
		binary.LittleEndian.PutUint64(sum[8*i:], uint64(meta(abi.MetaSeed+uint32(i))))
	}
	return sum
}
