package executor

import (
	"fmt"

	"github.com/wasmpool/wasmpool/internal/executorhook"
	"github.com/wasmpool/wasmpool/internal/transport"
)

func init() { executorhook.OpenOn = openOn }

// openOn is open for the benchmark of pools too large for this machine.
func openOn(cfg any, world transport.Endpoint, bell *transport.Bell) (any, error) {
	c, ok := cfg.(Config)
	if !ok {
		return nil, fmt.Errorf("executor: a %T is no Config", cfg)
	}
	if err := c.validate(); err != nil {
		return nil, err
	}
	return open(c.withDefaults(), world, bell)
}
