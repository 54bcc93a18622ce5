package meter_test

import (
	"testing"

	"github.com/wasmpool/wasmpool/internal/guesttest"
	"github.com/wasmpool/wasmpool/internal/meter"
	"github.com/wasmpool/wasmpool/internal/wasmbin"
)

// BenchmarkRewrite reads and rewrites a Go guest.
func BenchmarkRewrite(b *testing.B) {
	guest := guesttest.Build(b, "../../bench/tasks")
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
