package bench

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"runtime/debug"
	"time"
)

// measureEcho returns a function that maps n arguments of so many bytes to
// themselves and returns the GB/s of both ways together. As many are under way
// as Map sees fit.
func measureEcho(size int) func(context.Context, *pool, int) ([]float64, error) {
	return func(ctx context.Context, p *pool, n int) ([]float64, error) {
		arg := bytes.Repeat([]byte("payload "), size/8)
		debug.FreeOSMemory()
		start, results := time.Now(), 0
		for out, err := range p.ex.Map(ctx, p.task("echo"), repeat(arg, n)) {
			if err != nil {
				return nil, err
			}
			// Comparing all of it would take as long as the way.
			if len(out) != size || out[0] != arg[0] || out[size-1] != arg[size-1] {
				return nil, fmt.Errorf("an echo of %d bytes returned others, %d", size, len(out))
			}
			results++
		}
		elapsed := time.Since(start)
		if results != n {
			return nil, fmt.Errorf("%d results of %d calls", results, n)
		}
		return []float64{2 * float64(n) * float64(size) / 1e9 / elapsed.Seconds()}, nil
	}
}

// repeat yields arg n times.
func repeat(arg []byte, n int) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for range n {
			if !yield(arg) {
				return
			}
		}
	}
}
