// Package executorhook lets the other packages of this module reach what
// package executor does not export.
package executorhook

import "github.com/wasmpool/wasmpool/internal/transport"

// OpenOn opens an executor whose workers are behind world, on any fabric, with
// world's bell. cfg is an executor.Config, and what it returns is a
// *executor.Executor, which owns world until its Shutdown. Package executor
// sets it.
var OpenOn func(cfg any, world transport.Endpoint, bell *transport.Bell) (any, error)
