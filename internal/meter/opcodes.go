package meter

import "github.com/wasmpool/wasmpool/internal/wasmbin"

// The instructions that matter here.
const (
	opBlock      = 0x02
	opLoop       = 0x03
	opIf         = 0x04
	opElse       = 0x05
	opThrow      = 0x08
	opThrowRef   = 0x0a
	opEnd        = 0x0b
	opBr         = 0x0c
	opBrIf       = 0x0d
	opBrTable    = 0x0e
	opReturn     = 0x0f
	opCall       = 0x10
	opReturnCall = 0x12
	opLastCall   = 0x15 // from opCall on: direct, indirect, by reference; and as a return
	opSelect     = 0x1b
	opTryTable   = 0x1f
	opLocalGet   = 0x20
	opLocalSet   = 0x21
	opLocalTee   = 0x22
	opGlobalGet  = 0x23
	opGlobalSet  = 0x24
	opTableSet   = 0x26
	opMemorySize = 0x3f
	opI32Const   = 0x41
	opI64Const   = 0x42
	opI32LeU     = 0x4d
	opI64LtS     = 0x53
	opI64GtU     = 0x56
	opI32Add     = 0x6a
	opI32Sub     = 0x6b
	opI32ShrU    = 0x76
	opI64Add     = 0x7c
	opI64Sub     = 0x7d
	opI64Shl     = 0x86
	opRefFunc    = 0xd2
	opBrOnNull   = 0xd5 // and the next, br_on_non_null

	opI64ExtendI32U = 0xad

	opBulk    = 0xfc // first bytes of longer ones
	opVector  = 0xfd
	opThreads = 0xfe

	emptyBlock = 0x40

	valI32 = byte(wasmbin.I32)
	valI64 = byte(wasmbin.I64)
)

// An instruction is what must be known of one.
type instruction struct {
	op    byte
	index uint32 // of the function or global that it names; not 0 if a bulk one's is not
	label uint32 // the outermost that it may branch to
	bulk  uint32 // which one it is after opBulk

	targets int // of a br_table
}

// opens reports whether the instruction starts a block other than a loop.
func (i instruction) opens() bool { return i.op == opBlock || i.op == opIf || i.op == opTryTable }

// bracket reports whether the instruction only opens or closes a piece of code, and
// does nothing itself.
func (i instruction) bracket() bool { return i.op == opBlock || i.op == opLoop || i.op == opEnd }

func (i instruction) calls() bool { return i.op >= opCall && i.op <= opLastCall }

// leaves reports whether the instruction may leave the function, given how many
// blocks are open, the function itself included.
func (i instruction) leaves(open int) bool {
	switch i.op {
	case opReturn, opReturnCall, opReturnCall + 1, opLastCall, opThrow, opThrowRef:
		return true
	case opEnd:
		return open == 1
	}
	return i.label > 0 && int(i.label) >= open-1 || i.branches() && open == 1
}

func (i instruction) branches() bool {
	return i.op >= opBr && i.op <= opBrTable || i.op == opBrOnNull || i.op == opBrOnNull+1
}

// named reports whether the instruction has the index of a function.
func (i instruction) named() bool {
	return i.op == opCall || i.op == opReturnCall || i.op == opRefFunc
}

// global reports whether the instruction has the index of a global.
func (i instruction) global() bool { return i.op == opGlobalGet || i.op == opGlobalSet }

// A decoder reads code. It checks the indices of types, functions and globals: those
// that the rewritten module adds must not be open to the module's own code.
type decoder struct {
	*wasmbin.Reader
	types, funcs, globals uint32
}

// function reads the index of a function.
func (r decoder) function() uint32 {
	n := r.U32()
	if n >= r.funcs {
		r.Failf("function %d does not exist", n)
	}
	return n
}

// typeIndex reads the index of a type.
func (r decoder) typeIndex() {
	if n := r.U32(); n >= r.types {
		r.Failf("type %d does not exist", n)
	}
}

// heapType reads what a reference refers to: an index when it is not negative.
func (r decoder) heapType() int64 {
	n := r.S33()
	if n >= int64(r.types) {
		r.Failf("type %d does not exist", n)
	}
	return n
}

// blockType reads the type of a block: an index, nothing, or a value type, which
// goes on when it is a reference's.
func (r decoder) blockType() {
	const ref, refNull = int64(wasmbin.Ref) - 0x80, int64(wasmbin.RefNull) - 0x80
	if n := r.heapType(); n == ref || n == refNull {
		r.heapType()
	}
}

func (r decoder) valType() { r.restOfType(r.Byte()) }

// restOfType reads the rest of a value type that starts with a byte.
func (r decoder) restOfType(first byte) {
	if t := wasmbin.ValType(first); t == wasmbin.Ref || t == wasmbin.RefNull {
		r.heapType()
	}
}

