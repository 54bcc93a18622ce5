package executor

import "github.com/wasmpool/wasmpool/internal/transport"

// OpenOn opens an executor whose workers are behind world, on any fabric. It owns world until its
// Shutdown.
func OpenOn(cfg Config, world transport.Endpoint) (*Executor, error) {
	return open(cfg.withDefaults(), world, world.Bell())
}
