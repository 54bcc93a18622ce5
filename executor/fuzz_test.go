package executor

import (
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/internal/blob"
	"github.com/wasmpool/wasmpool/internal/guesttest"
	"github.com/wasmpool/wasmpool/internal/transport/mem"
	"github.com/wasmpool/wasmpool/internal/wire"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// FuzzFrames feeds the root what a worker might send while it holds calls. The
// root must not panic, and however it takes the frames, each call has one outcome
// when the worker is lost after them.
func FuzzFrames(f *testing.F) {
	tasks := guesttest.Build(f, "testdata/tasks")
	call := wire.Call{Number: 1}
	f.Add(results(call, wire.Result{Data: []byte("x")}), results(call, wire.Result{Long: true, Len: 100, Payload: 1}))
	for typ, v := range map[wire.Type]any{
		wire.TypeHello: wire.Hello{Slots: 1}, wire.TypeNeed: wire.Need{},
		wire.TypeFetch: wire.Fetch{Digest: blob.OfBytes([]byte("shared")).Digest().String(), Len: 6, Payload: 3},
		wire.TypeLog:   wire.LogLine{Text: "text"}, wire.TypeStatus: wire.Status{Running: []wire.Running{{Number: 1}}},
	} {
		frame, err := wire.Control(typ, v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(frame, wire.Bare(wire.TypeReturned))
	}
	f.Add(pull(wire.Pull{Gen: 1}), wire.Bare(wire.TypeReturned))
	hello, err := wire.Control(wire.TypeHello, wire.Hello{Host: "misbehaving", Slots: 1})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, first, second []byte) {
		fabric := mem.New(2)
		root := fabric.Endpoint(0)
		log := slog.New(slog.NewTextHandler(io.Discard, nil))
		ex, err := build(Config{Modules: []*wasmtasks.Module{tasks}, Logger: log}.withDefaults(), root, root.Bell())
		if err != nil {
			t.Fatal(err)
		}
		var calls []*tracked
		for range 3 {
			c := &tracked{f: ex.Submit(t.Context(), "echo", make([]byte, 40<<10), With("in", &Blob{blob: blob.OfBytes([]byte("shared"))}))}
			c.f.call.Tell(c)
			calls = append(calls, c)
		}
		ep := fabric.Endpoint(1)
		for _, frame := range [][]byte{hello, first, second} {
			if len(frame) > 0 && len(frame) < 60<<10 {
				if err := ep.Send(0, frame); err != nil {
					t.Fatal(err)
				}
			}
			ex.dispatcher.Probe().Turn()
		}
		fabric.Kill(1)
		for end := time.Now().Add(10 * time.Second); ex.dispatcher.Probe().Broken() == nil && time.Now().Before(end); {
			ex.dispatcher.Probe().Turn()
		}
		ex.dispatcher.Probe().End()
		for _, c := range calls {
			if n := c.resolves.Load(); n != 1 {
				t.Errorf("a call has %d outcomes", n)
			}
		}
	})
}
