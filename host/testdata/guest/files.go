package main

import (
	"os"

	"github.com/wasmpool/wasmpool/sdk"
)

// read_file returns the file that its argument names.
//
//go:wasmexport read_file
func readFile() int32 {
	return sdk.Bytes(func(arg []byte) ([]byte, error) { return os.ReadFile(string(arg)) })
}

// write_file creates the file that its argument names.
//
//go:wasmexport write_file
func writeFile() int32 {
	return sdk.Bytes(func(arg []byte) ([]byte, error) { return nil, os.WriteFile(string(arg), arg, 0o600) })
}
