// Package wasmbin parses the outside of a wasm binary: its types, imports,
// functions, exports, memories and custom sections, and where each section
// lies. It runs nothing and knows nothing of wasmpool.
//
// Bytes come from strangers: [Parse] checks every length against what is
// there, never panics, and allocates no more than a small multiple of its
// input. It does not validate code; the engine does.
//
//	m, err := wasmbin.Parse(wasm)
//	for _, export := range m.Exports {
//		if t, ok := m.FuncType(export.Index); ok && export.Kind == wasmbin.KindFunc {
//			fmt.Println(export.Name, t) // add (i32, i32) -> i32
//		}
//	}
package wasmbin
