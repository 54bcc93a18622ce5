package executor_test

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/executor"
)

// A map whose chunks are as long as its buffer goes on when the results come while a
// chunk is nearly full.
func TestChunkAsLongAsBuffer(t *testing.T) {
	t.Parallel()
	ex := open(t, executor.Config{RootSlots: 1})
	const n = 8
	for name, each := range mapsOf(ex) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		taken, nearly := make(chan struct{}), make(chan struct{})
		input := func(yield func([]byte) bool) {
			i := 0
			for arg := range numbers(3 * n) {
				switch i++; i {
				case n + 1:
					<-taken
				case 2*n - 1:
					close(nearly)
				}
				if !yield(arg) {
					return
				}
			}
		}
		count := 0
		for _, err := range each(ctx, "echo", input, executor.Buffer(n), executor.Chunk(n)) {
			if err != nil {
				t.Fatalf("%s: after %d results: %v", name, count, err)
			}
			if count++; count == n-1 {
				close(taken)
				<-nearly
				time.Sleep(20 * time.Millisecond) // until it waits for room
			}
		}
		cancel()
		if count != 3*n {
			t.Errorf("%s: %d results", name, count)
		}
	}
}

// A chunk, and a buffer, may be as long as one can say.
func TestEndlessChunk(t *testing.T) {
	t.Parallel()
	ex := shape(t)
	for _, opts := range [][]executor.MapOption{{executor.Chunk(math.MaxInt)}, {executor.Chunk(math.MaxInt), executor.Buffer(math.MaxInt)}} {
		for name, each := range mapsOf(ex) {
			count := 0
			for _, err := range each(t.Context(), "echo", numbers(300), opts...) {
				if count++; err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
			if count != 300 {
				t.Errorf("%s: %d results", name, count)
			}
		}
	}
}
