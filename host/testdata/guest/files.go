package main

import (
	"os"
	"strconv"

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

// open_files opens the file that its argument names until that fails, and returns how
// often it did not.
//
//go:wasmexport open_files
func openFiles() int32 {
	return sdk.Bytes(func(arg []byte) ([]byte, error) {
		var open []*os.File
		for {
			f, err := os.Open(string(arg))
			if err != nil {
				break
			}
			open = append(open, f)
		}
		for _, f := range open {
			if err := f.Close(); err != nil {
				return nil, err
			}
		}
		return strconv.AppendInt(nil, int64(len(open)), 10), nil
	})
}
