package executor

import "github.com/wasmpool/wasmpool/host"

// Limits bound what one run of a call may use.
type Limits = host.Limits
