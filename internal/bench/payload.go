package bench

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/wasmpool/wasmpool/executor"
)

// measureEcho returns a function that maps n arguments of so many bytes to
// themselves and returns the GB/s of both ways together. As many are under way
// as Map sees fit. The first time it does so once before: a process that has just
// begun pays for touching memory, as the raw echo in bench/floor does before its
// clock starts.
func measureEcho(size int) func(context.Context, *pool, int) ([]float64, error) {
	warm := false
	return func(ctx context.Context, p *pool, n int) ([]float64, error) {
		arg := bytes.Repeat([]byte("payload "), size/8)
		if !warm && n > 1 {
			warm = true
			if err := echo(ctx, p, arg, n); err != nil {
				return nil, err
			}
		}
		start := time.Now()
		if err := echo(ctx, p, arg, n); err != nil {
			return nil, err
		}
		return []float64{2 * float64(n) * float64(size) / 1e9 / time.Since(start).Seconds()}, nil
	}
}

func echo(ctx context.Context, p *pool, arg []byte, n int) error {
	results := 0
	var opts []executor.MapOption
	if len(arg) > 256<<20 { // what a result may be by default
		opts = append(opts, executor.WithLimits(executor.Limits{Output: uint64(len(arg))}))
	}
	for out, err := range p.ex.Map(ctx, p.task("echo"), repeat(arg, n), opts...) {
		if err != nil {
			return err
		}
		// Comparing all of it would take as long as the way.
		if len(out) != len(arg) || out[0] != arg[0] || out[len(out)-1] != arg[len(arg)-1] {
			return fmt.Errorf("an echo of %d bytes returned others, %d", len(arg), len(out))
		}
		results++
	}
	if results != n {
		return fmt.Errorf("%d results of %d calls", results, n)
	}
	return nil
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
