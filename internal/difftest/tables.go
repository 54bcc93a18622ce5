package difftest

import (
	_ "unsafe" // for go:linkname

	_ "github.com/tetratelabs/wazero" // its tables are set first
)

// useKinds is the engine's table that package enginefix corrects.
//
//go:linkname useKinds github.com/tetratelabs/wazero/internal/engine/wazevo/backend/isa/amd64.useKinds
var useKinds [59]byte

// setTables puts the engine's tables right, or wrong where that is wanted. They are the
// process's: nothing may be compiled meanwhile.
func setTables(without Fences) {
	setSelect(!without.Select)
	setOrder(!without.Order)
}

// setSelect puts the entry for the conditional move of floats right, or wrong as it is
// in wazero v1.12.0.
func setSelect(right bool) {
	const integerMove, floatMove, wrong = 20, 51, 2
	switch {
	case right:
		useKinds[floatMove] = useKinds[integerMove]
	default:
		useKinds[floatMove] = wrong
	}
}

// sideEffects is the other one.
//
//go:linkname sideEffects github.com/tetratelabs/wazero/internal/engine/wazevo/ssa.instructionSideEffects
var sideEffects [148]byte

// setOrder puts the entry for the and of integers right, or as it is in wazero v1.12.0:
// then branches upon zero and some bits of a number may go the wrong way.
func setOrder(right bool) {
	const and, effect, none = 91, 1, 3
	switch {
	case right:
		sideEffects[and] = effect
	default:
		sideEffects[and] = none
	}
}

// cpuFeatures is what the engine knows of the CPU.
//
//go:linkname cpuFeatures github.com/tetratelabs/wazero/internal/platform.CpuFeatures
var cpuFeatures uint64

// setOldCPU has the engine compile for a CPU for amd64 without LZCNT and TZCNT, which any other
// can run.
func setOldCPU() {
	const sse41 = 1
	cpuFeatures = sse41
	for _, code := range []string{"\x67", "\x68"} { // clz, ctz
		known[code] = signature{[]valType{i32}, []valType{i32}}
	}
	for _, code := range []string{"\x79", "\x7a"} {
		known[code] = signature{[]valType{i64}, []valType{i64}}
	}
}
