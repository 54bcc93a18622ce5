//go:build mpi

package main

import (
	"context"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/internal/mpitest"
)

// Four ranks survive what two slots do, with a shared input and a memo in use.
func TestHostileRanks(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	cmd := mpitest.Command(ctx, t, 4, mpitest.Build(t, "."), "-guest=../../internal/hostile/guest", "-good=2000", "-hostile=100", "-each=100", "-inputs")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
