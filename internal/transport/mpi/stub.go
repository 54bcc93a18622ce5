//go:build !mpi

package mpi

import (
	"context"
	"errors"
	"time"

	"github.com/wasmpool/wasmpool/internal/transport"
)

// Built reports whether this program has MPI.
const Built = false

// An Endpoint is that of a rank among MPI processes.
type Endpoint interface {
	transport.Endpoint

	// LocalWorkers is how many workers share this rank's node.
	LocalWorkers() int

	// Leave makes Close not wait for the other ranks, which then take this one
	// for lost. The process should exit with an error after it.
	Leave()
}

// Version returns "": there is no MPI library in this program.
func Version() string { return "" }

// Open fails: this program was built without MPI.
func Open(context.Context, *transport.Bell, []int, time.Duration) (Endpoint, error) {
	return nil, errors.New("mpi: built without MPI, rebuild with -tags mpi")
}
