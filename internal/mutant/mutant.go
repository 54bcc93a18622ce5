// Package mutant makes wasm modules that are a little wrong, or right in another way,
// from good ones: for tests that compare what two readers of modules say about them.
package mutant

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"slices"

	"github.com/wasmpool/wasmpool/internal/wasmbin"
)

const (
	headerSize = 8
	mostEdits  = 3
	longest    = 12 // bytes that one edit copies, inserts or removes
)

// Of returns a module made from wasm by a few edits, most of them within one section or
// function body, whose sizes are put right. What it copies from elsewhere is of wasm or
// of donor, another module. The same rng gives the same module.
func Of(rng *rand.Rand, wasm, donor []byte) []byte {
	sections, ok := split(wasm)
	if !ok || len(sections) == 0 || rng.IntN(10) == 0 {
		return edits(rng, wasm, donor)
	}
	switch at := rng.IntN(len(sections)); {
	case rng.IntN(30) == 0:
		sections = append(sections[:at], sections[at+1:]...)
	case rng.IntN(30) == 0:
		sections = slices.Insert(sections, rng.IntN(len(sections)+1), sections[at])
	case rng.IntN(30) == 0:
		if foreign, ok := split(donor); ok && len(foreign) > 0 {
			sections[at] = foreign[rng.IntN(len(foreign))]
		}
	default:
		at = likely(rng, sections, at)
		sections[at].content = section(rng, sections[at], donor)
	}
	return join(wasm[:headerSize], sections)
}

// likely returns the code section half of the time, else at.
func likely(rng *rand.Rand, sections []part, at int) int {
	code := slices.IndexFunc(sections, func(p part) bool { return p.id == wasmbin.SectionCode })
	if code >= 0 && rng.IntN(2) == 0 {
		return code
	}
	return at
}

// A part is a section.
type part struct {
	id      wasmbin.SectionID
	content []byte
}

func split(wasm []byte) ([]part, bool) {
	if len(wasm) < headerSize {
		return nil, false
	}
	var list []part
	r := wasmbin.NewReader(wasm[headerSize:], headerSize)
	for r.Len() > 0 {
		id := wasmbin.SectionID(r.Byte())
		list = append(list, part{id, r.Bytes(r.U32())})
	}
	return list, r.Err() == nil
}

func join(header []byte, sections []part) []byte {
	out := bytes.Clone(header)
	for _, s := range sections {
		out = append(out, byte(s.id))
		out = sized(out, s.content)
	}
	return out
}

// sized appends content with its length before it.
func sized(out, content []byte) []byte {
	return append(binary.AppendUvarint(out, uint64(len(content))), content...)
}

// section returns an edited section: of code, one body of it.
func section(rng *rand.Rand, s part, donor []byte) []byte {
	if s.id != wasmbin.SectionCode || rng.IntN(10) == 0 {
		return edits(rng, s.content, donor)
	}
	var bodies [][]byte
	r := wasmbin.NewReader(s.content, 0)
	n := r.U32()
	for r.Len() > 0 {
		bodies = append(bodies, r.Bytes(r.U32()))
	}
	if r.Err() != nil || len(bodies) == 0 {
		return edits(rng, s.content, donor)
	}
	at := rng.IntN(len(bodies))
	bodies[at] = edits(rng, bodies[at], donor)
	out := binary.AppendUvarint(nil, uint64(n))
	for _, b := range bodies {
		out = sized(out, b)
	}
	return out
}

// edits returns a copy of b with one to mostEdits edits.
func edits(rng *rand.Rand, b, donor []byte) []byte {
	b = bytes.Clone(b)
	for range 1 + rng.IntN(mostEdits) {
		b = edit(rng, b, donor)
	}
	return b
}

func edit(rng *rand.Rand, b, donor []byte) []byte {
	at := rng.IntN(len(b) + 1)
	if at < len(b) {
		switch rng.IntN(7) {
		case 0:
			b[at] ^= 1 << rng.IntN(8)
			return b
		case 1:
			b[at] = byte(rng.UintN(256))
			return b
		case 2: // an index, or an instruction, beside the one that it was
			b[at] += byte(rng.IntN(5) - 2)
			return b
		case 3:
			return slices.Delete(b, at, min(len(b), at+1+rng.IntN(longest)))
		}
	}
	return slices.Insert(b, at, inserted(rng, b, donor)...)
}

