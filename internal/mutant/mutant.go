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
		return []byte(numbers[rng.IntN(len(numbers))])
	case 1:
		return []byte(pieces[rng.IntN(len(pieces))])
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
var numbers = []string{
	"\x00", "\x01", "\x02", "\x7f", "\x80\x00", "\x80\x01", "\xff\x7f", "\xff\xff\x03", "\x80\x80\x80\x80\x08", "\xff\xff\xff\xff\x0f",
	"\x80\x80\x80\x80\x78", "\xff\xff\xff\xff\x7f", "\xff\xff\xff\xff\x1f", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
	"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x7f",
}

// pieces are instructions, and types, that must fit what is around them, and some that
// fit wherever what they name is there.
var pieces = []string{
	"\x03\x40\x20\x00\x1a\x0b", "\x03\x40\x20\x01\x1a\x0b", "\x03\x40\x20\x02\x1a\x0b", "\x03\x40\x42\x00\x21\x01\x0b", "\x23\x00\x1a", "\x23\x01\x1a",
	"\x42\x00\x24\x00", "\x20\x00\x1a", "\x10\x01\x1a", "\xd2\x00\x1a", "\x00", "\x01", "\x02\x40", "\x03\x40", "\x04\x40", "\x02\x7f", "\x03\x7e",
	"\x02\x00", "\x02\x01", "\x05", "\x0b", "\x0c\x00", "\x0d\x00", "\x0e\x01\x00\x00", "\x0f", "\x10\x00", "\x10\x01", "\x11\x00\x00", "\x12\x00",
	"\x14\x00", "\x1a", "\x1b", "\x1c\x01\x7f", "\x1c\x01\x63\x70", "\x1f\x40\x00", "\x06\x40", "\x08\x00", "\x20\x00", "\x20\x01", "\x20\x02",
	"\x21\x00", "\x22\x01", "\x23\x00", "\x24\x00", "\x25\x00", "\x26\x00", "\x28\x02\x00", "\x36\x02\x00", "\x3f\x00", "\x40\x00", "\x41\x00",
	"\x42\x00", "\x43\x00\x00\x00\x00", "\x44\x00\x00\x00\x00\x00\x00\x00\x00", "\x6a", "\x7c", "\x92", "\xa0", "\xa7", "\xad", "\xc0", "\xd0\x70",
	"\xd0\x6f", "\xd0\x69", "\xd0\x00", "\xd1", "\xd2\x00", "\xfc\x00", "\xfc\x08\x00\x00", "\xfc\x09\x00", "\xfc\x0a\x00\x00", "\xfc\x0b\x00",
	"\xfc\x0c\x00\x00", "\xfc\x0e\x00\x00", "\xfc\x0f\x00", "\xfc\x10\x00", "\xfc\x11\x00", "\xfd\x00\x00\x00", "\xfd\x0f", "\xfd\xae\x01",
	"\xfd\x8c\x00", "\xfe\x10\x02\x00", "\x60\x00\x00", "\x60\x01\x7f\x00", "\x7f", "\x7e", "\x7d", "\x7c", "\x7b", "\x70", "\x6f", "\x69", "\x63\x70",
	"\x64\x00",
}
