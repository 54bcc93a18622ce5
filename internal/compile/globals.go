package compile

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/wasmpool/wasmpool/internal/meter"
	"github.com/wasmpool/wasmpool/internal/wasmbin"
)

// globalPrefix starts the names under which a module's own mutable globals are
// exported, so that the host can put them back.
const globalPrefix = "wasmpool_global_"

// ExportGlobals returns a module that was rewritten with every mutable global exported, and
// the names of these exports, for a host that puts instances back to where they started. It
// reports false, and returns the module as it is, where that would not be all of the
// module's state: a global holds a reference or a vector, or the code changes tables or
// drops segments.
func ExportGlobals(wasm []byte) (out []byte, names []string, ok bool) {
	m, err := wasmbin.Parse(wasm)
	if err != nil {
		return wasm, nil, false
	}
	if slices.ContainsFunc(m.Custom, func(c wasmbin.Custom) bool { return c.Name == meter.Alters }) {
		return wasm, nil, false
	}
	return exportMutable(wasm, m)
}

// exportMutable is ExportGlobals without the look at the code.
func exportMutable(wasm []byte, m *wasmbin.Module) (out []byte, names []string, ok bool) {
	mutable, ok := mutableGlobals(wasm, m)
	if !ok || len(mutable) == 0 {
		return wasm, nil, ok
	}
	var section []byte
	count := uint64(len(mutable))
	exports, found := m.Section(wasm, wasmbin.SectionExport)
	if !found {
		return wasm, nil, false // a module without exports has no tasks
	}
	section = binary.AppendUvarint(section, uint64(exports.U32())+count)
	section = append(section, exports.Rest()...)
	for _, index := range mutable {
		name := fmt.Sprint(globalPrefix, index)
		names = append(names, name)
		section = binary.AppendUvarint(section, uint64(len(name)))
		section = append(section, name...)
		section = append(section, byte(wasmbin.KindGlobal))
		section = binary.AppendUvarint(section, uint64(index))
	}
	out, err := replaceSections(wasm, func(id wasmbin.SectionID, _ []byte) []byte {
		if id == wasmbin.SectionExport {
			return section
		}
		return nil
	})
	return out, names, err == nil
}

// mutableGlobals returns the indices of the mutable globals that the module
// defines; it imports none.
func mutableGlobals(wasm []byte, m *wasmbin.Module) (indices []uint32, ok bool) {
	r, found := m.Section(wasm, wasmbin.SectionGlobal)
	if !found {
		return nil, true
	}
	for i := range uint32(r.Count(3)) {
		typ := wasmbin.ValType(r.Byte())
		if typ == wasmbin.Ref || typ == wasmbin.RefNull {
			r.S33() // what it refers to
		}
		if mutable := r.Byte() == 1; mutable {
			if !typ.Numeric() {
				return nil, false
			}
			indices = append(indices, i)
		}
		if !skipConstant(r) {
			return nil, false
		}
	}
	return indices, r.Err() == nil
}

// skipConstant reads over a constant expression.
func skipConstant(r *wasmbin.Reader) bool {
	for r.Err() == nil {
		switch r.Byte() {
		case 0x0b: // end
			return r.Err() == nil
		case 0x41, 0x42: // i32.const, i64.const
			for more := true; more; {
				more = r.Byte() >= 0x80
			}
		case 0x43: // f32.const
			r.Bytes(4)
		case 0x44: // f64.const
			r.Bytes(8)
		case 0x23, 0xd2: // global.get, ref.func
			r.U32()
		case 0xd0: // ref.null
			r.S33()
		case 0xfd: // v128.const
			r.U32()
			r.Bytes(16)
		case 0x6a, 0x6b, 0x6c, 0x7c, 0x7d, 0x7e: // extended constants: add, sub, mul
		default:
			return false
		}
	}
	return false
}
