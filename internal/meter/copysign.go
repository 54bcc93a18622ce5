package meter

// On amd64 the engine makes several machine instructions of a copysign, in registers that
// they change. One of them may be put into memory as it was before it was changed,
// and read again after, where the first operand has no register at that time: then
// the sign is wrong (docs/engine.md). So copysign is rewritten to what it does with bits,
// each of which is one machine instruction.

const (
	opF32Copysign = 0x98
	opF64Copysign = 0xa6
)

// bits are the instructions for one width.
type bits struct {
	typ                      byte // of an integer as wide
	toInteger, constant, and byte
	or, toFloat              byte
	sign                     int64
}

var (
	bits32 = bits{valI32, 0xbc, opI32Const, 0x71, 0x72, 0xbe, -1 << 31}
	bits64 = bits{valI64, 0xbd, opI64Const, 0x83, 0x84, 0xbf, -1 << 63}
)

// copySign writes what copysign does. The local holds the sign meanwhile.
func (e *editor) copySign(b bits, local []byte) {
	mask := func(n int64) {
		e.op(b.toInteger)
		e.out = appendSigned(append(e.out, b.constant), n)
		e.op(b.and)
	}
	mask(b.sign)
	e.op(append([]byte{opLocalSet}, local...)...)
	mask(^b.sign)
	e.op(append([]byte{opLocalGet}, local...)...)
	e.op(b.or, b.toFloat)
}
