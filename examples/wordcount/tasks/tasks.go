// Command tasks is the task module of the wordcount example. It is compiled to
// wasm; see the README beside it.
package main

import (
	"github.com/wasmpool/wasmpool/examples/wordcount/words"
	"github.com/wasmpool/wasmpool/sdk"
)

func main() {}

//go:wasmexport count
func count() int32 { return sdk.Bytes(Count) }

// Count counts the words of a text: its bytes in, a words.Report as JSON out.
func Count(text []byte) ([]byte, error) { return words.Count(text).JSON(), nil }
