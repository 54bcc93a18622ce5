// Command upper is a module of one task.
package main

import (
	"bytes"

	"github.com/wasmpool/wasmpool/sdk"
)

func main() {}

// Upper returns its text in capital letters.
//
//go:wasmexport upper
func upper() int32 {
	return sdk.Bytes(func(text []byte) ([]byte, error) { return bytes.ToUpper(text), nil })
}
