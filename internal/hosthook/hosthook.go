// Package hosthook lets the other packages of this module reach what package host
// does not export: what it does with a module before it compiles it.
package hosthook

import "github.com/tetratelabs/wazero/api"

// The steps, in their order. Package host sets them.
var (
	// Gate refuses what cannot run here with a memory of limit bytes at most.
	Gate func(wasm []byte, limit uint64) error

	// Rewrite refuses what is too large for the engine, and adds the ticks and the
	// counting.
	Rewrite func(wasm []byte) ([]byte, error)

	// Validate refuses a module that is not valid, as it came.
	Validate func(wasm []byte) error

	// ExportAll makes the mutable globals of a rewritten module exports, for
	// IsolationReset. It reports false where that isolation works another way.
	ExportAll func(wasm []byte) ([]byte, bool)

	// Features are those of the engine.
	Features api.CoreFeatures

	// MaxMemory is the most that a memory may have, in bytes.
	MaxMemory uint64
)
