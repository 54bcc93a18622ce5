package host

import (
	"context"

	"github.com/wasmpool/wasmpool/internal/hosthook"
	"github.com/wasmpool/wasmpool/internal/wasmbin"
)

func init() {
	hosthook.Gate = func(wasm []byte, limit uint64) error {
		_, err := gate(wasm, limit)
		return err
	}
	hosthook.Rewrite = func(wasm []byte) ([]byte, error) {
		m, err := wasmbin.Parse(wasm)
		if err != nil {
			return nil, err
		}
		code, err := gateCode(wasm, m)
		if err != nil {
			return nil, err
		}
		return code.Rewrite()
	}
	hosthook.Validate = func(wasm []byte) error { return validate(context.Background(), wasm) }
	hosthook.ExportAll = func(wasm []byte) ([]byte, bool) {
		out, _, ok := exportAll(wasm)
		return out, ok
	}
	hosthook.Features, hosthook.MaxMemory = features, maxMemory
}
