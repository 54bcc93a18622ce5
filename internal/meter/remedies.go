package meter

// On amd64 the engine makes several machine instructions of some of wasm's. To have an
// operand that waits in memory in the register where it is wanted next, or to have a
// register at all, it may in between put another into memory, and read that again after: as it was
// before it was changed, or not at all, or on one of two ways only (docs/engine.md tells
// more). So for those instructions something else is written: what has one machine instruction
// for each of its own, or the same with an operand that is a new value, which waits nowhere and
// is not used again.

const (
	opI32Or        = 0x72
	opI64Or        = 0x84
	opReinterpret  = 0xbd // i64.reinterpret_f64
	vectorConst    = 12
	vectorI64Lane  = 30 // i64x2.replace_lane
	vectorF64Lane  = 34 // f64x2.replace_lane
	vectorAnd      = 78
	vectorAndNot   = 79
	vectorOr       = 80
	vectorSelect   = 82 // v128.bitselect
	vectorPopcount = 98 // i8x16.popcnt
	vectorMultiply = 213
)

// The locals that a function may have more, a bit each, and their types.
const (
	localI32 = 1 << iota
	localI64
	localVector
	localSecondVector
	remedyLocals = iota
)

var remedyTypes = [remedyLocals]byte{valI32, valI64, valV128, valV128}

// A remedy is what is written for an instruction.
type remedy struct {
	locals byte
	write  func(e *editor, whole []byte)
}

var (
	remedies = [256]*remedy{
		0x67: {0, newShortInteger}, // i32.clz, where the CPU has no LZCNT
		0x68: {0, newShortInteger}, // i32.ctz, where it has no TZCNT
		0x79: {0, newInteger},      // i64.clz
		0x7a: {0, newInteger},      // i64.ctz
		0x98: {localI32, func(e *editor, _ []byte) { e.copySign(bits32, localI32) }},
		0xa6: {localI64, func(e *editor, _ []byte) { e.copySign(bits64, localI64) }},
		0xb5: {0, newInteger}, // f32.convert_i64_u
		0xba: {0, newInteger}, // f64.convert_i64_u
	}
	vectorRemedies = [256]*remedy{
		vectorF64Lane:  {0, firstLane},
		vectorSelect:   {localVector | localSecondVector, bitSelect},
		vectorPopcount: {0, newVector},
		vectorMultiply: {localVector, multiply}, // i64x2.mul
		232:            {0, newVector},          // f32x4.min
		233:            {0, newVector},          // f32x4.max
		244:            {0, newVector},          // f64x2.min
		245:            {0, newVector},          // f64x2.max
		251:            {0, newVector},          // f32x4.convert_i32x4_u
		255:            {0, newVector},          // f64x2.convert_low_i32x4_u
	}
)

// remedy returns what is written for the instruction, or nil.
func (i instruction) remedy() *remedy {
	switch {
	case i.op != opVector:
		return remedies[i.op]
	case i.vector == vectorF64Lane && i.lane > 0:
		return nil
	}
	return vectorRemedies[i.vector]
}

// use writes an instruction with the local of a kind.
func (e *editor) use(op byte, local int) {
	for i := range e.added {
		if local == 1<<i {
			e.op(append([]byte{op}, e.added[i]...)...)
		}
	}
}

func (e *editor) vector(op byte) { e.op(opVector, op) } // below 128

// bits are the instructions for one width.
type bits struct {
	typ                      byte // of an integer as wide
	toInteger, constant, and byte
	or, toFloat              byte
	sign                     int64
}

var (
	bits32 = bits{valI32, 0xbc, opI32Const, 0x71, opI32Or, 0xbe, -1 << 31}
	bits64 = bits{valI64, opReinterpret, opI64Const, 0x83, opI64Or, 0xbf, -1 << 63}
)

// copySign writes what copysign does with bits. The local holds the sign meanwhile.
func (e *editor) copySign(b bits, local int) {
	mask := func(n int64) {
		e.op(b.toInteger)
		e.out = appendSigned(append(e.out, b.constant), n)
		e.op(b.and)
	}
	mask(b.sign)
	e.use(opLocalSet, local)
	mask(^b.sign)
	e.use(opLocalGet, local)
	e.op(b.or, b.toFloat)
}

// bitSelect writes (a and mask) or (b and not mask).
func bitSelect(e *editor, _ []byte) {
	e.use(opLocalSet, localVector)
	e.use(opLocalSet, localSecondVector)
	e.use(opLocalGet, localVector)
	e.vector(vectorAnd)
	e.use(opLocalGet, localSecondVector)
	e.use(opLocalGet, localVector)
	e.vector(vectorAndNot)
	e.vector(vectorOr)
}

// firstLane sets the first lane of floats, as one of integers.
func firstLane(e *editor, _ []byte) { e.op(opReinterpret, opVector, vectorI64Lane, 0) }

// newShortInteger makes the operand, of 32 bits, a new value.
func newShortInteger(e *editor, whole []byte) {
	e.op(opI32Const, 0, opI32Or)
	e.op(whole...)
}

// newInteger does so with one of 64 bits.
func newInteger(e *editor, whole []byte) {
	e.op(opI64Const, 0, opI64Or)
	e.op(whole...)
}

// newVector makes the last operand a new value.
func newVector(e *editor, whole []byte) {
	e.vector(vectorConst)
	e.op(make([]byte, 16)...)
	e.vector(vectorOr)
	e.op(whole...)
}

// multiply makes both operands new values.
func multiply(e *editor, whole []byte) {
	e.use(opLocalSet, localVector)
	newVector(e, nil)
	e.use(opLocalGet, localVector)
	newVector(e, whole)
}
