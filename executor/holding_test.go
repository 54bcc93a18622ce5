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
	ex, err := Local(Config{Modules: []*wasmtasks.Module{m}, RootSlots: 2, HeldBytes: 8 << 20})
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

// TestHolding has the results of a map come and nobody take them: no more of them are held than
// there may be, and one for each slot, yet each slot has a call as long as there is room.
func TestHolding(t *testing.T) {
	t.Parallel()
	const most = 64 << 20
	for _, slots := range []int64{1, 2, 64} {
		for _, length := range []int64{0, 100, 1 << 10, 100_000, 1 << 20, 16 << 20, 100 << 20} {
			h := &holding{}
			open, ended := int64(0), int64(0)
			for {
				for open < mostAhead && h.fits(open, most, slots, false) {
					open++
				}
				running := open - ended
				if held := ended * length; running < slots && held <= most && length > 0 && open < mostAhead {
					t.Errorf("%d slots, results of %d bytes: %d calls run while %d bytes wait", slots, length, running, held)
				}
				if running == 0 {
					break
				}
				h.Hold(length, 0)
				ended++
			}
			first := max(firstCalls, firstOfSlot*slots) // of whose results nothing was known
			if bytes, bound := ended*length, max(most+(slots+1)*length, first*length); bytes > bound {
				t.Errorf("%d slots, results of %d bytes: %d bytes are held, want at most %d", slots, length, bytes, bound)
			}
		}
	}
}

// TestHoldingFirst has long results come after a first one that says nothing of them: a failure, or a short
// one. Not much more than twice as many bytes as there may be are held.
func TestHoldingFirst(t *testing.T) {
	t.Parallel()
	const length, most, slots = 16 << 20, 64 << 20, 2
	for _, first := range []int64{0, 10, 2 << 10} {
		h := &holding{}
		open, ended := int64(0), int64(0)
		for {
			for open < firstAhead && h.fits(open, most, slots, false) {
				open++
			}
			if open == ended {
				break
			}
			if ended++; ended == 1 {
				h.Hold(first, 0)
			} else {
				h.Hold(length, 0)
			}
		}
		if held := h.results.bytes.Load(); held < most/2 || held > 2*most+length {
			t.Errorf("after a result of %d bytes %d bytes are held, want %d to %d", first, held, most/2, 2*most+length)
		}
	}
}

// TestHoldingArguments checks that long arguments of more calls than there are slots are bounded, and that a
// result, a failure that was taken and a cancelled call let go of them.
func TestHoldingArguments(t *testing.T) {
	t.Parallel()
	const length = 30 << 20
	h := &holding{}
	given := 0
	for ; !h.overfull(length, 2); given++ {
		h.args.add(length)
	}
	if given != 2 {
		t.Errorf("%d arguments of %d bytes are held on two slots", given, length)
	}
	if h.overfull(length, 4) {
		t.Error("four slots do not get a call each")
	}
	h.Hold(1, length)
	h.took(length, nil, ErrClosed)
	if n, bytes := h.args.calls.Load(), h.args.bytes.Load(); n != 0 || bytes != 0 {
		t.Errorf("%d arguments of %d bytes are held at the end", n, bytes)
	}
	h.args.add(length)
	h.Hold(5<<10, length)
	h.Drop(5<<10, length)
	h.took(length, nil, ErrCancelled)
	if n, bytes, results := h.args.calls.Load(), h.args.bytes.Load(), h.results.bytes.Load(); n != 0 || bytes != 0 || results != 0 {
		t.Errorf("a cancelled call leaves %d arguments of %d bytes, and %d bytes of results", n, bytes, results)
	}
}
