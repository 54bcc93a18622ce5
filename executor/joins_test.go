package executor

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/internal/transport/mem"
	"github.com/wasmpool/wasmpool/internal/wire"
)

// TestJoinsLate has a worker join while a map waits for its first result, which may take hours: the map
// reads on, so that the new slots have calls, too.
func TestJoinsLate(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	fabric := mem.New(3)
	ex := openRoot(t, fabric, Config{Logger: slog.New(slog.DiscardHandler)})
	join := func(rank, slots int) {
		frame, err := wire.Control(wire.TypeHello, wire.Hello{Host: "late", Slots: slots})
		if err != nil {
			t.Fatal(err)
		}
		send(t, fabric.Endpoint(rank), frame)
	}
	var pulled atomic.Int64
	ex.Map(ctx, "echo", func(yield func([]byte) bool) {
		for more := true; more; more = yield(nil) {
			pulled.Add(1)
		}
	})
	await := func(what string, calls int64, inFlight int) {
		for ctx.Err() == nil {
			if st, err := ex.Stats(ctx); err == nil && pulled.Load() == calls && st.InFlight >= inFlight {
				return
			}
			time.Sleep(time.Millisecond)
		}
		t.Fatalf("%s: %d calls were read, want %d", what, pulled.Load(), calls)
	}
	join(1, 2)
	await("two slots", max(firstCalls, 2*firstOfSlot), firstCalls)
	join(2, 10)
	await("ten more slots", 12*firstOfSlot, 12)
	stop()
	fabric.Kill(1)
	fabric.Kill(2)
	if err := ex.Shutdown(t.Context()); err != nil {
		t.Log(err) // the workers are gone, with calls
	}
}
