package executor

import (
	"context"
	"encoding/binary"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/internal/guesttest"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// longWAT has long, whose result has as many bytes as its argument says.
const longWAT = `(module
  (import "wasmpool" "input_read" (func $read (param i32 i32 i32) (result i32)))
  (import "wasmpool" "output_write" (func $write (param i32 i32)))
  (memory (export "memory") 40)
  (func (export "long") (result i32)
    (drop (call $read (i32.const 0) (i32.const 0) (i32.const 4)))
    (call $write (i32.const 0) (i32.load (i32.const 0))) (i32.const 0)))`

// TestSlowReader checks that a map whose results nobody takes stops when it holds as
// many bytes as it may, and goes on when they are taken; and that short results do not
// hold it up.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithTimeout(t.Context(), 4*time.Minute)
	defer stop()
	m := guesttest.Module(t, "long", longWAT)
	ex, err := Local(Config{Modules: []*wasmtasks.Module{m}, RootSlots: 2, ResultBytes: 8 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := ex.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	}()
	for name, unordered := range map[string]bool{"in order": false, "as they come": true} {
		for _, tt := range []struct{ length, calls, least, most int }{
			{1 << 20, 200, 8, 8 + 2*firstCalls}, // a MiB each: 8, and those of the start
			{100_000, 1000, 64, 160},            // 83
			{100, 10_000, 1000, 10_000},         // as many as Map reads ahead
		} {
			var pulled atomic.Int64
			args := func(yield func([]byte) bool) {
				for range tt.calls {
					pulled.Add(1)
					if !yield(binary.LittleEndian.AppendUint32(nil, uint32(tt.length))) {
						return
					}
				}
			}
			run := ex.Map
			if unordered {
				run = ex.MapUnordered
			}
			n := 0
			for out, err := range run(ctx, "long", args) {
				if err != nil || len(out) != tt.length {
					t.Fatalf("%s: a result of %d bytes, %v", name, len(out), err)
				}
				if n++; n > 1 {
					continue
				}
				still := time.Now() // since it has begun the least and no more
				for now, last := int64(0), int64(0); (now < int64(tt.least) || time.Since(still) < 300*time.Millisecond) && ctx.Err() == nil; time.Sleep(time.Millisecond) {
					if now = pulled.Load(); now != last {
						still, last = time.Now(), now
					}
				}
				if got := int(pulled.Load()); got < tt.least || got > tt.most {
					t.Errorf("%s: %d calls with results of %d bytes were begun that nobody took, want %d to %d", name, got, tt.length, tt.least, tt.most)
				}
			}
			if n != tt.calls {
				t.Errorf("%s: %d results of %d", name, n, tt.calls)
			}
		}
	}
}
