package worker

import (
	"fmt"
	"testing"

	"github.com/wasmpool/wasmpool/internal/guesttest"
	"github.com/wasmpool/wasmpool/internal/transport"
	"github.com/wasmpool/wasmpool/internal/wire"
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
			c.results++
		}
	}
}

func (c *counter) Lost(_ int, err error) { c.b.Error(err) }

// BenchmarkServe measures what a worker adds to a call that does nothing: with one in flight,
// and with frames of a hundred.
func BenchmarkServe(b *testing.B) {
	m := guesttest.Module(b, "noop", `(module
  (import "wasmpool" "input_len" (func (result i32)))
  (memory (export "memory") 1)
  (func (export "noop") (result i32) (i32.const 0)))`)
	for _, inFrame := range []int{1, 100} {
		b.Run(fmt.Sprintf("frame=%d", inFrame), func(b *testing.B) {
			r := newRoot(b, m, 1, "noop")
			ep, c, sent := r.fabric.Endpoint(0), &counter{b: b}, 0
			var w wire.Writer
			arg := []byte("12345678")
			send := func(n int) {
				w.Reset(wire.TypeCalls)
				for range n {
					sent++
					w.AddCall(&wire.Call{Number: uint64(sent), Attempt: 1, Arg: arg})
				}
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
		})
	}
}