// read reads one instruction, by the binary format of the WebAssembly
// specification 3.0, chapter 5.4, as far as the engine has it.
func (r decoder) read() instruction {
	in := instruction{op: r.Byte()}
	switch op := in.op; {
	case in.named():
		in.index = r.function()
	case in.global():
		if in.index = r.U32(); in.index >= r.globals {
			r.Failf("global %d does not exist", in.index)
		}
	case op == opTryTable:
		r.blockType()
		r.catches()
	case op == opBlock, op == opLoop, op == opIf:
		r.blockType()
	case op == 0xd0: // ref.null
		r.heapType()
	case op == 0x14, op == 0x15: // call_ref and as a return
		r.typeIndex()
	case op == opThrow,
		op >= 0x20 && op <= 0x26, // locals, globals, tables
		op == 0x3f, op == 0x40:   // memory.size, memory.grow
		r.U32()
	case op == 0x11, op == 0x13: // call_indirect and as a return
		r.typeIndex()
		r.U32()
	case op == opBrTable:
		in.targets = r.Count(1) + 1
		for n := in.targets; n > 0 && r.Err() == nil; n-- {
			in.label = max(in.label, r.U32())
		}
	case in.branches():
		in.label = r.U32()
	case op == 0x1c: // select with types
		r.selected()
	case op >= 0x28 && op <= 0x3e: // loads and stores
		r.address()
	case op == 0x41, op == opI64Const:
		r.constant()
	case op == 0x43:
		r.Bytes(4)
	case op == 0x44:
		r.Bytes(8)
	case op == opBulk:
		in.bulk, in.index = r.bulk()
	case op == opVector:
		r.vector()
	case op == opThreads:
		r.threads()
	case op <= 0x01, op == 0x05, op == opThrowRef, op == opEnd, op == opReturn, // control without operands
		op == 0x1a, op == 0x1b, // drop, select
		op >= 0x45 && op <= 0xc4, // numbers
		op == 0xd1, op == 0xd4:   // ref.is_null, ref.as_non_null
	default:
		r.Failf("unknown instruction 0x%02x", op)
	}
	return in
}

// selected reads the types of a select. The engine checks one that takes several
// bytes, and then compiles its last ones as instructions, which nobody has checked.
func (r decoder) selected() {
	for n := r.Count(1); n > 0 && r.Err() == nil; n-- {
		if t := wasmbin.ValType(r.Byte()); t == wasmbin.Ref || t == wasmbin.RefNull {
			r.Failf("a select of typed references does not run here")
		}
	}
}

func (r decoder) catches() {
	for n := r.Count(2); n > 0 && r.Err() == nil; n-- {
		if kind := r.Byte(); kind < 2 {
			r.U32() // the tag
		}
		r.U32() // the label
	}
}

// address reads the operands of an access to memory.
func (r decoder) address() {
	const withMemory = 1 << 6
	if align := r.U32(); align&withMemory != 0 {
		r.U32()
	}
	r.U64()
}

// constant reads a signed number of up to 64 bits.
func (r decoder) constant() {
	for range 10 {
		if r.Byte() < 0x80 {
			return
		}
	}
	r.Failf("a constant does not fit into 64 bits")
}

// bulk reads the rest of a bulk instruction. The indices are 0 when all are.
func (r decoder) bulk() (op, indices uint32) {
	switch op = r.U32(); op {
	case 0, 1, 2, 3, 4, 5, 6, 7: // conversions that saturate
	case 9, 11, 13, 15, 16, 17: // data.drop, memory.fill, elem.drop, table.grow, table.size, table.fill
		indices = r.U32()
	case 8, 10, 12, 14: // memory.init, memory.copy, table.init, table.copy
		indices = r.U32()
		indices |= r.U32()
	default:
		r.Failf("unknown instruction 0xfc %d", op)
	}
	return op, indices
}

// second reads which instruction it is after a prefix for which the engine expects
// one byte and no number: it takes the 1 that ends the numbers from 128 to 255 for a
// nop. A number written otherwise would hide code in what looks like operands.
func (r decoder) second() uint32 {
	op := uint32(r.Byte())
	if op >= 0x80 && r.Byte() != 1 {
		r.Failf("an instruction that the engine does not have, or in a longer form than it takes")
	}
	return op
}

func (r decoder) vector() {
	switch op := r.second(); {
	case op <= 11, op == 92, op == 93: // loads and stores
		r.address()
	case op == 12, op == 13: // a constant, a shuffle
		r.Bytes(16)
	case op >= 21 && op <= 34: // lanes
		r.Byte()
	case op >= 84 && op <= 91: // loads and stores of lanes
		r.address()
		r.Byte()
	}
}

func (r decoder) threads() {
	switch op := r.second(); {
	case op == 3: // atomic.fence
		r.Byte()
	case op <= 2, op >= 0x10 && op <= 0x4e:
		r.address()
	default:
		r.Failf("unknown instruction 0xfe %d", op)
	}
}
