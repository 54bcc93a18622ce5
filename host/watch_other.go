//go:build !linux

package host

import "github.com/wasmpool/wasmpool/internal/memory"

// A watch would know which pages of memory were written.
type watch struct{}

func watchMemory([]byte) ([]byte, *watch) { return nil, nil }

func (*watch) restore(view, same []byte) { memory.Copy(view, same) }
