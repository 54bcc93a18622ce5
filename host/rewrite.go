package host

import "github.com/wasmpool/wasmpool/internal/wasmbin"

// rewrite is the second step of the pipeline: it returns the bytes to compile.
// This is the place for the tick, which will let a computing guest reach Go
// now and then; for now a module stays as it is. The cache needs no version
// for it: entries are named after the bytes they were compiled from.
func rewrite(wasm []byte, _ *wasmbin.Module) ([]byte, error) {
	return wasm, nil
}
