package meter

// One instruction can fill or copy all of a memory, which takes seconds when it is
// first touched. So those that move a number of bytes or table entries pay for
// them, and memory is moved piece by piece, with the tick in between. That is what
// functions do which a rewritten module has behind its own, if it needs them.

const (
	// pieceSize is how many bytes are filled or copied at once, at most: that
	// takes 20 µs, or 2 ms where the system has yet to find the memory.
	pieceSize = 1 << 20

	// perInstruction is how many bytes or entries count as an instruction, as a
	// power of two.
	perInstruction = 4
)

// The added functions, in their order. A module that needs one has those before it,
// too: the first alone goes without a memory.
const (
	helperPay  = 1 + iota // takes a length off the fuel and returns it
	helperFill            // as memory.fill
	helperCopy            // as memory.copy
)

// Their types, counted from the first added one; the tick's is before them.
const (
	typePay  = 1 + iota // (i32) -> i32
	typeMove            // (i32, i32, i32) -> ()
)

// The instructions that follow opBulk.
const (
	bulkMemoryInit = 8
	bulkDataDrop   = 9
	bulkMemoryCopy = 10
	bulkMemoryFill = 11
	bulkTableInit  = 12
	bulkElemDrop   = 13
	bulkTableCopy  = 14
	bulkTableGrow  = 15
	bulkTableFill  = 17
)

// alters reports whether the instruction changes a table, or drops a segment.
func (i instruction) alters() bool {
	if i.op != opBulk {
		return i.op == opTableSet
	}
	switch i.bulk {
	case bulkDataDrop, bulkElemDrop, bulkTableInit, bulkTableCopy, bulkTableGrow, bulkTableFill:
		return true
	}
	return false
}

// helper returns which of the added functions the instruction needs, or 0. One with
// a memory other than the first is not valid and stays as it is.
func (i instruction) helper() uint32 {
	switch {
	case i.op != opBulk:
		return 0
	case i.bulk == bulkMemoryFill && i.index == 0:
		return helperFill
	case i.bulk == bulkMemoryCopy && i.index == 0:
		return helperCopy
	}
	switch i.bulk {
	case bulkMemoryInit, bulkTableInit, bulkTableCopy, bulkTableGrow, bulkTableFill:
		return helperPay
	}
	return 0
}

// helper returns the index of an added function.
func (c *Code) helper(which uint32) uint32 { return c.moved(c.funcs()) + which - 1 }

// helperTypes are entries of the type section.
func (c *Code) helperTypes() [][]byte {
	if c.helpers == 0 {
		return nil
	}
	return [][]byte{typePay - 1: {0x60, 1, valI32, 1, valI32}, typeMove - 1: {0x60, 3, valI32, valI32, valI32, 0}}
}

// helperFuncs are entries of the function section.
func (c *Code) helperFuncs() [][]byte {
	types := uint32(len(c.module.Types))
	pay, move := unsigned(types+typePay), unsigned(types+typeMove)
	return [][]byte{helperPay - 1: pay, helperFill - 1: move, helperCopy - 1: move}[:c.helpers]
}

// helperBodies appends entries of the code section.
func (e *editor) helperBodies() {
	list := []func(*editor){helperPay - 1: (*editor).pay, helperFill - 1: (*editor).fill, helperCopy - 1: (*editor).copy}
	for _, write := range list[:e.w.helpers] {
		body := &editor{w: e.w, out: []byte{0}} // no locals
		write(body)
		body.op(opEnd)
		e.put(uint32(len(body.out)))
		e.op(body.out...)
	}
}

// The parameters of fill and copy, and that of pay. The second is fill's value or
// the address that copy reads from.
const (
	to = iota
	from
	length

	payLength = 0
)

// fill writes the function that does what memory.fill does.
func (e *editor) fill() {
	e.pieces([]byte{opBulk, bulkMemoryFill, 0}, func() { e.op(opLocalGet, to) }, func() {
		e.op(opLocalGet, to, opLocalGet, from)
		e.piece()
		e.op(opBulk, bulkMemoryFill, 0)
		e.advance(to, opI32Add)
	})
}

// copy writes the function that does what memory.copy does: it goes upwards or
// downwards, so that it reads what it has not written.
func (e *editor) copy() {
	upper := func() { e.op(opLocalGet, to, opLocalGet, from, opLocalGet, from, opLocalGet, to, opI32LeU, opSelect) }
	e.pieces([]byte{opBulk, bulkMemoryCopy, 0, 0}, upper, func() {
		e.op(opLocalGet, to, opLocalGet, from, opI32LeU, opIf, emptyBlock)
		e.op(opLocalGet, to, opLocalGet, from)
		e.piece()
		e.op(opBulk, bulkMemoryCopy, 0, 0)
		e.advance(to, opI32Add)
		e.advance(from, opI32Add)
		e.op(opElse)
		for _, p := range []byte{to, from} {
			e.op(opLocalGet, p, opLocalGet, length, opI32Add)
			e.piece()
			e.op(opI32Sub)
		}
		e.piece()
		e.op(opBulk, bulkMemoryCopy, 0, 0, opEnd)
	})
}

// pieces writes a loop that moves a piece at a time, until the rest can be moved at
// once. What goes past the memory's end is left to the instruction itself, all of
// it, which then traps before it moves anything.
func (e *editor) pieces(move []byte, uppermost, movePiece func()) {
	all := append([]byte{opLocalGet, to, opLocalGet, from, opLocalGet, length}, move...)
	e.op(opLoop, emptyBlock)

	e.op(opLocalGet, length)
	e.piece()
	e.op(opI32LeU, opIf, emptyBlock)
	e.chargeFor(length)
	e.op(all...)
	e.op(opReturn, opEnd)

	uppermost()
	e.op(opI64ExtendI32U, opLocalGet, length, opI64ExtendI32U, opI64Add)
	e.op(opMemorySize, 0, opI64ExtendI32U, opI64Const, 16, opI64Shl, opI64GtU)
	e.op(opIf, emptyBlock)
	e.op(all...)
	e.op(opEnd)

	e.charge(pieceSize >> perInstruction)
	movePiece()
	e.advance(length, opI32Sub)
	e.op(opBr, 0, opEnd)
}

// pay writes the function that takes a length off the fuel and returns it.
func (e *editor) pay() {
	e.chargeFor(payLength)
	e.op(opLocalGet, payLength)
}

// chargeFor takes the length in a local off the fuel.
func (e *editor) chargeFor(local byte) {
	e.chargeWith(opLocalGet, local, opI32Const, perInstruction, opI32ShrU, opI64ExtendI32U)
}

// piece puts the size of a piece on the stack.
func (e *editor) piece() { e.out = appendSigned(append(e.out, opI32Const), pieceSize) }

// advance moves a local by the size of a piece.
func (e *editor) advance(local, by byte) {
	e.op(opLocalGet, local)
	e.piece()
	e.op(by, opLocalSet, local)
}

// op appends code.
func (e *editor) op(code ...byte) { e.out = append(e.out, code...) }

// call appends a direct call.
func (e *editor) call(f uint32) {
	e.op(opCall)
	e.put(f)
}
