package executor_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/internal/unittest"
)

// TestMapOfItsOwnResultsLate is a map that lives of its own results and whose first calls are all done before a result is
// taken: whatever bounds how far it reads ahead, it goes on when one result is.
func TestMapOfItsOwnResultsLate(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		circling, length int // calls, and the bytes of a result
		held             int64
		buffer           int // 0 without
	}{
		{circling: 8, length: 8, buffer: 8},
		{circling: 300, length: 8, buffer: 300},
		{circling: 8, length: 8 << 10, buffer: 8},
		{circling: 60, length: 8 << 10, held: 60*8<<10 - 4<<10},
		{circling: 60, length: 8 << 10, held: 60*8<<10 - 4<<10, buffer: 100},
	} {
		t.Run(fmt.Sprint(tt), func(t *testing.T) {
			t.Parallel()
			ex := open(t, executor.Config{RootSlots: 1, HeldBytes: tt.held})
			all := 3*tt.circling + 100
			next, end := make(chan []byte), make(chan struct{})
			defer close(end)
			args := func(yield func([]byte) bool) {
				for range tt.circling {
					if !yield(make([]byte, tt.length)) {
						return
					}
				}
				for {
					select {
					case arg := <-next:
						if !yield(arg) {
							return
						}
					case <-end:
						return
					}
				}
			}
			var opts []executor.MapOption
			if tt.buffer > 0 {
				opts = append(opts, executor.Buffer(tt.buffer))
			}
			results := ex.Map(t.Context(), "echo", args, opts...)
			done := uint64(tt.circling)
			if tt.held > 0 {
				done -= 2
			}
			unittest.Until(t, "the first calls are done", func() bool {
				s, err := ex.Stats(t.Context())
				return err == nil && s.Done >= done
			})
			n := 0
			for result, err := range results {
				if err != nil || len(result) != tt.length {
					t.Fatalf("%d bytes, %v", len(result), err)
				}
				if n++; n == all {
					break
				}
				select {
				case next <- result:
				case <-time.After(time.Minute):
					t.Fatalf("the input takes nothing after %d results", n)
				}
			}
		})
	}
}
