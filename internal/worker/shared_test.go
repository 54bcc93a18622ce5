package worker

import (
	"strings"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/internal/blob"
	"github.com/wasmpool/wasmpool/internal/transport/mem"
	"github.com/wasmpool/wasmpool/internal/wire"
)

// A worker whose disk hangs while it gets a shared input ends all the same when the pool does: the launcher
// would take one that is still there later for a rank that hangs.
func TestEndsWhileDiskHangs(t *testing.T) { //nolint:paralleltest // it changes loadsPatience
	defer func(d time.Duration) { loadsPatience = d }(loadsPatience)
	loadsPatience = 10 * time.Millisecond
	hangs, goesOn := make(chan struct{}), make(chan struct{})
	defer close(goesOn)
	h := newHost(t)
	fabric := mem.New(2)
	r := &root{t: t, fabric: fabric, served: make(chan error, 1)}
	cfg := Config{Local: func(blob.Digest) *blob.Blob {
		close(hangs)
		<-goesOn
		return nil
	}}
	go func() { r.served <- Serve(t.Context(), h, fabric.Endpoint(1), cfg) }()
	r.control(wire.TypeShared, wire.Shared{Set: 1, Inputs: []wire.SharedInput{{Name: "in", Digest: strings.Repeat("00", 32), Size: 1}}})
	<-hangs
	r.stop()
}
