package enginefix

import (
	_ "unsafe" // for go:linkname

	_ "github.com/tetratelabs/wazero" // its tables are set before this package's init
)

// useKinds is the table by which the register allocator knows what an instruction
// reads, by the kind of the instruction. Where the engine has no such table, it is a
// variable of this package, full of zeros.
//
//go:linkname useKinds github.com/tetratelabs/wazero/internal/engine/wazevo/backend/isa/amd64.useKinds
var useKinds [len(original)]byte

// original is the table as it is in v1.12.0.
var original = [...]byte{
	0, 1, 3, 2, 0, 2, 0, 0, 0, 1, 2, 2, 2, 2, 2, 4, 3, 3, 3, 1, 3, 0, 0, 3, 2, 2, 4, 0, 2, 2,
	0, 0, 0, 0, 3, 3, 8, 9, 1, 2, 2, 1, 2, 1, 4, 5, 1, 1, 1, 11, 12, 2, 6, 7, 1, 4, 2, 8, 10,
}

const (
	integerMove = 20 // the conditional move of integers, which reads both operands
	floatMove   = 51 // and that of floats and vectors
)

func init() { correct() }

func correct() {
	if useKinds == original {
		useKinds[floatMove] = useKinds[integerMove]
	}
}