// inserted returns what an edit puts in: a number, an instruction, or a piece of a module.
func inserted(rng *rand.Rand, b, donor []byte) []byte {
	switch rng.IntN(4) {
	case 0:
		return numbers[rng.IntN(len(numbers))]
	case 1:
		return pieces[rng.IntN(len(pieces))]
	case 2:
		return piece(rng, donor)
	default:
		return piece(rng, b)
	}
}

func piece(rng *rand.Rand, b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	at := rng.IntN(len(b))
	return bytes.Clone(b[at:min(len(b), at+1+rng.IntN(longest))])
}

// numbers are at the edges, some of them in more bytes than they need.
var numbers = [][]byte{
	{0},
	{1},
	{2},
	{0x7f},
	{0x80, 0x00},
	{0x80, 0x01},
	{0xff, 0x7f},
	{0xff, 0xff, 0x03},
	{0x80, 0x80, 0x80, 0x80, 0x08},
	{0xff, 0xff, 0xff, 0xff, 0x0f},
	{0x80, 0x80, 0x80, 0x80, 0x78},
	{0xff, 0xff, 0xff, 0xff, 0x7f},
	{0xff, 0xff, 0xff, 0xff, 0x1f},
	{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01},
	{0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x7f},
}

// pieces are instructions, and types, that must fit what is around them.
var pieces = [][]byte{
	{0x00},
	{0x01},
	{0x02, 0x40},
	{0x03, 0x40},
	{0x04, 0x40},
	{0x02, 0x7f},
	{0x03, 0x7e},
	{0x02, 0x00},
	{0x02, 0x01},
	{0x05},
	{0x0b},
	{0x0c, 0},
	{0x0d, 0},
	{0x0e, 1, 0, 0},
	{0x0f},
	{0x10, 0},
	{0x10, 1},
	{0x11, 0, 0},
	{0x12, 0},
	{0x14, 0},
	{0x1a},
	{0x1b},
	{0x1c, 1, 0x7f},
	{0x1c, 1, 0x63, 0x70},
	{0x1f, 0x40, 0},
	{0x06, 0x40},
	{0x08, 0},
	{0x20, 0},
	{0x20, 1},
	{0x20, 2},
	{0x21, 0},
	{0x22, 1},
	{0x23, 0},
	{0x24, 0},
	{0x25, 0},
	{0x26, 0},
	{0x28, 2, 0},
	{0x36, 2, 0},
	{0x3f, 0},
	{0x40, 0},
	{0x41, 0},
	{0x42, 0},
	{0x43, 0, 0, 0, 0},
	{0x44, 0, 0, 0, 0, 0, 0, 0, 0},
	{0x6a},
	{0x7c},
	{0x92},
	{0xa0},
	{0xa7},
	{0xad},
	{0xc0},
	{0xd0, 0x70},
	{0xd0, 0x6f},
	{0xd0, 0x69},
	{0xd0, 0},
	{0xd1},
	{0xd2, 0},
	{0xfc, 0},
	{0xfc, 8, 0, 0},
	{0xfc, 9, 0},
	{0xfc, 10, 0, 0},
	{0xfc, 11, 0},
	{0xfc, 12, 0, 0},
	{0xfc, 14, 0, 0},
	{0xfc, 15, 0},
	{0xfc, 16, 0},
	{0xfc, 17, 0},
	{0xfd, 0, 0, 0},
	{0xfd, 15},
	{0xfd, 0xae, 1},
	{0xfd, 0x8c, 0},
	{0xfe, 0x10, 2, 0},
	{0x60, 0, 0},
	{0x60, 1, 0x7f, 0},
	{0x7f},
	{0x7e},
	{0x7d},
	{0x7c},
	{0x7b},
	{0x70},
	{0x6f},
	{0x69},
	{0x63, 0x70},
	{0x64, 0},
}
