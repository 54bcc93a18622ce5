package bench

import (
	"context"
	_ "embed"

	"github.com/wasmpool/wasmpool/wasmtasks"
)

// guestWASM is guest.wat, assembled.
//
//go:embed guest.wasm
var guestWASM []byte

// goGuest is where the source tree has the guest in Go.
const goGuest = "bench/tasks"

// openGuest returns the module that [Options] names.
func openGuest(ctx context.Context, name string) (*wasmtasks.Module, error) {
	switch name {
	case "", "tiny":
		return wasmtasks.Load("bench", guestWASM)
	case "go":
		return wasmtasks.Build(ctx, goGuest)
	default:
		return wasmtasks.Open(ctx, name)
	}
}
