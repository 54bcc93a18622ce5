package executor_test

import (
	"iter"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/wasmpool/wasmpool/executor"
)

// TestReleased checks that nothing is kept of a result that was handed over.
func TestReleased(t *testing.T) {
	t.Parallel()
	ex := open(t, executor.Config{})
	const size, n = 64 << 10, 300
	const window = 64 // what buffers of the transport may still refer to, and the last of each iterator
	var freed atomic.Int64
	input := func(yield func([]byte) bool) {
		for range n {
			if !yield(make([]byte, size)) {
				return
			}
		}
	}
	watch := func(results iter.Seq2[[]byte, error]) {
		for data, err := range results {
			if err != nil {
				t.Fatal(err)
			}
			runtime.AddCleanup(&data[0], func(*atomic.Int64) { freed.Add(1) }, &freed)
		}
	}
	ordered, unordered, stream := ex.Map(t.Context(), "echo", input), ex.MapUnordered(t.Context(), "echo", input), ex.Stream(t.Context(), "echo", input)
	watch(ordered)
	watch(unordered)
	watch(stream.All(t.Context()))
	eventually(t, "the results are freed while their iterators live", func() bool {
		runtime.GC()
		return freed.Load() >= 3*n-window
	})
	runtime.KeepAlive(ordered)
	runtime.KeepAlive(unordered)
	runtime.KeepAlive(stream)
}

// TestOneOfBatch keeps one future of a batch: the results of the others are freed.
func TestOneOfBatch(t *testing.T) {
	t.Parallel()
	ex := open(t, executor.Config{})
	const size, n = 64 << 10, 300
	const window = 64 // as in TestReleased
	for name, opts := range map[string][]executor.MapOption{
		"a batch": nil, "one under a stopper": {executor.StoppedBy(new(executor.Stopper))},
	} {
		var freed atomic.Int64
		b := ex.SubmitBatch(t.Context(), "echo", func(yield func([]byte) bool) {
			for range n {
				if !yield(make([]byte, size)) {
					return
				}
			}
		}, opts...)
		for data, err := range b.Ordered(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			runtime.AddCleanup(&data[0], func(*atomic.Int64) { freed.Add(1) }, &freed)
		}
		one := b.Futures()[n/2]
		b = nil
		eventually(t, name+": the results are freed while one future lives", func() bool {
			runtime.GC()
			return freed.Load() >= n-window
		})
		runtime.KeepAlive(one)
	}
}
