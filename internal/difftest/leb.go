package difftest

import "encoding/binary"

// uleb encodes an unsigned number.
func uleb(n uint64) []byte { return binary.AppendUvarint(nil, n) }

// sleb encodes a signed number.
func sleb(n int64) (b []byte) {
	for {
		low := byte(n & 0x7f)
		n >>= 7
		if n == 0 && low < 0x40 || n == -1 && low >= 0x40 {
			return append(b, low)
		}
		b = append(b, low|0x80)
	}
}

// list encodes entries behind their number.
func list[T ~[]byte](entries []T) []byte {
	b := uleb(uint64(len(entries)))
	for _, e := range entries {
		b = append(b, e...)
	}
	return b
}

// sized puts the length of b before it.
func sized(b []byte) []byte { return append(uleb(uint64(len(b))), b...) }

// named encodes a name.
func named(name string) []byte { return sized([]byte(name)) }
