package worker

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/internal/transport/mem"
	"github.com/wasmpool/wasmpool/internal/wire"
)

// FuzzFrames feeds a worker what a root might send. It must not panic, and must
// end when it is told to: with an error for a frame that makes no sense, and after
// a stop frame without one.
func FuzzFrames(f *testing.F) {
	var w wire.Writer
	w.Reset(wire.TypeCalls)
	w.AddCall(&wire.Call{Number: 1, Arg: []byte("x")})
	calls := append([]byte(nil), w.Frame()...)
	w.Reset(wire.TypeCalls)
	w.AddCall(&wire.Call{Number: 1, Long: true, ArgLen: 100, Limits: &wire.Limits{Time: 5}})
	f.Add(calls, append([]byte(nil), w.Frame()...))
	f.Add(blockFrame(wire.Call{Number: 1, Attempt: 1}, "a", "", "c"), calls)
	for typ, v := range map[wire.Type]any{
		wire.TypeModule: wire.Module{Name: "m", Digest: "00", Size: 10}, wire.TypeTasks: wire.Tasks{Tasks: []wire.Task{{Export: "x"}}},
		wire.TypeTakeBack: wire.TakeBack{Max: 3}, wire.TypeKill: wire.Kill{Calls: []uint64{1}, Kind: 9, Reason: "why"},
	} {
		frame, err := wire.Control(typ, v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(frame, calls)
	}
	shared, err := wire.Control(wire.TypeShared, wire.Shared{Set: 1, Inputs: []wire.SharedInput{{Name: "in", Digest: strings.Repeat("00", 32), Size: 10}}})
	if err != nil {
		f.Fatal(err)
	}
	give, err := wire.Control(wire.TypeGive, wire.Give{Refused: "no"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(shared, give)
	f.Add(wire.Bare(wire.TypeAsk), wire.Bare(wire.TypeStop))
	h, err := host.New(host.Config{CacheDir: f.TempDir()})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, first, second []byte) {
		fabric := mem.New(2)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		ended := make(chan error, 1)
		go func() { ended <- Serve(ctx, h, fabric.Endpoint(1), Config{Slots: 1}) }()
		root := fabric.Endpoint(0)
		for _, frame := range [][]byte{first, second, wire.Bare(wire.TypeStop)} {
			if len(frame) > 0 && len(frame) < 60<<10 {
				if err := root.Send(1, frame); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := <-ended; errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("it does not end")
		}
	})
}
