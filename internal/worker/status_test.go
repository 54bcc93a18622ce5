package worker

import (
	"slices"
	"testing"

	"github.com/wasmpool/wasmpool/internal/guesttest"
	"github.com/wasmpool/wasmpool/internal/transport"
	"github.com/wasmpool/wasmpool/internal/transport/mem"
	"github.com/wasmpool/wasmpool/internal/wire"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// What is compiled of a module that is called after a script's function is the interpreter, and it is called so.
func TestStatusProgram(t *testing.T) {
	t.Parallel()
	m, err := guesttest.Module(t, "area", `(module (memory (export "memory") 1) (func (export "_start")))`).WithCommandLine(wasmtasks.CommandLine{Program: "python"})
	if err != nil {
		t.Fatal(err)
	}
	s, served := &server{ctx: t.Context(), host: newHost(t)}, &servedModule{ready: make(chan struct{})}
	s.load(served, m)
	if got := *served.shown.Load(); got != "python" || served.err != nil {
		t.Errorf("it is called %q, %v", got, served.err)
	}
}

// While a module is on its way and is compiled, the worker says so.
func TestStatusLoading(t *testing.T) {
	t.Parallel()
	m := guesttest.Module(t, "awaited", `(module (memory (export "memory") 1) (func (export "x") (result i32) (i32.const 0)))`)
	h := newHost(t)
	fabric := mem.New(2)
	r := &root{t: t, fabric: fabric, served: make(chan error, 1)}
	go func() { r.served <- Serve(t.Context(), h, fabric.Endpoint(1), Config{Slots: 1}) }()
	r.control(wire.TypeModule, wire.Module{Name: m.Name(), Digest: m.Digest().String(), Size: int64(len(m.Bytes()))})
	loading := func() []string {
		r.status = nil
		r.send(wire.Bare(wire.TypeAsk))
		r.until(func() bool { return r.status != nil })
		return r.status.Loading
	}
	if got := loading(); !slices.Equal(got, []string{"awaited"}) {
		t.Errorf("without the module's bytes it loads %q, want the module", got)
	}
	fabric.Endpoint(0).SendPayload(1, transport.MaxPayloads-1, m.Bytes(), func(error) {})
	r.until(func() bool { return len(loading()) == 0 })
	r.stop()
}
