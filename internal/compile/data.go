package compile

import (
	"encoding/binary"
	"math"

	"github.com/wasmpool/wasmpool/internal/wasmbin"
)

// mostZeros is how many zeros are put between two data segments to make them one. What a
// segment itself takes, some bytes here and a hundred in the engine, is about as much.
const mostZeros = 64

// joinData returns a module in which data segments that lie close behind each other are one. Go's linker
// leaves out all runs of zeros and so makes tens of thousands, each of which the engine keeps,
// and handles for each new instance.
//
// The memory starts out with the same bytes. A module whose code can name segments is
// returned as it is, as is one that is not as it should be.
func joinData(wasm []byte) []byte {
	named := false
	out, err := replaceSections(wasm, func(id wasmbin.SectionID, content []byte) []byte {
		switch id {
		case wasmbin.SectionDataCount: // comes before the data, and code that names segments needs it
			named = true
		case wasmbin.SectionData:
			if !named {
				return joinSegments(content)
			}
		}
		return nil
	})
	if err != nil {
		return wasm
	}
	return out
}

// A segment is what an active data segment writes, and where.
type segment struct {
	at   uint64
	data []byte
}

func (s segment) end() uint64 { return s.at + uint64(len(s.data)) }

// joinSegments is joinData for the content of the data section. It returns nil where there is
// nothing to join.
func joinSegments(content []byte) []byte {
	var joined []segment
	free := uint64(0) // up to here nothing was written before the last of them
	r := wasmbin.NewReader(content, 0)
	n := r.Count(1)
	for range n {
		s, ok := readSegment(r)
		if !ok {
			return nil
		}
		last := len(joined) - 1
		if last >= 0 && joined[last].reaches(s.at, free) {
			data := append(joined[last].data, make([]byte, s.at-joined[last].end())...)
			joined[last].data = append(data, s.data...)
			continue
		}
		free = freeFrom(s.at, joined)
		joined = append(joined, s)
	}
	if r.Len() > 0 || len(joined) == n {
		return nil
	}
	out := binary.AppendUvarint(make([]byte, 0, len(content)), uint64(len(joined)))
	for _, s := range joined {
		out = append(out, 0, i32Const)
		out = appendS32(out, int32(uint32(s.at))) // an address of 2 GiB and more is a negative number
		out = append(out, end)
		out = binary.AppendUvarint(out, uint64(len(s.data)))
		out = append(out, s.data...)
	}
	return out
}

// reaches reports whether zeros may be written from the end of a segment to an address.
func (s segment) reaches(at, free uint64) bool {
	return at == s.end() || at > s.end() && at-s.end() <= mostZeros && at <= free
}

// freeFrom returns the first address above this one that segments write to. It looks at so many only that hostile modules
// take no time: behind more there may be no zeros.
func freeFrom(at uint64, written []segment) uint64 {
	if len(written) > 1000 {
		return 0
	}
	free := uint64(math.MaxUint64)
	for _, w := range written {
		if w.end() > at {
			free = min(free, w.at)
		}
	}
	return free
}

const (
	i32Const = 0x41
	end      = 0x0b
)

// readSegment reads a segment that is written to a constant address of the memory. It
// reports false for any other.
func readSegment(r *wasmbin.Reader) (segment, bool) {
	active := r.U32() == 0 && r.Byte() == i32Const
	at := uint64(uint32(r.S33()))
	active = active && r.Byte() == end
	data := r.Bytes(r.U32())
	return segment{at, data}, active && r.Err() == nil
}

// appendS32 appends a signed LEB128 number.
func appendS32(out []byte, v int32) []byte {
	for {
		b := byte(v & 0x7f)
		v >>= 7
		if v == 0 && b&0x40 == 0 || v == -1 && b&0x40 != 0 {
			return append(out, b)
		}
		out = append(out, b|0x80)
	}
}
