package compile

import (
	"encoding/binary"

	"github.com/wasmpool/wasmpool/internal/wasmbin"
)

// replaceSections returns a module with other sections: replace gets the content of each and returns the one to
// take its place, nil for none. The error is a [BadModuleError].
func replaceSections(wasm []byte, replace func(id wasmbin.SectionID, content []byte) []byte) ([]byte, error) {
	const head = 8
	out := append(make([]byte, 0, len(wasm)), wasm[:min(head, len(wasm))]...)
	r := wasmbin.NewReader(wasm[len(out):], len(out))
	for r.Len() > 0 {
		start := r.Offset()
		id := wasmbin.SectionID(r.Byte())
		content := r.Bytes(r.U32())
		if r.Err() != nil {
			break
		}
		if other := replace(id, content); other != nil {
			out = appendSection(out, id, other)
		} else {
			out = append(out, wasm[start:r.Offset()]...)
		}
	}
	if err := r.Err(); err != nil {
		return nil, badModule("%w", err)
	}
	return out, nil
}

func appendSection(out []byte, id wasmbin.SectionID, content []byte) []byte {
	out = append(out, byte(id))
	out = binary.AppendUvarint(out, uint64(len(content)))
	return append(out, content...)
}
