package wasmbin

import (
	"fmt"
	"unicode/utf8"
)

// A Reader decodes a run of bytes from a wasm binary. The first failure
// sticks: every later read returns zero, and Err says what went wrong and
// where. So a decoder reads a whole entry and looks at Err once.
type Reader struct {
	data []byte
	pos  int
	base int // where data lies in the binary, for messages
	err  error
}

// NewReader returns a reader of data, which lies at offset base of the binary.
func NewReader(data []byte, base int) *Reader {
	return &Reader{data: data, base: base}
}

// Err returns the first failure.
func (r *Reader) Err() error { return r.err }

// Len returns how many bytes are left; 0 after a failure.
func (r *Reader) Len() int {
	if r.err != nil {
		return 0
	}
	return len(r.data) - r.pos
}

// Offset returns where the next byte lies in the binary.
func (r *Reader) Offset() int { return r.base + r.pos }

// Failf makes the reader fail, unless it has failed before.
func (r *Reader) Failf(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("%s, at offset %#x", fmt.Sprintf(format, args...), r.Offset())
	}
}

// Byte reads one byte.
func (r *Reader) Byte() byte {
	if r.Len() == 0 {
		r.Failf("truncated")
		return 0
	}
	b := r.data[r.pos]
	r.pos++
	return b
}

// Bytes reads n bytes; the result is a view of the binary.
func (r *Reader) Bytes(n uint32) []byte {
	if uint64(n) > uint64(r.Len()) {
		r.Failf("truncated: %d bytes announced, %d left", n, r.Len())
		return nil
	}
	b := r.data[r.pos : r.pos+int(n) : r.pos+int(n)]
	r.pos += int(n)
	return b
}

// Rest returns what is left, without reading it.
func (r *Reader) Rest() []byte {
	if r.err != nil {
		return nil
	}
	return r.data[r.pos:]
}

// U32 reads an unsigned LEB128 number of 32 bits.
func (r *Reader) U32() uint32 { return uint32(r.unsigned(32)) }

// U64 reads an unsigned LEB128 number of 64 bits.
func (r *Reader) U64() uint64 { return r.unsigned(64) }

// unsigned reads a LEB128 number that must fit into the given bits.
func (r *Reader) unsigned(bits int) uint64 {
	var v uint64
	for shift := 0; shift < bits; shift += 7 {
		b := r.Byte()
		if left := bits - shift; left < 7 && b>>left != 0 {
			break
		}
		v |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return v
		}
	}
	r.Failf("a number does not fit into %d bits", bits)
	return 0
}

// S33 reads a signed LEB128 number of 33 bits, which is how block types and
// heap types are written.
func (r *Reader) S33() int64 {
	var v int64
	for shift := 0; shift < 35; shift += 7 {
		b := r.Byte()
		v |= int64(b&0x7f) << shift
		if b < 0x80 {
			unused := 64 - (shift + 7)
			return v << unused >> unused
		}
	}
	r.Failf("a number does not fit into 33 bits")
	return 0
}

// Name reads a name: a length and that many bytes of UTF-8.
func (r *Reader) Name() string {
	n := r.U32()
	if n > maxName && r.Err() == nil {
		r.Failf("a name has %d bytes, the limit is %d", n, maxName)
	}
	b := r.Bytes(n)
	if !utf8.Valid(b) {
		r.Failf("a name is not UTF-8")
		return ""
	}
	return string(b)
}

// Count reads the length of a vector whose elements take at least size bytes
// each, and fails if so many cannot follow. So the count bounds what a caller
// allocates.
func (r *Reader) Count(size int) int {
	n := r.U32()
	if uint64(n)*uint64(size) > uint64(r.Len()) {
		r.Failf("truncated: %d entries announced, %d bytes left", n, r.Len())
		return 0
	}
	return int(n)
}
