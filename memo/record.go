package memo

import (
	"bytes"
	"encoding/binary"

	"github.com/cespare/xxhash/v2"
)

// A record is what a segment consists of: one after the other, without gaps. The numbers are little-endian.
//
//	 0  magic
//	 4  kind
//	 8  length of the payload
//	12  when it was kept, in seconds of Unix
//	16  the task: the beginning of its digest
//	24  the argument: the beginning of its SHA-256
//	32  the key
//	64  checksum of all above, of the payload, and of the segment's salt
//	72  payload
//
// The salt is in the segment's name. So what a guest has put into a result can be no record itself, even where the search for the next
// good one, behind damage, comes upon it.
type record struct {
	kind    kind
	kept    uint32
	task    uint64
	arg     uint64
	key     [32]byte
	payload []byte // a view of what was read
}

type kind byte

const (
	isResult kind = iota + 1 // the payload is the result
	isLarge                  // it is the SHA-256 of a result that has a file of its own, and its length, in 8 bytes
	isTask                   // it says what the task is; the key is the task's digest
	isDrop                   // the result of this key counts no more
	endKind
)

const (
	magic       = "\xb5wm\x01"
	headerSize  = 72
	sumAt       = 64
	mostPayload = 1 << 20
	mostRecord  = headerSize + mostPayload
	largeSize   = 32 + 8 // the payload of isLarge
)

// appendRecord appends a record without its checksum.
func appendRecord(b []byte, r *record) []byte {
	b = append(b, magic...)
	b = append(b, byte(r.kind), 0, 0, 0)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(r.payload)))
	b = binary.LittleEndian.AppendUint32(b, r.kept)
	b = binary.LittleEndian.AppendUint64(b, r.task)
	b = binary.LittleEndian.AppendUint64(b, r.arg)
	b = append(b, r.key[:]...)
	b = append(b, make([]byte, headerSize-sumAt)...)
	return append(b, r.payload...)
}

// seal puts the checksum into a record, for a segment with that salt.
func seal(b []byte, salt uint64) { binary.LittleEndian.PutUint64(b[sumAt:], sumOf(b, salt)) }

// sumOf returns the checksum of a whole record.
func sumOf(b []byte, salt uint64) uint64 {
	var d xxhash.Digest
	d.ResetWithSeed(salt)
	_, _ = d.Write(b[:sumAt]) // it cannot fail
	_, _ = d.Write(b[headerSize:])
	return d.Sum64()
}

// sizeOf returns the size of the record that b begins with, as its header has it. It returns 0 where that can be none.
func sizeOf(b []byte) int {
	n := binary.LittleEndian.Uint32(b[8:])
	k := kind(b[4])
	if string(b[:4]) != magic || k == 0 || k >= endKind || b[5]|b[6]|b[7] != 0 || n > mostPayload || k == isLarge && n != largeSize {
		return 0
	}
	return headerSize + int(n)
}

// parse returns the record that b begins with, and its size. The size is 0 where b begins with none that is whole.
func parse(b []byte, salt uint64) (r record, size int) {
	if len(b) < headerSize {
		return r, 0
	}
	size = sizeOf(b)
	if size == 0 || size > len(b) || binary.LittleEndian.Uint64(b[sumAt:]) != sumOf(b[:size], salt) {
		return r, 0
	}
	r = record{
		kind: kind(b[4]), kept: binary.LittleEndian.Uint32(b[12:]),
		task: binary.LittleEndian.Uint64(b[16:]), arg: binary.LittleEndian.Uint64(b[24:]), payload: b[headerSize:size:size],
	}
	copy(r.key[:], b[32:])
	return r, size
}

// large returns what a record of a large result says.
func (r *record) large() (sum [32]byte, n int64) {
	copy(sum[:], r.payload)
	return sum, int64(binary.LittleEndian.Uint64(r.payload[32:]))
}

// nextRecord returns where in b, from from on, a record may begin: len(b) where none does, less what could be the beginning of one.
func nextRecord(b []byte, from int) int {
	if i := bytes.Index(b[from:], []byte(magic)); i >= 0 {
		return from + i
	}
	return max(from, len(b)-len(magic)+1)
}

// beginning returns the first eight bytes of a digest as a number.
func beginning(digest *[32]byte) uint64 { return binary.LittleEndian.Uint64(digest[:]) }
