package meter

import "github.com/wasmpool/wasmpool/internal/wasmbin"

// The instructions that matter here.
const (
	opBlock      = 0x02
	opLoop       = 0x03
	opIf         = 0x04
	opElse       = 0x05
	opEnd        = 0x0b
	opBr         = 0x0c
	opBrIf       = 0x0d
	opBrTable    = 0x0e
	opReturn     = 0x0f
	opCall       = 0x10
	opIndirect   = 0x11
	opSelect     = 0x1b
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
	opI32Mul     = 0x6c
	opI32ShrU    = 0x76
	opI64Add     = 0x7c
	opI64Sub     = 0x7d
	opI64Mul     = 0x7e
	opI64Shl     = 0x86
	opRefFunc    = 0xd2

	opI64ExtendI32U = 0xad

	opBulk   = 0xfc // first bytes of longer ones
	opVector = 0xfd

	emptyBlock = 0x40

	valI32  = byte(wasmbin.I32)
	valI64  = byte(wasmbin.I64)
	valV128 = byte(wasmbin.V128)
)

// An instruction is what must be known of one.
type instruction struct {
	op    byte
	index uint32 // of the function or global that it names; not 0 if a bulk one's is not
	label uint32 // the outermost that it may branch to
	bulk  uint32 // which one it is after opBulk

	vector byte // which one it is after opVector
	lane   byte // of a vector

	targets int // of a br_table
}

// opens reports whether the instruction starts a block other than a loop.
func (i instruction) opens() bool { return i.op == opBlock || i.op == opIf }

// bracket reports whether the instruction only opens or closes a piece of code, and
// does nothing itself.
func (i instruction) bracket() bool { return i.op == opBlock || i.op == opLoop || i.op == opEnd }

func (i instruction) calls() bool { return i.op == opCall || i.op == opIndirect }

// leaves reports whether the instruction may leave the function, given how many
// blocks are open, the function itself included.
func (i instruction) leaves(open int) bool {
	switch i.op {
	case opReturn:
		return true
	case opEnd:
		return open == 1
	}
	return i.label > 0 && int(i.label) >= open-1 || i.branches() && open == 1
}

func (i instruction) branches() bool { return i.op >= opBr && i.op <= opBrTable }

// named reports whether the instruction has the index of a function.
func (i instruction) named() bool { return i.op == opCall || i.op == opRefFunc }

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

// blockType reads the type of a block: an index, nothing, or a value type.
func (r decoder) blockType() {
	const negative, nothing = 0x80, emptyBlock - 0x80 // one byte holds a number from -64
	switch n := r.S33(); {
	case n >= int64(r.types):
		r.Failf("type %d does not exist", n)
	case n < nothing:
		r.Failf("a block of type %d", n)
	case n < 0 && n != nothing:
		r.checkType(byte(n + negative))
	}
}

func (r decoder) valType() { r.checkType(r.Byte()) }

// heapType reads what a null reference refers to.
func (r decoder) heapType() {
	switch t := wasmbin.ValType(r.Byte()); t {
	case wasmbin.FuncRef, wasmbin.ExternRef:
	case wasmbin.ExnRef:
		r.checkType(byte(t))
	default:
		r.Failf("a null of type 0x%02x belongs to %s", byte(t), typedRefs)
	}
}

// read reads one instruction, by the binary format of the WebAssembly
// specification 2.0, chapter 5.4.
func (r decoder) read() instruction {
	in := instruction{op: r.Byte()}
	switch op := in.op; {
	case in.named():
		in.index = r.function()
	case in.global():
		if in.index = r.U32(); in.index >= r.globals {
			r.Failf("global %d does not exist", in.index)
		}
	case op == opBlock, op == opLoop, op == opIf:
		r.blockType()
	case op == 0xd0: // ref.null
		r.heapType()
	case op >= 0x20 && op <= 0x26, // locals, globals, tables
		op == 0x3f, op == 0x40: // memory.size, memory.grow
		r.U32()
	case op == opIndirect:
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
		in.vector, in.lane = r.vector()
	case op <= 0x01, op == 0x05, op == opEnd, op == opReturn, // control without operands
		op == 0x1a, op == 0x1b, // drop, select
		op >= 0x45 && op <= 0xc4, // numbers
		op == 0xd1:               // ref.is_null
	default:
		r.refuse(op)
	}
	return in
}

// selected reads the types of a select.
func (r decoder) selected() {
	for n := r.Count(1); n > 0 && r.Err() == nil; n-- {
		r.valType()
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
	case 19, 20, 21, 22:
		r.Failf("instruction 0xfc %d belongs to %s", op, wide)
	default:
		r.Failf("unknown instruction 0xfc %d", op)
	}
	return op, indices
}

// second reads which instruction it is after a prefix for which the engine expects
// one byte and no number: it takes the 1 that ends the numbers from 128 to 255 for a
// nop. A number written otherwise would hide code in what looks like operands.
func (r decoder) second() byte {
	op := r.Byte()
	if op < 0x80 {
		return op
	}
	switch next := r.Byte(); {
	case next == 2 && op <= 0x93: // from 256 to 275
		r.Failf("instruction 0x%02x %d belongs to %s", opVector, 256+int(op&0x7f), relaxed)
	case next != 1:
		r.Failf("an instruction that the engine does not have, or in a longer form than it takes")
	}
	return op
}

// vector reads the rest of a vector instruction.
func (r decoder) vector() (op, lane byte) {
	switch op = r.second(); {
	case op <= 11, op == 92, op == 93: // loads and stores
		r.address()
	case op == 12, op == 13: // a constant, a shuffle
		r.Bytes(16)
	case op >= 21 && op <= 34: // lanes
		lane = r.Byte()
	case op >= 84 && op <= 91: // loads and stores of lanes
		r.address()
		lane = r.Byte()
	}
	return op, lane
}
