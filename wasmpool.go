// Package wasmpool is the root of a module that runs WebAssembly tasks on a
// pool of MPI ranks. Programs import its subpackages:
//
//   - executor and pool submit calls and wait for their results;
//   - wasmtasks builds, loads and describes task modules;
//   - sdk is what a task's author imports.
//
// The command is cmd/wasmpool.
package wasmpool

import (
	"embed"
	"io/fs"
)

// Version is the version of this module. Between releases it ends in "-dev".
const Version = "0.1.0-dev"

//go:embed LICENSE sdk/*.go internal/abi/*.go
var sources embed.FS

// Sources returns the source files of package sdk and of what it imports, and
// their licence, with their paths in this module. Task modules that were scaffolded by the command
// carry a copy, so that they build without a network.
func Sources() fs.FS { return sources }
