package meter_test

import (
	"testing"

	"github.com/wasmpool/wasmpool/internal/meter"
	"github.com/wasmpool/wasmpool/internal/wasmbin"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// BenchmarkRewrite reads and rewrites a Go guest.
func BenchmarkRewrite(b *testing.B) {
	guest, err := wasmtasks.Build(b.Context(), "../../bench/tasks")
	if err != nil {
		b.Fatal(err)
	}
	wasm := guest.Bytes()
	b.SetBytes(int64(len(wasm)))
	for b.Loop() {
		m, err := wasmbin.Parse(wasm)
		if err != nil {
			b.Fatal(err)
		}
		code, err := meter.Read(wasm, m)
		if err == nil {
			_, err = code.Rewrite()
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}
