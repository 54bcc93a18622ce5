package wasmbin_test

import (
	"fmt"

	"github.com/wasmpool/wasmpool/internal/wasmbin"
)

func ExampleParse() {
	// A module with one function: (func (export "add") (param i32 i32) (result i32)).
	wasm := []byte("\x00asm\x01\x00\x00\x00" +
		"\x01\x07\x01\x60\x02\x7f\x7f\x01\x7f" + // types
		"\x03\x02\x01\x00" + // functions
		"\x07\x07\x01\x03add\x00\x00" + // exports
		"\x0a\x09\x01\x07\x00\x20\x00\x20\x01\x6a\x0b") // code

	m, err := wasmbin.Parse(wasm)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, export := range m.Exports {
		typ, _ := m.FuncType(export.Index)
		fmt.Println(export.Name, typ)
	}
	// Output: add (i32, i32) -> i32
}
