package worker

import (
	"testing"

	"github.com/wasmpool/wasmpool/internal/guesttest"
	"github.com/wasmpool/wasmpool/internal/transport"
	"github.com/wasmpool/wasmpool/internal/wire"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// A counter is a root that counts results.
type counter struct {
	b       *testing.B
	results int
}

func (c *counter) Frame(_ int, frame []byte) {
	typ, count, body, err := wire.Header(frame)
	if err != nil {
		c.b.Error(err)
	}
	if typ != wire.TypeResults {
		return
	}
	rd := wire.NewReader(count, body)
	for res := (wire.Result{}); rd.NextResult(&res); {
		if res.Failed {
			c.b.Fatalf("a call failed: %s", res.Data)
		}
		if !res.Begun {
			c.results += max(res.Count, 1)
		}
	}
}

func (c *counter) Lost(_ int, err error) { c.b.Error(err) }

// BenchmarkServe measures what a worker adds to a call that does nothing: with one in flight,
// with frames of a hundred, and with blocks of a hundred and a thousand.
func BenchmarkServe(b *testing.B) {
	m := guesttest.Module(b, "noop", `(module
  (import "wasmpool" "input_len" (func (result i32)))
  (memory (export "memory") 1)
  (func (export "noop") (result i32) (i32.const 0)))`)
	for _, c := range []struct {
		name    string
		inFrame int
		block   bool
	}{{"frame=1", 1, false}, {"frame=100", 100, false}, {"block=100", 100, true}, {"block=1000", 1000, true}} {
		b.Run(c.name, func(b *testing.B) { benchmarkServe(b, m, c.inFrame, c.block) })
	}
}

func benchmarkServe(b *testing.B, m *wasmtasks.Module, inFrame int, block bool) {
	r := newRoot(b, m, 1, "noop")
	ep, c, sent := r.fabric.Endpoint(0), &counter{b: b}, 0
	var w wire.Writer
	arg, args := []byte("12345678"), [][]byte(nil)
	send := func(n int) {
		w.Reset(wire.TypeCalls)
		args = args[:0]
		for range n {
			args = append(args, arg)
			if !block {
				w.AddCall(&wire.Call{Number: uint64(sent + len(args)), Attempt: 1, Arg: arg})
			}
		}
		if block {
			w.AddBlock(&wire.Call{Number: uint64(sent + 1), Attempt: 1}, args)
		}
		sent += n
		r.send(w.Frame())
		for spinner := (transport.Spinner{}); c.results < sent; spinner.Turn() {
			if _, err := ep.Poll(c); err != nil {
				b.Fatal(err)
			}
		}
	}
	send(100) // so that the module is compiled, and the buffers are there
	b.ReportAllocs()
	b.ResetTimer()
	for left := b.N; left > 0; left -= inFrame {
		send(min(left, inFrame))
	}
	b.StopTimer()
	r.stop()
}
