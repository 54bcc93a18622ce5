package executor

import (
	"bytes"
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/internal/guesttest"
	"github.com/wasmpool/wasmpool/internal/transport"
	"github.com/wasmpool/wasmpool/internal/transport/mem"
	"github.com/wasmpool/wasmpool/internal/wire"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// A misbehavingWorker is one that keeps the last call it was given.
type misbehavingWorker struct {
	call wire.Call
	got  bool
}

func (w *misbehavingWorker) Frame(_ int, frame []byte) {
	typ, count, body, err := wire.Header(frame)
	if err == nil && typ == wire.TypeCalls {
		r := wire.NewReader(count, body)
		w.got = r.NextCall(&w.call) || w.got
	}
}

func (w *misbehavingWorker) Lost(int, error) {}

// TestMisbehavingWorker checks that a worker which answers a call in a way that could never
// end, or twice, is dropped, and that the call ends once.
func TestMisbehavingWorker(t *testing.T) {
	t.Parallel()
	tasks := guesttest.Build(t, "testdata/tasks")
	long := func(payload uint32) wire.Result { return wire.Result{Long: true, Len: 1 << 20, Payload: payload} }
	returned := func(c wire.Call) []byte {
		var w wire.Writer
		w.Reset(wire.TypeReturned)
		w.AddTicket(c.Ticket, uint32(c.Number), 1)
		return w.Frame()
	}
	for name, misbehave := range map[string]func(c wire.Call) [][]byte{
		"a payload beyond the ids": func(c wire.Call) [][]byte {
			return [][]byte{results(c, long(transport.MaxPayloads))}
		},
		"two long results": func(c wire.Call) [][]byte {
			return [][]byte{results(c, long(1)), results(c, long(2))}
		},
		"two long results in one frame": func(c wire.Call) [][]byte {
			return [][]byte{results(c, long(1), long(2))}
		},
		"a long result, then a short one": func(c wire.Call) [][]byte {
			return [][]byte{results(c, long(1)), results(c, wire.Result{Data: []byte("x")})}
		},
		"a long result, then returned": func(c wire.Call) [][]byte {
			return [][]byte{results(c, long(1)), returned(c)}
		},
		"an argument at a payload beyond the ids": func(c wire.Call) [][]byte {
			return [][]byte{pull(wire.Pull{Ticket: c.Ticket, Gen: uint32(c.Number), Payload: transport.MaxPayloads})}
		},
		"an argument of a call that it does not hold": func(c wire.Call) [][]byte {
			return [][]byte{pull(wire.Pull{Ticket: c.Ticket + 1, Gen: uint32(c.Number)})}
		},
		"a module at a payload beyond the ids": func(wire.Call) [][]byte {
			return [][]byte{need(t, transport.MaxPayloads)}
		},
		"a module again and again": func(wire.Call) [][]byte { return [][]byte{need(t, 1), need(t, 2)} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fabric := mem.New(2)
			root := fabric.Endpoint(0)
			var log bytes.Buffer
			cfg := Config{Modules: []*wasmtasks.Module{tasks}, Logger: slog.New(slog.NewTextHandler(&log, nil))}
			ex, err := open(cfg.withDefaults(), root, root.Bell())
			if err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithTimeout(t.Context(), time.Minute)
			defer stop()
			f := ex.Submit(ctx, "echo", []byte("hello"))
			ep := fabric.Endpoint(1)
			send(t, ep, hello(t))
			worker := &misbehavingWorker{}
			for !worker.got && ctx.Err() == nil {
				if _, err := ep.Poll(worker); err != nil {
					t.Fatal(err)
				}
				time.Sleep(100 * time.Microsecond)
			}
			for _, frame := range misbehave(worker.call) {
				send(t, ep, frame)
			}
			if out, err := f.Result(ctx); err == nil || ctx.Err() != nil {
				t.Errorf("the call gave %q, %v; want an error, at once", out, err)
			}
			if err := ex.Shutdown(ctx); err != nil {
				t.Log(err) // nobody is left
			}
			if !bytes.Contains(log.Bytes(), []byte("rank 1 sent a frame that makes no sense")) {
				t.Errorf("the log does not name rank 1:\n%s", &log)
			}
		})
	}
}

func need(t *testing.T, payload uint32) []byte {
	t.Helper()
	f, err := wire.Control(wire.TypeNeed, wire.Need{Payload: payload})
	if err != nil {
		t.Error(err)
	}
	return f
}

func results(c wire.Call, list ...wire.Result) []byte {
	var w wire.Writer
	w.Reset(wire.TypeResults)
	for _, r := range list {
		r.Ticket, r.Gen = c.Ticket, uint32(c.Number)
		w.AddResult(&r)
	}
	return w.Frame()
}

func pull(p wire.Pull) []byte {
	var w wire.Writer
	w.Reset(wire.TypePull)
	w.AddPull(p)
	return w.Frame()
}

func hello(t *testing.T) []byte {
	t.Helper()
	f, err := wire.Control(wire.TypeHello, wire.Hello{Host: "misbehaving", Slots: 1})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func send(t *testing.T, ep transport.Endpoint, frame []byte) {
	t.Helper()
	if err := ep.Send(0, frame); err != nil {
		t.Fatal(err)
	}
}
