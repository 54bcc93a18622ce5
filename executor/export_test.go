package executor

import "github.com/wasmpool/wasmpool/internal/transport"

// OpenOn opens an executor whose workers are behind endpoint, on any fabric. It owns endpoint until its
// Shutdown.
func OpenOn(cfg Config, endpoint transport.Endpoint) (*Executor, error) {
	return open(cfg.withDefaults(), endpoint, endpoint.Bell())
}
