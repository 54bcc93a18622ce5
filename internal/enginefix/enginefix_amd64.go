package enginefix

import (
	_ "unsafe" // for go:linkname

	_ "github.com/tetratelabs/wazero" // its tables are set before this package's init
)

// useKinds is the table by which the register allocator knows what an instruction of
// the CPU reads, by the kind of the instruction. Where the engine has no such table, it
// is a variable of this package, full of zeros; sideEffects likewise.
//
//go:linkname useKinds github.com/tetratelabs/wazero/internal/engine/wazevo/backend/isa/amd64.useKinds
var useKinds [len(originalUseKinds)]byte

// sideEffects is the table that says which of the compiler's instructions have effects
// besides their result. Behind those that do, none is merged with one before.
//
//go:linkname sideEffects github.com/tetratelabs/wazero/internal/engine/wazevo/ssa.instructionSideEffects
var sideEffects [len(originalSideEffects)]byte

// The tables as they are in v1.12.0.
var (
	originalUseKinds = [...]byte{
		0, 1, 3, 2, 0, 2, 0, 0, 0, 1, 2, 2, 2, 2, 2, 4, 3, 3, 3, 1, 3, 0, 0, 3, 2, 2, 4, 0, 2, 2,
		0, 0, 0, 0, 3, 3, 8, 9, 1, 2, 2, 1, 2, 1, 4, 5, 1, 1, 1, 11, 12, 2, 6, 7, 1, 4, 2, 8, 10,
	}
	originalSideEffects = [...]byte{
		0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 3, 3, 3, 3, 3, 1, 3, 3, 1, 3, 3, 1, 3, 3, 1, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3,
		3, 3, 3, 3, 3, 3, 3, 3, 0, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3,
		3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 2, 2, 2, 2, 3, 3, 3, 0, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3,
		3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 2, 2, 3, 3, 3, 3, 1, 1, 1, 1, 1, 1, 1,
	}
)

const (
	integerMove = 20 // the conditional move of integers, which reads both operands
	floatMove   = 51 // the conditional move of floats and vectors

	and       = 91 // of integers
	hasEffect = 1
)

func init() { correct() }

func correct() {
	if useKinds == originalUseKinds {
		useKinds[floatMove] = useKinds[integerMove]
	}
	if sideEffects == originalSideEffects {
		sideEffects[and] = hasEffect
	}
}
