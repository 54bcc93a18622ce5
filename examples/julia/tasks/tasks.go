// Command tasks is the task module of the julia example. It is compiled to
// wasm; see the README beside it.
package main

import (
	"github.com/wasmpool/wasmpool/examples/julia/set"
	"github.com/wasmpool/wasmpool/sdk"
)

func main() {}

//go:wasmexport row
func row() int32 { return sdk.Bytes(Row) }

// Row draws one row of a Julia set: an encoded set.Row in, RGB bytes out.
func Row(arg []byte) ([]byte, error) {
	r, err := set.Decode(arg)
	if err != nil {
		return nil, sdk.BadInput(err)
	}
	return r.Pixels(), nil
}
