package meter

import (
	"encoding/binary"

	"github.com/wasmpool/wasmpool/internal/wasmbin"
)

// A region is the code that one charge is for: that of a function, or of a loop,
// without the loops in it.
type region struct {
	at    int // where its charge lies in the output; -1 for a function
	depth int // of the block that it is
	n     uint64
}

// A coder copies code and changes what must be changed.
type coder struct {
	w        *rewriter
	r        *wasmbin.Reader
	out      []byte
	constant bool // an initializer: nothing is charged

	depth   int // of open blocks
	regions []region
	ticks   bool   // there are loops or calls
	total   uint64 // instructions of the function's own region
}

func (c *coder) copyByte() byte {
	b := c.r.Byte()
	c.out = append(c.out, b)
	return b
}

func (c *coder) copyBytes(n uint32) { c.out = append(c.out, c.r.Bytes(n)...) }

func (c *coder) copyU32() uint32 {
	n := c.r.U32()
	c.out = binary.AppendUvarint(c.out, uint64(n))
	return n
}

// copyLEB copies a number of any size.
func (c *coder) copyLEB() {
	for c.copyByte() >= 0x80 && c.r.Err() == nil {
	}
}

func (c *coder) copyFunction() {
	c.out = binary.AppendUvarint(c.out, uint64(c.w.function(c.r.U32())))
}

// valType copies the type of a value.
func (c *coder) valType() {
	if t := wasmbin.ValType(c.copyByte()); t == wasmbin.Ref || t == wasmbin.RefNull {
		c.copyLEB()
	}
}

// blockType copies the type of a block: a value's, nothing, or an index.
func (c *coder) blockType() {
	b := c.copyByte()
	switch {
	case wasmbin.ValType(b) == wasmbin.Ref || wasmbin.ValType(b) == wasmbin.RefNull:
		c.copyLEB()
	case b >= 0x80:
		c.copyLEB()
	}
}

func (c *coder) memarg() {
	c.copyU32()
	c.copyLEB()
}

// run copies instructions up to the end of the function or initializer.
func (c *coder) run() {
	for c.r.Err() == nil {
		op := c.copyByte()
		if !c.constant {
			c.regions[len(c.regions)-1].n++
		}
		if op == 0x0b {
			if c.depth == 0 {
				if !c.constant {
					c.total = c.regions[0].n
				}
				return
			}
			c.close()
			continue
		}
		c.operands(op)
	}
}

// close ends a block.
func (c *coder) close() {
	if last := c.regions[len(c.regions)-1]; last.at >= 0 && last.depth == c.depth {
		c.w.patch(c.out, last.at, last.n)
		c.regions = c.regions[:len(c.regions)-1]
	}
	c.depth--
}

// operands copies what follows an opcode.
func (c *coder) operands(op byte) {
	switch op {
	case 0x02, 0x04: // block, if
		c.depth++
		c.blockType()
	case 0x03: // loop
		c.depth++
		c.blockType()
		c.ticks = true
		c.regions = append(c.regions, region{at: len(c.out), depth: c.depth})
		c.out = c.w.charge(c.out)
	case 0x1f: // try_table
		c.depth++
		c.blockType()
		for range c.copyU32() {
			if kind := c.copyByte(); kind < 2 {
				c.copyU32()
			}
			c.copyU32()
			if c.r.Err() != nil {
				return
			}
		}
	case 0x0e: // br_table
		n := uint64(c.copyU32()) + 1
		for ; n > 0 && c.r.Err() == nil; n-- {
			c.copyU32()
		}
	case 0x10, 0x12: // call, return_call
		c.ticks = true
		c.copyFunction()
	case 0xd2: // ref.func
		c.copyFunction()
	case 0x11, 0x13: // call_indirect, return_call_indirect
		c.ticks = true
		c.copyU32()
		c.copyU32()
	case 0x14, 0x15: // call_ref, return_call_ref
		c.ticks = true
		c.copyU32()
	case 0x08, 0x0c, 0x0d, 0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0xd5, 0xd6:
		c.copyU32()
	case 0x1c: // select with types
		for range c.copyU32() {
			c.valType()
			if c.r.Err() != nil {
				return
			}
		}
	case 0x3f, 0x40: // memory.size, memory.grow
		c.copyByte()
	case 0x41, 0x42, 0xd0: // i32.const, i64.const, ref.null
		c.copyLEB()
	case 0x43:
		c.copyBytes(4)
	case 0x44:
		c.copyBytes(8)
	case 0xfc:
		c.bulk()
	case 0xfd:
		c.vector()
	case 0xfe:
		if sub := c.copyU32(); sub == 3 { // atomic.fence
			c.copyByte()
		} else {
			c.memarg()
		}
	default:
		switch {
		case op >= 0x28 && op <= 0x3e:
			c.memarg()
		case op <= 0x01, op == 0x05, op == 0x0a, op == 0x0f, op == 0x1a, op == 0x1b, op >= 0x45 && op <= 0xc4, op == 0xd1, op == 0xd3, op == 0xd4:
		default:
			c.r.Failf("%s", errInstruction(op, 0))
		}
	}
}

// bulk copies the operands of saturating, memory and table instructions.
func (c *coder) bulk() {
	switch sub := c.copyU32(); {
	case sub <= 7:
	case sub == 8, sub == 10, sub == 12, sub == 14: // two
		c.copyU32()
		c.copyU32()
	case sub <= 17:
		c.copyU32()
	default:
		c.r.Failf("%s", errInstruction(0xfc, sub))
	}
}

// vector copies the operands of SIMD instructions.
func (c *coder) vector() {
	switch sub := c.copyU32(); {
	case sub <= 11, sub == 92, sub == 93:
		c.memarg()
	case sub == 12, sub == 13:
		c.copyBytes(16)
	case sub >= 21 && sub <= 34:
		c.copyByte()
	case sub >= 84 && sub <= 91:
		c.memarg()
		c.copyByte()
	}
}
